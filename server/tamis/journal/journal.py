"""The document log: what it acknowledges is on disk."""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import structlog

from tamis.errors import ConfigurationError, NotFound, Overloaded, TamisError, Unavailable
from tamis.filters import Filter
from tamis.journal import compaction, dead_letters, generations, leases, matching, requests
from tamis.journal.address import PostgresAddress
from tamis.journal.database import Database, Interrupted, SqliteDatabase, refusal
from tamis.journal.lock import hold
from tamis.journal.recent import Recent
from tamis.journal.records import (
    Changes,
    Collection,
    DeadLetter,
    Delete,
    Mutation,
    Portion,
    Recipe,
    RequestKey,
    Rewrite,
    Written,
)
from tamis.journal.store import Store
from tamis.model import Document, Passage

if TYPE_CHECKING:
    from tamis.journal.notifications import Notifications

__all__ = ["CATALOG", "Journal"]

T = TypeVar("T")
_LOG = structlog.get_logger(__name__)
_MOST_WAITING = 1_024
_MOST_ATTEMPTS = 4
_REMOVED_AT_ONCE = 2_000
_PAGE = 1_000  # documents
_MOST_KEPT = 16_000_000  # characters
_SIZE_OF_ONE = 500  # what a value takes beside its text, in characters
CATALOG = ""
"""The topic of writes that belong to no collection's documents: collections created, deleted, changed."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    work: Callable[[Store], Any]
    outcome: Future[Any]
    collection: str | None


class Journal:
    """Collections and their changes in a database. Usable from any event loop.

    Writes that wait at the same time are committed together, with one flush to disk, and acknowledged after it; one
    that fails does not fail its neighbours. Reads have a connection and a thread of their own, see the journal as it
    was at one moment, and never wait for a commit. One process at a time has a journal in SQLite open; one in
    PostgreSQL is shared by any number.
    """

    def __init__(self, connect: Callable[[], Database], lock: int | None) -> None:
        """Use `open`."""
        self._lock = lock
        self._name = uuid.uuid4().hex
        self._writer, self._reader = Store(connect()), Store(connect())
        self._writes = ThreadPoolExecutor(1, thread_name_prefix="tamis-journal-write")
        self._reads = ThreadPoolExecutor(1, thread_name_prefix="tamis-journal-read")
        self._asides = ThreadPoolExecutor(1, thread_name_prefix="tamis-journal-aside")
        self._connect = connect
        self._aside: Store | None = None
        self._waiting: deque[_Waiting] = deque()
        self._guard = threading.Lock()
        self._listeners: dict[str, set[Callable[[], None]]] = {}
        self._notifications: Notifications | None = None
        self._recent = Recent(0 if self.is_shared else _MOST_KEPT)  # of what others write one hears too late
        self.committed: Callable[[int, float], None] = lambda count, seconds: None
        """Called on the writer's thread after each commit, with how many writes shared it and how long it took."""

    @property
    def is_shared(self) -> bool:
        """Whether other servers may write to it."""
        return self._reader.database.is_shared

    @classmethod
    async def open(cls, where: Path | PostgresAddress, *, lock: Path | None = None) -> Journal:
        """Opens or creates the journal. `lock` is a file that no other process may have locked; beside an SQLite file
        there is one in any case.

        Raises `ConfigurationError` when it cannot be used: a file that another process has, a database that is away.
        """
        lock = where.with_suffix(".lock") if isinstance(where, Path) else lock
        held = None if lock is None else hold(lock)
        try:
            if isinstance(where, Path):
                return cls(lambda: SqliteDatabase(where), held)
            return await asyncio.get_running_loop().run_in_executor(None, cls._open_shared, where, held)
        except BaseException as error:
            if held is not None:
                os.close(held)
            if isinstance(error, sqlite3.Error):
                message = f"the journal cannot be opened: {error}; docs/durability.md says how to restore a backup"
                raise ConfigurationError(message, path=str(where)) from error
            raise

    @classmethod
    def _open_shared(cls, address: PostgresAddress, held: int | None) -> Journal:
        journal = None
        try:
            journal = cls(address.connect, held)
            journal._notifications = address.listen(journal._name, journal._told)
            return journal
        except BaseException as error:
            if journal is not None:
                journal._end()
            if isinstance(error, Unavailable):
                raise ConfigurationError(f"[journal] {error.message}") from error
            raise

    async def close(self) -> None:
        """Finishes what was begun, then closes. Nothing may be called afterwards."""
        await asyncio.get_running_loop().run_in_executor(None, self._close)

    def listen(self, collection: str, listener: Callable[[], None]) -> Callable[[], None]:
        """Has `listener` called, on a thread of the journal, after each commit to a collection, by this server or
        another; perhaps without one, too. `CATALOG` stands for changes of the collections themselves.

        Returns how to stop it.
        """
        self._listeners.setdefault(collection, set()).add(listener)
        return lambda: self._listeners.get(collection, set()).discard(listener)

    async def create_collection(
        self, id: str, language: str = "", recipe: Recipe | None = None, *, tenant_partitioned: bool = False
    ) -> Collection:
        """Without a recipe its documents are divided by the built-in chunker. Raises `AlreadyExists`."""
        made = recipe or Recipe()
        return await self._write(
            lambda store: store.create_collection(id, language, made, tenant_partitioned=tenant_partitioned)
        )

    async def delete_collection(self, id: str) -> None:
        """Raises `NotFound`."""
        await self._write(lambda store: store.delete_collection(id))

    async def collection(self, id: str) -> Collection:
        """Raises `NotFound`."""
        edition = self._recent.edition(id)
        found: Collection | None = self._recent.get(edition)
        if found is None:
            found = await self._read(lambda store: store.collection(id))
            self._recent.keep(found, _SIZE_OF_ONE, edition)
        return found

    async def collections(self, *, limit: int, after: str = "") -> list[Collection]:
        """At most `limit` collections by id, those beyond `after`."""
        return await self._read(lambda store: store.collections(limit, after))

    async def all_collections(self) -> list[Collection]:
        """Every collection, by id."""
        found: list[Collection] = []
        while page := await self.collections(limit=1_000, after=found[-1].id if found else ""):
            found.extend(page)
        return found

    async def write(self, collection: str, mutations: Sequence[Mutation], request: RequestKey | None = None) -> Written:
        """Writes all mutations or none, and returns once they are durable. The same `request` again changes nothing.

        Raises `NotFound`; `SplitsChanged` when passages of a split are missing; `AlreadyExists` for a name that another
        request has; `InvalidRequest` for a patch too large; `Overloaded` when too much waits; `Unavailable` when the
        disk does not take it.
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

    async def tenant_collection(self, tenant: str, name: str) -> Collection:
        """A collection as a tenant sees it. Raises `NotFound`, which tells of no other tenant's."""
        return await self._read(lambda store: store.tenant_collection(tenant, name))

    async def tenant_collections(self, tenant: str, *, limit: int, after: str = "") -> list[Collection]:
        """At most `limit` of those by name, those beyond `after`."""
        return await self._read(lambda store: store.tenant_collections(tenant, limit, after))

    async def documents(self, collection: str, *, limit: int, after: str = "", tenant: str = "") -> list[Document]:
        """At most `limit` documents, all or one tenant's, by id, without texts, those beyond `after`."""
        return await self._read(lambda store: store.documents(collection, limit, after, tenant))

    async def passages(self, collection: str, wanted: Sequence[tuple[str, int]], split: int = 1) -> dict[str, Passage]:
        """Passages by (id, document version), superseded ones left out."""
        edition = self._recent.edition(collection)
        known = {each: self._recent.get(edition, split, each[0]) for each in wanted}
        found = {id: each for (id, version), each in known.items() if each and each.document_version == version}
        if missing := [each for each, passage in known.items() if passage is None]:
            read = await self._read(lambda store: store.passages(collection, missing, split))
            for id, each in read.items():
                self._recent.keep(each, len(each.text) + _SIZE_OF_ONE, edition, split, id)
            found.update(read)
        return found

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
        return await self._write(lambda store: generations.add(store.database, store.key(collection), recipe))

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
            None if portion.documents else CATALOG,
        )

    async def serve_generation(self, collection: str, generation: int) -> None:
        """Has every search that begins afterwards read a generation. Raises `NotFound`, `FailedPrecondition`."""
        await self._write(lambda store: generations.serve(store.database, store.key(collection), generation))

    async def drop_generation(self, collection: str, generation: int) -> None:
        """Gives up a generation that does not serve. Raises `NotFound`, `FailedPrecondition`."""
        await self._write(lambda store: generations.drop(store.database, store.key(collection), generation))

    async def sweep_generation(self, collection: str, generation: int, *, limit: int = 2_000) -> bool:
        """Removes some of what only a dropped generation used; returns whether that was all."""
        return await self._write(
            lambda store: generations.sweep(store.database, store.key(collection), generation, limit)
        )

    @property
    def waiting_count(self) -> int:
        """How many writes wait for a commit."""
        return len(self._waiting)

    async def take_lease(self, place: leases.Place, seconds: float) -> int | None:
        """The epoch in which this process may write an index; None while another one may."""
        return await self._write(lambda store: leases.take(store.database, place, self._name, seconds), None)

    async def renew_leases(self, held: Mapping[leases.Place, int], seconds: float) -> dict[leases.Place, int]:
        """Prolongs leases of this process, by their epochs; returns those it still has."""
        return await self._write(lambda store: leases.renew(store.database, held, self._name, seconds), None)

    async def is_lease_held(self, place: leases.Place, epoch: int) -> bool:
        """Whether the lease of an epoch has not expired."""
        return await self._read(lambda store: leases.is_held(store.database, place, epoch))

    async def is_lease_free(self, place: leases.Place) -> bool:
        """Whether `take_lease` would succeed."""
        return await self._read(lambda store: leases.is_free(store.database, place, self._name))

    async def end_lease(self, place: leases.Place, epoch: int) -> None:
        """Lets another process take a lease at once."""
        await self._write(lambda store: leases.end(store.database, place, epoch), None)

    async def compact(self, collection: str, applied: int) -> int:
        """Removes changes up to `applied` that are superseded, a few thousand in a transaction. Returns how many.

        Every index that follows the journal must have applied that much. Raises `NotFound`.
        """
        upto = await self._read(lambda store: compaction.safe_upto(store.database, store.key(collection), applied))
        removed = 0
        while upto:
            some = await self._write(
                lambda store: compaction.remove(store.database, store.key(collection), upto, _REMOVED_AT_ONCE), None
            )
            removed += some
            if some < _REMOVED_AT_ONCE:
                break
        return removed

    async def give_back(self) -> int:
        """Returns free space to the disk and tells how many bytes; writes wait meanwhile, reads do not.

        Raises `Unavailable` when that cannot be done now, as on a disk that is full; nothing is lost by it.
        """
        return await asyncio.wrap_future(self._writes.submit(self._give_back_now))

    def _give_back_now(self) -> int:
        try:
            return self._writer.database.give_back()
        except sqlite3.Error as error:
            raise refusal(error, "made smaller") from error

    async def aside(self, work: Callable[[Store], T]) -> T:
        """Does what only reads and may take long on a connection of its own, so that no other read waits for it.

        `work` sees the journal as it was at one moment. A journal in SQLite cannot shrink its log meanwhile, so what
        takes minutes goes in pieces.
        """
        return await asyncio.wrap_future(self._asides.submit(self._do_aside, work))

    def _do_aside(self, work: Callable[[Store], T]) -> T:
        if self._aside is None:
            self._aside = Store(self._connect())
        return self._aside.read(work)

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

    async def put_dead_letter(self, collection: str, letter: DeadLetter, tenure: leases.Tenure = leases.ANYONE) -> None:
        """On return it is durable, in place of an older one of the same index and document.

        Raises like `write`, and `Superseded` or `NotFound` when the index is another server's, or gone, by then.
        """
        place = (collection, letter.generation, letter.stage)
        await self._write(lambda store: dead_letters.put(store.database, _entitled(store, place, tenure), letter), None)

    async def withdraw_dead_letters(
        self,
        collection: str,
        generation: int,
        stage: str,
        versions: Mapping[str, int],
        tenure: leases.Tenure = leases.ANYONE,
    ) -> None:
        """Removes what is there of these documents, in these versions or older ones. Raises like `put_dead_letter`."""
        place = (collection, generation, stage)

        def work(store: Store) -> None:
            dead_letters.withdraw(store.database, _entitled(store, place, tenure), generation, stage, versions)

        await self._write(work, None)

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
        return await asyncio.wrap_future(self._reads.submit(self._read_now, work))

    def _read_now(self, work: Callable[[Store], T]) -> T:
        try:
            return self._reader.read(work)
        except Interrupted:
            return self._reader.read(work)
        except sqlite3.Error as error:
            raise refusal(error, "read") from error

    async def _write(self, work: Callable[[Store], T], collection: str | None = CATALOG) -> T:
        """Does `work` in a transaction, once or, when that is undone, again; wakes who listens to `collection`.

        None is for what nobody listens to.
        """
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
        # Servers that write to several collections at once lock them in one order, and so do not lock each other out.
        group.sort(key=lambda each: each.collection or "")
        changed = {each.collection for each in group}
        with self._recent.changing(None if changed & {None, CATALOG} else {each for each in changed if each}):
            outcomes = self._outcomes(group)
        for each, outcome in zip(group, outcomes, strict=True):
            if isinstance(outcome, BaseException):
                each.outcome.set_exception(outcome)
            else:
                each.outcome.set_result(outcome)
        topics = {each for each in changed if each is not None}
        for topic in topics:
            self._told(topic)
        self._writer.announce([f"{self._name} {topic}" for topic in topics])

    def _outcomes(self, group: Sequence[_Waiting]) -> list[Any]:
        try:
            return self._committed(group)
        except Exception as error:
            self._writer.rollback()
            if isinstance(error, TamisError):
                _LOG.warning("journal commit failed", reason=error.message)
            else:
                _LOG.exception("journal commit failed")
            return [refusal(error, "written")] * len(group)

    def _committed(self, group: Sequence[_Waiting]) -> list[Any]:
        for attempt in range(1, _MOST_ATTEMPTS + 1):
            try:
                started = time.monotonic()
                self._writer.begin()
                outcomes = [_attempt(self._writer, each.work) for each in group]
                self._writer.commit()
                self.committed(len(group), time.monotonic() - started)
                return outcomes
            except Interrupted:
                self._writer.rollback()
                if attempt == _MOST_ATTEMPTS:
                    raise
                time.sleep(attempt * random.uniform(0.0, 0.05))  # so that two do not get in each other's way again
        raise AssertionError("unreachable")

    def _told(self, topic: str | None) -> None:
        """None stands for every topic."""
        sets = list(self._listeners.values()) if topic is None else [self._listeners.get(topic, set())]
        for listener in [each for listeners in sets for each in list(listeners)]:
            listener()

    def _close(self) -> None:
        self._end()
        if self._lock is not None:
            os.close(self._lock)

    def _end(self) -> None:
        if self._notifications is not None:
            self._notifications.close()
        self._writes.shutdown(wait=True)
        self._reads.shutdown(wait=True)
        self._asides.shutdown(wait=True, cancel_futures=True)
        if self._aside is not None:
            self._aside.close()
        self._writer.close()
        self._reader.close()


def _page(store: Store, collection: str, filter: Filter, after: str) -> matching.Page:
    return matching.page(store.database, store.key(collection), filter, after=after)


def _entitled(store: Store, place: leases.Place, tenure: leases.Tenure) -> int:
    """The collection's key. Raises `NotFound` for another incarnation, `Superseded` without the lease."""
    collection = place[0]
    key = store.key(collection)
    if tenure.incarnation not in ("", store.collection(collection).incarnation):
        raise NotFound("collection", collection, field="collection")
    if tenure.epoch is not None:
        leases.keep(store.database, place, tenure.epoch)
    return key


def _attempt(store: Store, work: Callable[[Store], Any]) -> Any:
    """One write of a group. What a caller did wrong is undone and returned; anything else fails the whole group."""
    store.savepoint()
    try:
        result = work(store)
    except Interrupted:
        raise
    except TamisError as error:
        store.undo()
        return error
    store.release()
    return result
