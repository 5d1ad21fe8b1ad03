"""After an end that was none: every local index is compared with the journal once, in the background, and mended."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing
from pathlib import Path

import structlog

from tamis.errors import NotFound
from tamis.journal import Collection
from tamis.verification.comparison import Comparison

__all__ = ["Aftercare"]

_LOG = structlog.get_logger(__name__)


class Aftercare:
    """Knows by a file whether indexes were closed in order, and has them compared if they were not.

    The file is there while a server has the indexes open, and empty. An orderly end removes it, or leaves in it the
    incarnations that were yet to be compared, one a line; the next start goes on with those. After a kill, also one
    amid the comparisons, every collection is due.
    """

    def __init__(self, file: Path, compare: Callable[[Collection], AsyncGenerator[Comparison, None]]) -> None:
        """`compare` mends what it finds."""
        self._file, self._compare = file, compare
        self._found: str | None = None
        self._due: set[str] | None = None
        self._task: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """To be called before the first index is opened. Raises `OSError`."""
        self._found = await asyncio.to_thread(_taken, self._file)

    def start(self, collections: Iterable[Collection]) -> None:
        """Begins to compare what is due, of the collections there are; returns at once."""
        known = {each.incarnation: each for each in collections}
        left = set() if self._found is None else set(self._found.split()) or set(known)
        self._due = left & known.keys()
        if self._due:
            _LOG.warning("indexes were not closed in order; comparing them with the journal", count=len(self._due))
            due = [each for incarnation, each in known.items() if incarnation in self._due]
            self._task = asyncio.create_task(self._take_care(due), name="aftercare")

    async def stop(self) -> None:
        """Ends the comparison under way. To be called before the indexes are closed."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def close(self) -> None:
        """To be called once every index is closed, and only then."""
        content = self._found if self._due is None else "\n".join(sorted(self._due)) or None
        try:
            await asyncio.to_thread(_left, self._file, content)
        except OSError as error:
            _LOG.warning("the end is not written down; the next start compares indexes", reason=error.strerror)

    async def _take_care(self, due: list[Collection]) -> None:
        for collection in due:
            try:
                is_done = await self._compared(collection)
            except NotFound:
                is_done = True
            except Exception:
                _LOG.exception("indexes cannot be compared", collection=collection.id)
                is_done = False
            if is_done and self._due is not None:
                self._due.discard(collection.incarnation)
        _LOG.info("indexes are compared", left_count=len(self._due or ()))

    async def _compared(self, collection: Collection) -> bool:
        """Whether every index could be compared; the next start tries again those that could not."""
        is_done = True
        async with aclosing(self._compare(collection)) as comparisons:
            async for each in comparisons:
                _tell(collection, each)
                is_done = is_done and not each.problems
        return is_done


def _tell(collection: Collection, found: Comparison) -> None:
    is_well = not (found.missing_count or found.extra_count or found.problems)
    (_LOG.info if is_well else _LOG.warning)(
        "index is as it should be" if is_well else "index differed from the journal",
        collection=collection.id,
        stage=found.stage,
        generation=found.generation,
        passage_count=found.passage_count,
        missing_count=found.missing_count,
        extra_count=found.extra_count,
        repaired_document_count=found.repaired_document_count,
        problems=found.problems,
    )


def _taken(file: Path) -> str | None:
    found = file.read_text() if file.exists() else None
    _write(file, "")
    return found


def _left(file: Path, content: str | None) -> None:
    if content is None:
        file.unlink(missing_ok=True)
        _sync(file.parent)
    else:
        _write(file, content)


def _write(file: Path, content: str) -> None:
    new = file.with_name(f"{file.name}.new")
    new.write_text(content)
    _sync(new)
    new.replace(file)
    _sync(file.parent)


def _sync(path: Path) -> None:
    opened = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
