"""The document log: what it acknowledges is on disk."""

from __future__ import annotations

import asyncio
import fcntl
import os
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import structlog

from tamis.errors import ConfigurationError, Overloaded, TamisError, Unavailable
from tamis.journal import generations
from tamis.journal.database import Database, SqliteDatabase
from tamis.journal.records import Changes, Collection, Mutation, Portion, Recipe, Written
from tamis.journal.store import Store
from tamis.model import Document, Passage

__all__ = ["Journal"]

T = TypeVar("T")
_LOG = structlog.get_logger(__name__)
_MOST_WAITING = 1_024


@dataclass(frozen=True, slots=True)
class _Waiting:
    work: Callable[[Store], Any]
    outcome: Future[Any]
    collection: str = ""


class Journal:
    """Collections and their changes in one SQLite file. Usable from any event loop.

    Writes that wait at the same time are committed together, with one flush to disk, and acknowledged after it; one
    that fails does not fail its neighbours. Reads have a connection and a thread of their own and never wait for a
    commit. One process at a time has a journal open.
    """

    def __init__(self, connect: Callable[[], Database], lock: int) -> None:
        """Use `open`."""
        self._lock = lock
        self._writes = ThreadPoolExecutor(1, thread_name_prefix="tamis-journal-write")
        self._reads = ThreadPoolExecutor(1, thread_name_prefix="tamis-journal-read")
        self._writer, self._reader = Store(connect()), Store(connect())
        self._waiting: deque[_Waiting] = deque()
        self._guard = threading.Lock()
        self._listeners: dict[str, set[Callable[[], None]]] = {}

    @classmethod
    async def open(cls, path: Path) -> Journal:
        """Opens or creates the journal. Raises `ConfigurationError` when another process has it, or cannot be used."""
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return cls(lambda: SqliteDatabase(path), lock)
        except BlockingIOError:
            os.close(lock)
            raise ConfigurationError("another process has this journal open", path=str(path)) from None
        except sqlite3.Error as error:
            os.close(lock)
            raise ConfigurationError(f"the journal cannot be opened: {error}", path=str(path)) from error
        except BaseException:
            os.close(lock)
            raise

    async def close(self) -> None:
        """Finishes what was begun, then closes. Nothing may be called afterwards."""
        await asyncio.get_running_loop().run_in_executor(None, self._close)

    def listen(self, collection: str, listener: Callable[[], None]) -> Callable[[], None]:
        """Has `listener` called, on the writer's thread, after each commit to a collection. Returns how to stop it."""
        self._listeners.setdefault(collection, set()).add(listener)
        return lambda: self._listeners.get(collection, set()).discard(listener)

    async def create_collection(self, id: str, language: str = "", recipe: Recipe | None = None) -> Collection:
        """Without a recipe its documents are divided by the built-in chunker. Raises `AlreadyExists`."""
        made = recipe or Recipe()
        return await self._write(lambda store: store.create_collection(id, language, made))

    async def delete_collection(self, id: str) -> None:
        """Raises `NotFound`."""
        await self._write(lambda store: store.delete_collection(id))

    async def collection(self, id: str) -> Collection:
        """Raises `NotFound`."""
        return await self._read(lambda store: store.collection(id))

    async def collections(self, *, limit: int, after: str = "") -> list[Collection]:
        """At most `limit` collections by id, those beyond `after`."""
        return await self._read(lambda store: store.collections(limit, after))

    async def write(self, collection: str, mutations: Sequence[Mutation]) -> Written:
        """Writes all mutations or none, and returns once they are durable.

        Raises `NotFound`; `SplitsChanged` when passages of a split are missing; `Overloaded` when too much waits;
        `Unavailable` when the disk does not take it.
        """
        return await self._write(lambda store: store.write(collection, mutations), collection)

    async def document(self, collection: str, document_id: str) -> Document:
        """Raises `NotFound`."""
        return await self._read(lambda store: store.document(collection, document_id))

    async def documents(self, collection: str, *, limit: int, after: str = "") -> list[Document]:
        """At most `limit` documents by id, without texts, those beyond `after`."""
        return await self._read(lambda store: store.documents(collection, limit, after))

    async def passages(self, collection: str, wanted: Sequence[tuple[str, int]], split: int = 1) -> dict[str, Passage]:
        """Passages by (id, document version), superseded ones left out."""
        return await self._read(lambda store: store.passages(collection, wanted, split)) if wanted else {}

    async def changes(
        self, collection: str, *, after: int, limit: int = 512, byte_limit: int = 512 << 10, split: int = 1
    ) -> Changes:
        """What happened after a sequence, for followers, with the passages of a split."""
        return await self._read(lambda store: store.changes(collection, after, limit, byte_limit, split))

    async def adopt_generations(self, recipe: Recipe) -> None:
        """Takes it that the chunker of `recipe` divided those generations of which an older Tamis wrote down none."""
        await self._write(lambda store: generations.adopt(store.database, recipe))

    async def add_generation(self, collection: str, recipe: Recipe) -> int:
        """Begins a generation and returns its number. Raises `NotFound`, `FailedPrecondition`."""
        return await self._write(
            lambda store: generations.add(store.database, store.key(collection), recipe), collection
        )

    async def undivided(
        self, collection: str, generation: int, *, limit: int = 256, byte_limit: int = 1 << 20
    ) -> Portion:
        """The next documents to divide for a generation. Raises `NotFound` for the collection."""
        return await self._read(lambda store: store.documents_beyond(collection, generation, limit, byte_limit))

    async def divide(
        self, collection: str, generation: int, portion: Portion, divisions: Mapping[str, Sequence[Passage]]
    ) -> None:
        """Adds the passages of a portion's documents, by their ids; an empty portion ends the division.

        Leaves alone what was written, deleted or divided since the portion was read. Raises `NotFound`.
        """
        await self._write(
            lambda store: generations.divide(store.database, store.key(collection), generation, portion, divisions),
            collection,
        )

    async def serve_generation(self, collection: str, generation: int) -> None:
        """Has every search that begins afterwards read a generation. Raises `NotFound`, `FailedPrecondition`."""
        await self._write(
            lambda store: generations.serve(store.database, store.key(collection), generation), collection
        )

    async def drop_generation(self, collection: str, generation: int) -> None:
        """Gives up a generation that does not serve. Raises `NotFound`, `FailedPrecondition`."""
        await self._write(lambda store: generations.drop(store.database, store.key(collection), generation), collection)

    async def sweep_generation(self, collection: str, generation: int, *, limit: int = 2_000) -> bool:
        """Removes some of what only a dropped generation used; returns whether that was all."""
        return await self._write(
            lambda store: generations.sweep(store.database, store.key(collection), generation, limit)
        )

    async def _read(self, work: Callable[[Store], T]) -> T:
        return await asyncio.wrap_future(self._reads.submit(work, self._reader))

    async def _write(self, work: Callable[[Store], T], collection: str = "") -> T:
        outcome: Future[T] = Future()
        with self._guard:
            if len(self._waiting) >= _MOST_WAITING:
                raise Overloaded("too many writes are waiting for the journal")
            self._waiting.append(_Waiting(work, outcome, collection))
        self._writes.submit(self._commit_waiting)
        return await asyncio.wrap_future(outcome)

    def _commit_waiting(self) -> None:
        """Group commit: everything that waits goes into one transaction."""
        with self._guard:
            group = [each for each in self._waiting if each.outcome.set_running_or_notify_cancel()]
            self._waiting.clear()
        if not group:
            return
        try:
            self._writer.begin()
            outcomes = [_attempt(self._writer, each.work) for each in group]
            self._writer.commit()
        except Exception as error:
            self._writer.rollback()
            _LOG.exception("journal commit failed")
            failure = Unavailable("the journal cannot be written")
            failure.__cause__ = error
            outcomes = [failure] * len(group)
        for each, outcome in zip(group, outcomes, strict=True):
            if isinstance(outcome, BaseException):
                each.outcome.set_exception(outcome)
            else:
                each.outcome.set_result(outcome)
        for collection in {each.collection for each in group}:
            for listener in list(self._listeners.get(collection, ())):
                listener()

    def _close(self) -> None:
        self._writes.shutdown(wait=True)
        self._reads.shutdown(wait=True)
        self._writer.close()
        self._reader.close()
        os.close(self._lock)


def _attempt(store: Store, work: Callable[[Store], Any]) -> Any:
    """One write of a group. What a caller did wrong is undone and returned; anything else fails the whole group."""
    store.savepoint()
    try:
        result = work(store)
    except TamisError as error:
        store.undo()
        return error
    store.release()
    return result
