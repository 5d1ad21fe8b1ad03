"""The servers of `overhead.py`, each in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["HERE", "bare_server", "tamis_server"]

HERE = Path(__file__).parent.resolve()
"""Where the benchmarks lie."""


@contextmanager
def tamis_server(folder: Path, config: Path) -> Iterator[str]:
    """`tamis serve`, as anybody would run it; `ADDRESS=PID`."""
    command = [sys.executable, "-m", "tamis.cli.app", "serve", "--config", str(config)]
    with _running(folder, "tamis", command) as target:
        yield target


@contextmanager
def bare_server(folder: Path, recorded: Path) -> Iterator[str]:
    """The handler that only answers; `ADDRESS=PID`."""
    with _running(
        folder, "bare", [sys.executable, str(HERE / "overhead_processes.py"), "bare", str(recorded)]
    ) as target:
        yield target


@contextmanager
def _running(folder: Path, name: str, command: list[str]) -> Iterator[str]:
    path = os.pathsep.join([str((folder / "site").resolve()), str(HERE)])
    with (
        (folder / f"{name}.log").open("w") as log,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=log, text=True, env={**os.environ, "PYTHONPATH": path}
        ) as process,
    ):
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line.startswith("listening on "):
                sys.exit(f"{name} did not start: {(folder / f'{name}.log').read_text()[-2000:]}")
            yield f"{line.removeprefix('listening on ').strip()}={process.pid}"
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()
