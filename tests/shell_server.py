"""A server in a process of its own, with the fakes, that may be killed and started again where it was."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fake_plugins import write_distribution
from held_port import HeldPort

__all__ = ["ShellServer"]

_CONFIG = """
[models.hash]
plugin = "fake-hash"
[stages.words]
plugin = "fake-memory"
seconds = 0.02
[stages.rank]
plugin = "fake-words"
[stages.diverse]
plugin = "mmr"
embedder = "hash"
diversity = 0.0
[stages.broken]
plugin = "fake-memory"
behaviour = "raises"
[pipelines.default]
expression = "words >> rank"
"""


class ShellServer:
    """The server of one folder, one process after the other."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        write_distribution(folder / "site")
        (folder / "tamis.toml").write_text(_CONFIG)
        self._port = HeldPort()
        self.address = self._port.address

    @contextmanager
    def running(self) -> Iterator[subprocess.Popen[str]]:
        """A process that listens at `address`, the same each time; it is killed when the context ends."""
        command = [sys.executable, "-m", "tamis.cli.app", "serve", "--config", self._folder / "tamis.toml"]
        options = ["--listen", self.address, "--data-directory", self._folder / "data"]
        environment = {**os.environ, "PYTHONPATH": str(self._folder / "site")}
        with subprocess.Popen(
            [*command, *options], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
        ) as process:
            assert process.stdout is not None
            try:
                line = process.stdout.readline()
                assert line.strip() == f"listening on {self.address}"
                yield process
            finally:
                process.send_signal(signal.SIGKILL)
                process.wait()
