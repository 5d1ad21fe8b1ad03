"""Reader: from a file to the documents in it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from tamis.component import Component
from tamis.model import Document

__all__ = ["Reader", "Unreadable"]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Something that could not be read: the file, the line (from 1) if it has one, and why."""

    path: Path
    reason: str
    line: int | None = None

    def __str__(self) -> str:
        return f"{self.path}{f':{self.line}' if self.line else ''}: {self.reason}"


class Reader(Component):
    """Turns files of one format into documents. Runs in a process of its own for each file, within limits of time and
    memory that end the process; so it may block, and what it leaks does not matter.

    `suffixes` are those it reads, in lower case, with their dot. `format` names the format in documents' metadata.
    `version` changes when the same file gives other documents than before, so that it is read again.
    """

    suffixes: ClassVar[tuple[str, ...]] = ()
    format: ClassVar[str] = ""
    version: ClassVar[int] = 1

    async def open(self) -> None:
        """Imports what is slow to import: it is called once, before the processes for files are forked."""

    @abstractmethod
    def read(self, path: Path, name: str) -> Iterator[Document | Unreadable]:
        """The documents of one file, in its order, and what of it could not be read.

        A file that is one document has the id `name`; the rows of others have `NAME:LINE`, unless the file gives them
        ids. Whatever the file holds, nothing but `OSError` and `MemoryError` is raised.
        """
