"""One collection: the journal with itself, then each index with the journal."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Callable, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

import structlog

from tamis.errors import NotFound, TamisError
from tamis.indexes import Indexes
from tamis.journal import Collection, Follower, Journal, audit, dead_letters, inventory
from tamis.journal.store import Store
from tamis.model import Change
from tamis.stage import SharedIndex
from tamis.verification.holdings import Holdings

__all__ = ["Comparison", "Verification"]

T = TypeVar("T")
_LOG = structlog.get_logger(__name__)
_AT_ONCE = 5_000
_MENDED_AT_ONCE = 64
_MOST_NAMED = 10


@dataclass(frozen=True, slots=True)
class Comparison:
    """How one index compares with the journal at `sequence`; for the journal itself `stage` is empty.

    `document_ids` are ten of those that differ, at most. `problems` is what is wrong besides, in words.
    """

    stage: str
    generation: int
    sequence: int
    passage_count: int
    missing_count: int = 0
    extra_count: int = 0
    repaired_document_count: int = 0
    document_ids: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


class Verification:
    """Compares collections. Lives on the loop the stages run on.

    An index is compared as it is at its checkpoint. Its follower pauses only while the index tells what it holds;
    documents that are written or deleted after that are left out of the comparison, so that nothing that is merely on
    its way is ever taken for a difference.
    """

    def __init__(self, journal: Journal, indexes: Indexes) -> None:
        self._journal, self._indexes = journal, indexes

    async def verify(self, collection: Collection, *, repair: bool) -> AsyncGenerator[Comparison, None]:
        """The journal, then each index of every generation as it is done. Raises `NotFound` when it is deleted."""
        yield await self._itself(collection)
        async with aclosing(self._each(collection, self._indexes.followers(collection.id), repair)) as comparisons:
            async for each in comparisons:
                yield each

    async def mend_local(self, collection: Collection) -> AsyncGenerator[Comparison, None]:
        """Each index that this server alone has, mended. Raises `NotFound` when the collection is deleted."""
        followers = self._indexes.followers(collection.id)
        local = [each for each in followers if not isinstance(each.index, SharedIndex)]
        async with aclosing(self._each(collection, local, True)) as comparisons:
            async for each in comparisons:
                yield each

    async def _each(
        self, collection: Collection, followers: Sequence[Follower], repair: bool
    ) -> AsyncGenerator[Comparison, None]:
        for follower in followers:
            executor = ThreadPoolExecutor(1, thread_name_prefix="tamis-verify")
            try:
                yield await self._compared(collection, follower, executor, repair)
            finally:
                executor.shutdown(wait=False, cancel_futures=True)

    async def _itself(self, collection: Collection) -> Comparison:
        id, found, wrong = collection.id, list[str](), list[str]()
        try:
            found += await self._journal.aside(lambda store: store.database.damages())
            found += await self._journal.aside(lambda store: audit.problems(store.database, store.key(id)))
            wrong = await self._misplaced(id)
        except sqlite3.DatabaseError as error:
            found.append(f"the journal's file cannot be read: {error}")
        if wrong:
            found.append(f"{len(wrong):,} documents have passages whose text is not what their span says")
        return Comparison(
            "",
            collection.serving_generation,
            collection.last_sequence,
            collection.passage_count,
            document_ids=tuple(wrong[:_MOST_NAMED]),
            problems=tuple(found),
        )

    async def _misplaced(self, id: str) -> list[str]:
        found, after = list[str](), ""
        while True:
            read = partial(_misplaced, id, after)
            portion = await self._journal.aside(read)
            found += portion.document_ids
            if portion.last is None:
                return found
            after = portion.last

    async def _compared(
        self, collection: Collection, follower: Follower, executor: ThreadPoolExecutor, repair: bool
    ) -> Comparison:
        work = _Work(self._journal, collection, follower, executor)
        try:
            return await work.done(repair)
        except NotFound:
            raise
        except TamisError as error:
            return replace(work.comparison, problems=(error.message,))
        except Exception as error:
            if not follower.is_following:
                raise NotFound("collection", collection.id) from error
            _LOG.exception("index cannot be compared", collection=collection.id, stage=follower.stage)
            return replace(work.comparison, problems=(f"the index fails with {type(error).__name__}",))
        finally:
            await work.close()


class _Work:
    """The comparison of one index."""

    def __init__(
        self, journal: Journal, collection: Collection, follower: Follower, executor: ThreadPoolExecutor
    ) -> None:
        self._journal, self._id, self._follower, self._executor = journal, collection.id, follower, executor
        self._held = Holdings()
        self._absent: frozenset[str] = frozenset()
        self.comparison = Comparison(follower.stage, follower.generation, follower.status.applied_sequence, 0)

    async def done(self, repair: bool) -> Comparison:
        sequence = await self._read_index()
        await self._cross_off(sequence)
        await self._find_owners(sequence)
        self.comparison = Comparison(
            self._follower.stage,
            self._follower.generation,
            sequence,
            self._held.expected_count,
            self._held.missing_count,
            self._held.extra_count,
            document_ids=tuple(await self._on_file(lambda: self._held.differing("", _MOST_NAMED))),
        )
        if repair:
            self.comparison = replace(self.comparison, repaired_document_count=await self._mend())
        return self.comparison

    async def close(self) -> None:
        await self._on_file(self._held.close)

    async def _read_index(self) -> int:
        """Writes down what the index holds; the only part during which it does not move on."""
        batch: list[tuple[str, int]] = []
        async with self._follower.paused() as sequence:
            self._absent = await self._given_up()
            async for each in self._follower.index.ids():
                batch.append(each)
                if len(batch) == _AT_ONCE:
                    await self._hold(batch)
                    batch = []
        await self._hold(batch)
        return sequence

    async def _given_up(self) -> frozenset[str]:
        """The documents that the index could not take: it is right to hold nothing of them."""
        work = partial(_given_up, self._id, self._follower.generation, self._follower.stage)
        return await self._journal.aside(work)

    async def _hold(self, batch: list[tuple[str, int]]) -> None:
        await self._on_file(lambda: self._held.hold(batch))

    async def _cross_off(self, sequence: int) -> None:
        split, after = self._follower.split, ""
        while True:
            read = partial(_page, self._id, split, after, sequence)
            last, expected = await self._journal.aside(read)
            if last is None:
                return
            wanted = [each for each in expected if each.document_id not in self._absent]
            await self._on_file(partial(self._held.expect, wanted))
            after = last

    async def _find_owners(self, sequence: int) -> None:
        """What is left over is too much, unless its document has changed since: then the index had yet to hear."""
        after = ("", -1)
        while rest := await self._on_file(partial(self._held.rest, after, _AT_ONCE)):
            held = [(id, version) for id, version, _ in rest]
            names = await self._journal.aside(partial(_owners, self._id, self._follower.split, held))
            changed = await self._journal.aside(partial(_changed_after, self._id, sequence, set(names)))
            for name, (_, _, count) in zip(names, rest, strict=True):
                if name not in changed:
                    await self._on_file(partial(self._held.surplus, name, count))
            after = held[-1]

    async def _mend(self) -> int:
        """Applies differing documents as they are by then, a few at a time; the follower goes on in between."""
        after, count = "", 0
        while names := await self._on_file(partial(self._held.differing, after, _MENDED_AT_ONCE)):
            async with self._follower.paused() as checkpoint:
                read = partial(_current, self._id, self._follower, names, checkpoint)
                changes = await self._journal.aside(read)
                await self._follower.mend(changes, checkpoint)
            count += len(changes)
            after = names[-1]
        return count

    async def _on_file(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)


def _misplaced(id: str, after: str, store: Store) -> audit.Misplaced:
    return audit.misplaced(store.database, store.key(id), after)


def _given_up(id: str, generation: int, stage: str, store: Store) -> frozenset[str]:
    return dead_letters.of_index(store.database, store.key(id), generation, stage)


def _page(id: str, split: int, after: str, upto: int, store: Store) -> tuple[str | None, list[inventory.Expected]]:
    return inventory.page(store.database, store.key(id), split, after=after, upto=upto)


def _owners(id: str, split: int, held: Sequence[tuple[str, int]], store: Store) -> list[str]:
    return inventory.owners(store.database, store.key(id), split, held)


def _changed_after(id: str, sequence: int, document_ids: Set[str], store: Store) -> set[str]:
    return inventory.changed_after(store.database, store.key(id), sequence, document_ids)


def _current(id: str, follower: Follower, names: Sequence[str], upto: int, store: Store) -> list[Change]:
    """What the index cannot take is asked again: documents may have been written, or given up, since it was read."""
    absent = _given_up(id, follower.generation, follower.stage, store)
    return inventory.current(store.database, store.key(id), follower.split, names, upto=upto, absent=absent)
