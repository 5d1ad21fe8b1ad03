"""Followers keep an index in step with the journal."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from tamis.errors import NotFound
from tamis.ingest.passages import SentencesChunker
from tamis.journal import Delete, Follower, Journal, Upsert
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
    await asyncio.wait_for(follower.wait(sequence), 10)
    assert index.held == {"a": 1}
    await follower.close()
