"""A real server in a process of its own, and what processes take: time of the processors, memory."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["Watched", "processor_seconds", "serving", "with_static_words"]

_SERVER = """
import asyncio, sys
from pathlib import Path
from tamis.cli.serve import LogFormat, configure_logs
from tamis.config import load
from tamis.rpc.app import running

configure_logs(LogFormat.JSON)  # to standard error: nobody reads more than a line of standard output

async def serve():
    async with running(load(Path(sys.argv[1]))) as server:
        print(server.address, flush=True)
        await asyncio.Event().wait()

asyncio.run(serve())
"""
_STATIC_WORDS = "[tamis.embedders]\nstatic-words = static_words:StaticWords\n"


class Watched(threading.Thread):
    """The most memory that a process and its children had at once, looked at five times a second."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.pid, self._peak = pid, {"anonymous": 0, "file": 0}
        self.processor_seconds = 0.0
        self.start()

    def run(self) -> None:
        """Looks until the program ends."""
        while True:
            now = {"anonymous": 0, "file": 0}
            for pid in _family(self.pid):
                try:
                    status = Path(f"/proc/{pid}/status").read_text()
                except OSError:
                    continue
                now["anonymous"] += _kilobytes(status, "RssAnon") + _kilobytes(status, "RssShmem")
                now["file"] += _kilobytes(status, "RssFile")
            self.processor_seconds = processor_seconds(self.pid)
            self._peak = {key: max(value, self._peak[key]) for key, value in now.items()}
            time.sleep(0.2)

    def peak(self) -> dict[str, float]:
        """In MiB, since the start or the last `forget`."""
        return {f"{key}_mib": round(value / 1024) for key, value in self._peak.items()}

    def forget(self) -> None:
        """Begins anew."""
        self._peak = {"anonymous": 0, "file": 0}


def processor_seconds(pid: int) -> float:
    """Of the user and of the system, by a process and its children, those included that have ended and been awaited."""
    ticks = 0
    for each in _family(pid):
        try:
            found = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        ticks += sum(int(found[place]) for place in (11, 12, 13, 14))
    return ticks / os.sysconf("SC_CLK_TCK")


@contextmanager
def serving(folder: Path, config: str) -> Iterator[tuple[str, Watched]]:
    """The address of a server with this configuration, which may name the embedder `static-words`. Its log and the
    configuration are in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "tamis.toml"
    file.write_text(config)
    with (
        (folder / "server.log").open("w") as log,
        subprocess.Popen(
            [sys.executable, "-c", _SERVER, file],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=with_static_words(folder),
        ) as process,
    ):
        try:
            if process.stdout is None or not (address := process.stdout.readline().strip()):
                sys.exit(f"the server did not start; {folder / 'server.log'} says why")
            yield address, Watched(process.pid)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()


def with_static_words(folder: Path) -> dict[str, str]:
    """An environment in which the embedder `static-words` of this folder is installed; `folder` keeps what says so."""
    site = folder / "site" / "tamis_static_words-1.0.dist-info"
    site.mkdir(parents=True, exist_ok=True)
    (site / "METADATA").write_text("Metadata-Version: 2.1\nName: tamis-static-words\nVersion: 1.0\n")
    (site / "entry_points.txt").write_text(_STATIC_WORDS)
    here = [str(site.parent.resolve()), str(Path(__file__).parent.resolve())]
    path = os.pathsep.join([*here, *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": path}


def _family(pid: int) -> Iterator[int]:
    yield pid
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from _family(int(child))
    except OSError:
        return


def _kilobytes(status: str, name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+)", status, re.MULTILINE)
    return int(found[1]) if found else 0
