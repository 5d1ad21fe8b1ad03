"""Reads files side by side, each in a process of its own within limits, and gives their documents in order."""

from __future__ import annotations

import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from tamis.ingest.spool import unpacked
from tamis.ingest.worker import OUT_OF_MEMORY
from tamis.model import Document
from tamis.reading import Unreadable

__all__ = ["Job", "Limits", "Workers"]

_AHEAD = 4  # files for each worker that may wait, read, for those before them
_TOO_LONG = (signal.SIGALRM, signal.SIGXCPU)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Limits:
    """What one file may cost: `seconds` on the clock, and of the processor; `memory_bytes` beyond what the readers
    themselves take; `most_bytes` of the file, and of what it unpacks to."""

    seconds: float = 60.0
    memory_bytes: int = 1 << 30
    most_bytes: int = 1 << 30


@dataclass(frozen=True, slots=True)
class Job(Generic[T]):
    """A file to read as `name`, by the class `reader` (`module:Class`). `packed_suffix` is the suffix that the packing
    added to its name, `.gz`, or empty. `subject` is whatever the caller wants to have beside the documents."""

    path: Path
    name: str
    reader: str
    packed_suffix: str
    subject: T


class Workers:
    """Processes that are started when first needed. Use as a context: at its end all of them are gone."""

    def __init__(self, limits: Limits, worker_count: int | None = None) -> None:
        """By default as many as there are processors to run them."""
        self.limits = limits
        self._count = worker_count or len(os.sched_getaffinity(0))
        self._threads = ThreadPoolExecutor(self._count, thread_name_prefix="tamis-read")
        self._idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        self._workers = [_Worker() for _ in range(self._count)]
        for each in self._workers:
            self._idle.put(each)
        self._folder = Path(tempfile.mkdtemp(prefix="tamis-"))
        self._numbers = count()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends what is being read, at once."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        for each in self._workers:
            each.close()
        self._threads.shutdown(wait=True)
        shutil.rmtree(self._folder, ignore_errors=True)

    def read(self, jobs: Iterable[Job[T]]) -> Iterator[tuple[T, Iterator[Document | Unreadable]]]:
        """Each file's subject and documents, in the order of the jobs. Take a file's documents before the next file.

        A file that goes over a limit, or whose reader crashes, gives one `Unreadable` and nothing else.
        """
        waiting: deque[tuple[Job[T], Future[Path | Unreadable]]] = deque()
        for job in jobs:
            waiting.append((job, self._threads.submit(self._read_one, job)))
            if len(waiting) > self._count * _AHEAD:
                yield self._outcome(*waiting.popleft())
        while waiting:
            yield self._outcome(*waiting.popleft())

    def _outcome(self, job: Job[T], future: Future[Path | Unreadable]) -> tuple[T, Iterator[Document | Unreadable]]:
        found = future.result()
        return job.subject, iter((found,)) if isinstance(found, Unreadable) else unpacked(found, job.path)

    def _read_one(self, job: Job[Any]) -> Path | Unreadable:
        number = next(self._numbers)
        spool = self._folder / f"{number}.jsonl"
        unpack_to = ""
        if job.packed_suffix:
            inside = self._folder / str(number)
            inside.mkdir()
            unpack_to = str(inside / job.path.name[: -len(job.packed_suffix)])
        request = {
            "path": str(job.path),
            "name": job.name,
            "reader": job.reader,
            "spool": str(spool),
            "unpack_to": unpack_to,
            "seconds": self.limits.seconds,
            "memory_bytes": self.limits.memory_bytes,
            "most_bytes": self.limits.most_bytes,
            "spool_bytes": 4 * self.limits.most_bytes,
        }
        worker = self._idle.get()
        try:
            reply = worker.ask(request)
        finally:
            self._idle.put(worker)
            if unpack_to:
                shutil.rmtree(Path(unpack_to).parent, ignore_errors=True)
        problem = reply.get("problem") or self._problem(reply.get("status"))
        if not problem:
            return spool
        spool.unlink(missing_ok=True)
        return Unreadable(job.path, problem)

    def _problem(self, status: int | None) -> str:
        """What an exit status says; empty when all is well."""
        if status == 0:
            return ""
        if status is None:
            return "the process that should have read it ended"
        if status == OUT_OF_MEMORY or status == -signal.SIGKILL:
            return f"needs more than {self.limits.memory_bytes >> 20:,} MiB of memory to read"
        if -status in _TOO_LONG:
            return f"takes more than {self.limits.seconds:g} s to read"
        if status < 0:
            name = signal.Signals(-status).name
            return f"crashed its reader ({name}): it is damaged, or needs too much memory"
        return "its reader failed"


class _Worker:
    """One process that forks, asked for one file at a time."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._closed = False

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """The reply; an empty one when the process has ended. The next request starts another."""
        if self._closed:
            return {}
        if self._process is None:
            self._process = _started()
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()
            reply: dict[str, Any] = json.loads(process.stdout.readline())
        except (OSError, ValueError):
            self._end()
            return {}
        return reply

    def close(self) -> None:
        """Ends the process with all it has forked, from any thread."""
        self._closed = True
        if (process := self._process) is not None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _end(self) -> None:
        if (process := self._process) is not None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            for pipe in (process.stdin, process.stdout):
                with suppress(OSError):
                    if pipe is not None:
                        pipe.close()
        self._process = None


def _started() -> subprocess.Popen[bytes]:
    # In a session of its own, so that Ctrl-C is the parent's alone to answer; -P, so that no file in the current folder
    # is taken for a module.
    command = [sys.executable, "-P", "-m", "tamis.ingest.worker"]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
    )
