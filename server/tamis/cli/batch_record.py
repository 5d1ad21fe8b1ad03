"""The output of `tamis batch`: grows by whole answers, survives any end, and knows what it holds."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO, Self

__all__ = ["NotARecord", "Record"]


_ENDS = ("hits", "error")


class NotARecord(Exception):
    """The file at hand was not written by this command, or another run is writing it; the message says which."""


class Record:
    """What has become of each query: a JSON object a line, with its `id`, and an `error` where it failed.

    With `run`, the answers themselves go there as text, and each line of the record says how many bytes of it hold.
    A line counts once it ends, so a kill at any point leaves at most one torn line, which opening removes together with
    whatever of `run` nothing tells of. Not for several processes at once: the second is refused.
    """

    def __init__(self, path: Path, run: Path | None = None) -> None:
        """Use `open` next."""
        self.path, self.run = path, run
        self.done_count = self.failed_count = 0
        self.is_mended = False
        self._seen: set[bytes] = set()
        self._size = 0
        self._stack = ExitStack()
        self._file: BinaryIO
        self._run_file: BinaryIO | None = None

    def open(self, *, restart: bool, retry_failed: bool) -> Self:
        """Opens or creates it, mends its end, learns what is done; `restart` empties it first, `retry_failed` takes the
        failures out. Raises `NotARecord`, `OSError`."""
        self._file = self._opened(self.path)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.close()
            raise NotARecord(f"another run is writing to {self.path}") from None
        try:
            self._run_file = None if self.run is None else self._opened(self.run)
            if restart:
                self._cut(0, 0)
            elif self._run_file is not None and not os.path.getsize(self.path) and os.path.getsize(self._run_file.name):
                raise NotARecord(f"{self.run} was not begun by this command")
            self._learn()
            if retry_failed and self.failed_count:
                self._forget_failures()
        except BaseException:
            self.close()
            raise
        return self

    def close(self) -> None:
        """Gives it free. Everything that was added is there already."""
        self._stack.close()

    def __contains__(self, id: str) -> bool:
        return _digest(id) in self._seen

    def add(self, line: dict[str, Any], text: str = "") -> None:
        """Adds what became of a query, `text` to the run first."""
        if self._run_file is not None:
            data = text.encode()
            self._run_file.write(data)
            self._run_file.flush()
            self._size += len(data)
            line = {**line, "size": self._size}
        self._file.write(_written(line))
        self._file.flush()
        self._count(line)

    def _opened(self, path: Path) -> BinaryIO:
        path.parent.mkdir(parents=True, exist_ok=True)
        return self._stack.enter_context(os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+b"))

    def _learn(self) -> None:
        whole = size = 0
        for line, end in self._lines():
            self._count(line)
            whole, size = end, line.get("size", 0)
        if self._run_file is not None and self._run_file.seek(0, os.SEEK_END) < size:
            raise NotARecord(f"{self.run} is shorter than {self.path} says; --restart begins anew")
        self.is_mended = whole < self._file.seek(0, os.SEEK_END)
        self._cut(whole, size)

    def _lines(self) -> Iterator[tuple[dict[str, Any], int]]:
        """Each whole line, with where it ends."""
        self._file.seek(0)
        end = 0
        for number, line in enumerate(self._file, 1):
            if not line.endswith(b"\n"):
                return
            end += len(line)
            try:
                found = json.loads(line)
                known = isinstance(found, dict) and isinstance(found["id"], str)
                known = known and (isinstance(found["size"], int) if self.run else not found.keys().isdisjoint(_ENDS))
            except (ValueError, KeyError, RecursionError):
                known = False
            if not known:
                raise NotARecord(f"{self.path} was not written by this command: line {number} holds no answer")
            yield found, end

    def _cut(self, end: int, size: int) -> None:
        """Leaves that many bytes of both files, and goes on from there."""
        self._file.truncate(end)
        self._file.seek(end)
        self._size = size
        if self._run_file is not None:
            self._run_file.truncate(size)
            self._run_file.seek(size)

    def _count(self, line: dict[str, Any]) -> None:
        self._seen.add(_digest(line["id"]))
        self.done_count += 1
        self.failed_count += "error" in line

    def _forget_failures(self) -> None:
        """Writes the others to a new file that takes the place of the old one at once."""
        fresh = self.path.with_name(f"{self.path.name}.new")
        with fresh.open("wb") as kept:
            for line, _ in self._lines():
                if "error" not in line:
                    kept.write(_written(line))
        fcntl.flock(file := self._opened(fresh), fcntl.LOCK_EX)
        fresh.replace(self.path)
        self._file = file
        self.done_count = self.failed_count = 0
        self._seen.clear()
        self._learn()


def _written(line: dict[str, Any]) -> bytes:
    return json.dumps(line, ensure_ascii=False).encode() + b"\n"


def _digest(id: str) -> bytes:
    return hashlib.blake2b(id.encode(), digest_size=16).digest()
