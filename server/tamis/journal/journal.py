"""The document log: what it acknowledges is on disk."""

from __future__ import annotations

import asyncio
import fcntl
import os
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import structlog

from tamis.errors import ConfigurationError, NotFound, Overloaded, TamisError, Unavailable
from tamis.filters import Filter
from tamis.journal import dead_letters, matching, requests
from tamis.journal.database import Database, SqliteDatabase
from tamis.journal.records import Changes, Collection, DeadLetter, Delete, Mutation, RequestKey, Rewrite, Written
from tamis.journal.store import Store
from tamis.model import Document, Passage

__all__ = ["Journal"]

T = TypeVar("T")
_LOG = structlog.get_logger(__name__)
_MOST_WAITING = 1_024
_PAGE = 1_000  # documents


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

    async def create_collection(self, id: str, language: str = "") -> Collection:
        """Raises `AlreadyExists`."""
        return await self._write(lambda store: store.create_collection(id, language))

    async def delete_collection(self, id: str) -> None:
        """Raises `NotFound`."""
        await self._write(lambda store: store.delete_collection(id))

    async def collection(self, id: str) -> Collection:
        """Raises `NotFound`."""
        return await self._read(lambda store: store.collection(id))

    async def collections(self, *, limit: int, after: str = "") -> list[Collection]:
        """At most `limit` collections by id, those beyond `after`."""
        return await self._read(lambda store: store.collections(limit, after))

    async def write(self, collection: str, mutations: Sequence[Mutation], request: RequestKey | None = None) -> Written:
        """Writes all mutations or none, and returns once they are durable. The same `request` again changes nothing.

        Raises `NotFound`; `AlreadyExists` for a name that another request has; `InvalidRequest` for a patch too large;
        `Overloaded` when too much waits; `Unavailable` when the disk does not take it.
        """
        return await self._write_once(collection, request, lambda store: store.write(collection, mutations))

    async def delete_matching(self, collection: str, filter: Filter, request: RequestKey | None = None) -> Written:
        """Deletes all documents that satisfy the filter when it is committed, or none. Raises like `write`.

        Looks at the collection beforehand, page by page; only what was written meanwhile is judged in the transaction.
        """
        known = await self.collection(collection)
        if request is not None:
            done = await self._read(lambda store: requests.remembered(store.database, store.key(collection), request))
            if done is not None:
                return done
        found = await self._matching(collection, filter)

        def work(store: Store) -> Written:
            if store.collection(collection).incarnation != known.incarnation:
                raise NotFound("collection", collection, field="collection")
            key = store.key(collection)
            ids = matching.rejudged(store.database, key, filter, found, since=known.last_sequence)
            return store.write(collection, [Delete(each) for each in ids])

        return await self._write_once(collection, request, work)

    async def document(self, collection: str, document_id: str) -> Document:
        """Raises `NotFound`."""
        return await self._read(lambda store: store.document(collection, document_id))

    async def documents(self, collection: str, *, limit: int, after: str = "") -> list[Document]:
        """At most `limit` documents by id, without texts, those beyond `after`."""
        return await self._read(lambda store: store.documents(collection, limit, after))

    async def passages(self, collection: str, wanted: Sequence[tuple[str, int]]) -> dict[str, Passage]:
        """Passages by (id, document version), superseded ones left out."""
        return await self._read(lambda store: store.passages(collection, wanted)) if wanted else {}

    async def changes(self, collection: str, *, after: int, limit: int = 512, byte_limit: int = 512 << 10) -> Changes:
        """What happened after a sequence, for followers."""
        return await self._read(lambda store: store.changes(collection, after, limit, byte_limit))

    async def dead_letters(
        self, collection: str, *, limit: int, after: dead_letters.Place | None = None
    ) -> list[DeadLetter]:
        """At most `limit` dead letters by stage, document id and generation, those beyond `after`."""
        return await self._read(
            lambda store: dead_letters.page(store.database, store.key(collection), limit, after),
        )

    async def dead_letter_count(self, collection: str, generation: int, stage: str) -> int:
        """How many documents an index could not take."""
        return await self._read(
            lambda store: dead_letters.count(store.database, store.key(collection), generation, stage)
        )

    async def dead_lettered(
        self, collection: str, generation: int, stage: str, document_ids: Sequence[str]
    ) -> list[str]:
        """Those of the documents that an index could not take."""
        return await self._read(
            lambda store: dead_letters.among(store.database, store.key(collection), generation, stage, document_ids)
        )

    async def put_dead_letter(self, collection: str, letter: DeadLetter) -> None:
        """On return it is durable, in place of an older one of the same index and document. Raises like `write`."""
        await self._write(lambda store: dead_letters.put(store.database, store.key(collection), letter))

    async def withdraw_dead_letters(
        self, collection: str, generation: int, stage: str, document_ids: Sequence[str]
    ) -> None:
        """Removes what is there of them. Raises like `write`."""
        await self._write(
            lambda store: dead_letters.withdraw(store.database, store.key(collection), generation, stage, document_ids)
        )

    async def retry_dead_letters(self, collection: str, document_ids: Sequence[str] = ()) -> Written:
        """Writes documents that an index could not take anew, as they are: those given, or all. Raises like `write`."""
        if document_ids:
            return await self._rewrite(collection, lambda db, key: dead_letters.of_documents(db, key, document_ids))
        sequence, count, after = 0, 0, ""
        while True:
            ids = await self._dead_documents(collection, after)
            if not ids:
                return Written(sequence, count, 0)
            written = await self._rewrite(collection, partial(dead_letters.of_documents, document_ids=ids))
            sequence, count, after = max(sequence, written.sequence), count + written.written_count, ids[-1]

    async def _dead_documents(self, collection: str, after: str) -> list[str]:
        return await self._read(
            lambda store: dead_letters.documents(store.database, store.key(collection), _PAGE, after)
        )

    async def _rewrite(self, collection: str, choose: Callable[[Database, int], list[str]]) -> Written:
        def work(store: Store) -> Written:
            return store.write(collection, [Rewrite(each) for each in choose(store.database, store.key(collection))])

        return await self._write(work, collection)

    async def _matching(self, collection: str, filter: Filter) -> list[str]:
        found, after = list[str](), ""
        while True:
            work = partial(_page, collection=collection, filter=filter, after=after)
            page = await self._read(work)
            found += page.document_ids
            if not page.last:
                return found
            after = page.last

    async def _write_once(
        self, collection: str, request: RequestKey | None, work: Callable[[Store], Written]
    ) -> Written:
        return await self._write(
            lambda store: requests.once(store.database, store.key(collection), request, lambda: work(store)),
            collection,
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


def _page(store: Store, collection: str, filter: Filter, after: str) -> matching.Page:
    return matching.page(store.database, store.key(collection), filter, after=after)


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
