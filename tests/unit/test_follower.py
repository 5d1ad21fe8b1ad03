"""Followers keep an index in step with the journal."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from tamis.errors import NotFound, Unusable
from tamis.ingest.passages import SentencesChunker
from tamis.journal import Changes, Delete, Follower, Journal, Upsert
from tamis.model import Change, Document

CHUNKER = SentencesChunker(SentencesChunker.Settings())


class MemoryIndex:
    """Keeps document ids; fails as often as it is told to."""

    def __init__(self, failures: int = 0) -> None:
        self.held: dict[str, int] = {}
        self.failures = failures
        self.upto = 0
        self.entered = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    async def apply(self, changes: Sequence[Change], *, upto: int) -> None:
        self.entered.set()
        await self.gate.wait()
        if self.failures:
            self.failures -= 1
            raise OSError("no space left")
        for change in changes:
            self.held.pop(change.document_id, None)
            if change.passages:
                self.held[change.document_id] = change.sequence
        self.upto = upto

    async def checkpoint(self) -> int:
        return self.upto

    async def ids(self) -> AsyncIterator[tuple[str, int]]:
        for each in self.held.items():
            yield each

    async def close(self) -> None:
        """Nothing to release."""

    async def drop(self) -> None:
        self.held.clear()


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    opened = await Journal.open(tmp_path / "journal.sqlite")
    await opened.create_collection("docs")
    yield opened
    await opened.close()


async def _write(journal: Journal, *ids: str) -> int:
    found = [Document(each, f"text of {each}") for each in ids]
    return (await journal.write("docs", [Upsert(each, tuple(CHUNKER.chunk(each))) for each in found])).sequence


async def test_a_follower_catches_up_and_then_follows(journal: Journal) -> None:
    await _write(journal, "a", "b")
    index = MemoryIndex()
    follower = Follower(journal, "docs", 1, "bm25", index)
    await follower.wait(2)
    assert index.held == {"a": 1, "b": 2}
    await follower.wait(await _write(journal, "c"))
    await journal.write("docs", [Delete("a")])
    await follower.wait(4)
    assert index.held == {"b": 2, "c": 3}
    await follower.close()


async def test_a_follower_begins_after_the_checkpoint(journal: Journal) -> None:
    await _write(journal, "a", "b")
    index = MemoryIndex()
    index.upto = 1
    follower = Follower(journal, "docs", 1, "bm25", index)
    await follower.wait(2)
    assert index.held == {"b": 2}
    await follower.close()


async def test_a_batch_that_fails_is_tried_again_and_nothing_is_passed_over(journal: Journal) -> None:
    index = MemoryIndex(failures=2)
    follower = Follower(journal, "docs", 1, "bm25", index)
    await follower.wait(await _write(journal, "a"))
    assert index.held == {"a": 1}
    assert follower.status.problem == ""
    await follower.close()


async def test_a_batch_that_failed_after_all_was_applied_is_no_lasting_problem(journal: Journal) -> None:
    class Applying(MemoryIndex):
        async def apply(self, changes: Sequence[Change], *, upto: int) -> None:
            await super().apply(changes, upto=upto)
            raise OSError("could not clean up")

    sequence = await _write(journal, "a")
    follower = Follower(journal, "docs", 1, "bm25", Applying())
    await follower.wait(sequence)
    assert (follower.status.applied_sequence, follower.status.problem) == (sequence, "")
    await follower.close()


async def test_closing_waits_for_the_batch_under_way(journal: Journal) -> None:
    index = MemoryIndex()
    index.gate.clear()
    follower = Follower(journal, "docs", 1, "bm25", index)
    await _write(journal, "a")
    await index.entered.wait()
    closing = asyncio.ensure_future(follower.close())
    index.gate.set()
    await closing
    assert index.held == {"a": 1}


async def test_whoever_waits_for_a_dropped_index_is_told(journal: Journal) -> None:
    follower = Follower(journal, "docs", 1, "bm25", MemoryIndex())
    waiting = asyncio.ensure_future(follower.wait(10))
    await asyncio.sleep(0)
    await follower.drop()
    with pytest.raises(NotFound):
        await waiting


async def test_an_index_that_denies_its_collection_is_a_problem_and_not_the_end(journal: Journal) -> None:
    class Denying(MemoryIndex):
        async def apply(self, changes: Sequence[Change], *, upto: int) -> None:
            if self.failures:
                self.failures -= 1
                raise NotFound("collection", "docs")
            await super().apply(changes, upto=upto)

    index = Denying(failures=1)
    follower = Follower(journal, "docs", 1, "bm25", index)
    await follower.wait(await _write(journal, "a"))
    assert index.held == {"a": 1}
    await follower.close()


class Moody(MemoryIndex):
    """Raises something once when it is asked for its checkpoint, and once when it applies."""

    def __init__(self, mood: BaseException) -> None:
        super().__init__()
        self.moods, self.checkpoint_moods = [mood], [mood]

    async def checkpoint(self) -> int:
        if self.checkpoint_moods:
            raise self.checkpoint_moods.pop()
        return await super().checkpoint()

    async def apply(self, changes: Sequence[Change], *, upto: int) -> None:
        if self.moods:
            raise self.moods.pop()
        await super().apply(changes, upto=upto)


@pytest.mark.parametrize("mood", [NotFound("collection", "docs"), asyncio.CancelledError()])
async def test_an_index_that_denies_its_collection_or_cancels_itself_is_followed_on(
    journal: Journal, mood: BaseException
) -> None:
    sequence = await _write(journal, "a")
    index = Moody(mood)
    follower = Follower(journal, "docs", 1, "bm25", index)
    await asyncio.wait_for(follower.wait(sequence), 60)
    assert index.held == {"a": 1}
    await follower.close()


class Preparing(MemoryIndex):
    """Says what it does, and does each thing when it may."""

    def __init__(self) -> None:
        super().__init__()
        self.told: asyncio.Queue[tuple[str, tuple[str, ...]]] = asyncio.Queue()
        self.poison = ""

    async def prepared(self, changes: Sequence[Change]) -> tuple[Change, ...]:
        self.told.put_nowait(("prepared", _ids(changes)))
        self._check(changes)
        return tuple(changes)

    async def apply_prepared(self, prepared: Sequence[Change], *, upto: int) -> None:
        self.told.put_nowait(("applied", _ids(prepared)))
        await super().apply(prepared, upto=upto)

    async def apply(self, changes: Sequence[Change], *, upto: int) -> None:
        self.told.put_nowait(("applied at once", _ids(changes)))
        self._check(changes)
        await super().apply(changes, upto=upto)

    def _check(self, changes: Sequence[Change]) -> None:
        for each in changes:
            if each.document_id == self.poison and any(self.poison in passage.text for passage in each.passages):
                raise Unusable(self.poison, "is poison")


def _ids(changes: Sequence[Change]) -> tuple[str, ...]:
    return tuple(each.document_id for each in changes)


class Portioned(Journal):
    """Hands out two changes at a time."""

    async def changes(
        self, collection: str, *, after: int, limit: int = 2, byte_limit: int = 512 << 10, split: int = 1
    ) -> Changes:
        return await super().changes(collection, after=after, limit=2, byte_limit=byte_limit, split=split)


@pytest.fixture
async def portioned(tmp_path: Path) -> AsyncIterator[Portioned]:
    opened = await Portioned.open(tmp_path / "portioned.sqlite")
    await opened.create_collection("docs")
    yield opened
    await opened.close()


async def test_the_next_batch_is_prepared_while_one_is_applied_and_no_other(portioned: Portioned) -> None:
    index = Preparing()
    index.gate.clear()
    last = await _write(portioned, "a", "b", "c", "d", "e")
    follower = Follower(portioned, "docs", 1, "dense", index)
    told = [await index.told.get() for _ in range(3)]
    assert told[0] == ("prepared", ("a", "b"))
    assert set(told[1:]) == {("applied", ("a", "b")), ("prepared", ("c", "d"))}
    assert index.told.empty()
    index.gate.set()
    await follower.wait(last)
    assert index.held == {"a": 1, "b": 2, "c": 3, "d": 4, "e": 5}
    rest = [index.told.get_nowait() for _ in range(index.told.qsize())]
    assert sorted(rest) == [("applied", ("c", "d")), ("applied", ("e",)), ("prepared", ("e",))]
    await follower.close()


async def test_what_is_written_while_a_batch_is_prepared_is_prepared_while_that_one_is_applied(
    journal: Journal,
) -> None:
    class Slow(Preparing):
        may = asyncio.Event()

        async def prepared(self, changes: Sequence[Change]) -> tuple[Change, ...]:
            found = await super().prepared(changes)
            await self.may.wait()
            return found

    index = Slow()
    index.gate.clear()
    await _write(journal, "a")
    follower = Follower(journal, "docs", 1, "dense", index)
    assert await index.told.get() == ("prepared", ("a",))
    last = await _write(journal, "b")
    index.may.set()
    assert {await index.told.get(), await index.told.get()} == {("applied", ("a",)), ("prepared", ("b",))}
    assert index.held == {}
    index.gate.set()
    await follower.wait(last)
    assert index.held == {"a": 1, "b": 2}
    await follower.close()


async def test_a_document_that_cannot_be_prepared_is_given_up_and_no_other(portioned: Portioned) -> None:
    index = Preparing()
    index.poison = "c"
    last = await _write(portioned, "a", "b", "c", "d", "e")
    follower = Follower(portioned, "docs", 1, "dense", index)
    await follower.wait(last)
    assert index.held == {"a": 1, "b": 2, "d": 4, "e": 5}
    assert [each.document_id for each in await portioned.dead_letters("docs", limit=10)] == ["c"]
    await follower.close()


async def test_what_was_prepared_before_a_pause_is_read_anew_after_it(portioned: Portioned) -> None:
    index = Preparing()
    index.gate.clear()
    await _write(portioned, "a", "b", "c", "d")
    follower = Follower(portioned, "docs", 1, "dense", index)
    while await index.told.get() != ("prepared", ("c", "d")):
        pass
    pausing = asyncio.ensure_future(_paused(follower))
    await asyncio.sleep(0)
    await portioned.write("docs", [Delete("c")])
    index.gate.set()
    assert await pausing == 2
    await follower.wait(5)
    assert index.held == {"a": 1, "b": 2, "d": 4}
    applied = [ids for what, ids in (index.told.get_nowait() for _ in range(index.told.qsize())) if what == "applied"]
    assert ("c", "d") not in applied
    await follower.close()


async def _paused(follower: Follower) -> int:
    async with follower.paused() as checkpoint:
        return checkpoint


async def test_closing_ends_what_is_being_prepared(portioned: Portioned) -> None:
    class Endless(Preparing):
        ended = False

        async def prepared(self, changes: Sequence[Change]) -> tuple[Change, ...]:
            await super().prepared(changes)
            try:
                await asyncio.Event().wait()
            finally:
                self.ended = True
            raise AssertionError("unreachable")

    index = Endless()
    await _write(portioned, "a")
    follower = Follower(portioned, "docs", 1, "dense", index)
    await index.told.get()
    await follower.close()
    assert index.ended
    assert index.held == {}
