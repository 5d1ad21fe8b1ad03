"""The document log: what it acknowledges is on disk."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import uuid
from collections.abc import Callable, Mapping, Sequence, Set
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from tamis.errors import ConfigurationError, NotFound, Unavailable
from tamis.filters import Filter
from tamis.journal import compaction, generations, leases, matching, requests
from tamis.journal.address import PostgresAddress
from tamis.journal.database import Database, SqliteDatabase, refusal
from tamis.journal.dead_letter_box import DeadLetterBox
from tamis.journal.group_commit import GroupCommit
from tamis.journal.lock import hold
from tamis.journal.recent import Recent, size_of
from tamis.journal.records import (
    Changes,
    Collection,
    Delete,
    Mutation,
    Portion,
    Recipe,
    RequestKey,
    Written,
)
from tamis.journal.snapshots import Snapshots
from tamis.journal.store import Store
from tamis.model import Document, Passage

if TYPE_CHECKING:
    from tamis.journal.notifications import Notifications

__all__ = ["CATALOG", "Journal"]

T = TypeVar("T")
_REMOVED_AT_ONCE = 2_000
_MOST_KEPT = 16_000_000  # characters
_SIZE_OF_COLLECTION = 500
CATALOG = ""
"""The topic of writes that belong to no collection's documents: collections created, deleted, changed."""


class Journal(DeadLetterBox):
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
        self._writes = GroupCommit(Store(connect()), self._changed)
        self._reads = Snapshots(connect)
        self._listeners: dict[str, set[Callable[[], None]]] = {}
        self._notifications: Notifications | None = None
        self._recent = Recent(0 if self.is_shared else _MOST_KEPT)  # of what others write one hears too late
        self._writes.changing = self._changing

    @property
    def is_shared(self) -> bool:
        """Whether other servers may write to it."""
        return self._reads.is_shared

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
            self._recent.keep(found, _SIZE_OF_COLLECTION, edition)
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
            read = await self._read(
                lambda store: [(each, size_of(each)) for each in store.passages(collection, missing, split).values()]
            )
            for passage, size in read:
                self._recent.keep(passage, size, edition, split, passage.id)
                found[passage.id] = passage
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
        return self._writes.waiting_count

    def observe_commits(self, observer: Callable[[int, float], None]) -> None:
        """Has `observer` called, on the writer's thread, after each commit, with how many writes shared it and how long
        it took."""
        self._writes.committed = observer

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
        return await self._writes.between(_give_back)

    async def aside(self, work: Callable[[Store], T]) -> T:
        """Does what only reads and may take long on a connection of its own, so that no other read waits for it.

        `work` sees the journal as it was at one moment. A journal in SQLite cannot shrink its log meanwhile, so what
        takes minutes goes in pieces.
        """
        return await self._reads.aside(work)

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
        return await self._reads.read(work)

    async def _write(self, work: Callable[[Store], T], collection: str | None = CATALOG) -> T:
        """Does `work` in a transaction, once or, when that is undone, again; wakes who listens to `collection`.

        None is for what nobody listens to.
        """
        return await self._writes.write(work, collection)

    def _changing(self, topics: Set[str | None]) -> AbstractContextManager[None]:
        known = {each for each in topics if each}
        return self._recent.changing(known if len(known) == len(topics) else None)

    def _changed(self, store: Store, topics: set[str]) -> None:
        for topic in topics:
            self._told(topic)
        store.announce([f"{self._name} {topic}" for topic in topics])

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
        self._writes.close()
        self._reads.close()


def _give_back(store: Store) -> int:
    try:
        return store.database.give_back()
    except sqlite3.Error as error:
        raise refusal(error, "made smaller") from error


def _page(store: Store, collection: str, filter: Filter, after: str) -> matching.Page:
    return matching.page(store.database, store.key(collection), filter, after=after)
