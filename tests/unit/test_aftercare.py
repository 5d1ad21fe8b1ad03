"""Whether indexes were closed in order is known from a file, and what is left to compare stays in it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tamis.errors import NotFound
from tamis.journal import Collection, Journal
from tamis.verification import Aftercare, Comparison


@dataclass
class Comparing:
    """Notes what is compared; stands still at one collection, or fails there."""

    still: str = ""
    failing: str = ""
    gone: str = ""
    seen: list[str] = field(default_factory=list)
    reached: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, collection: Collection) -> AsyncGenerator[Comparison, None]:
        self.seen.append(collection.id)
        if collection.id == self.gone:
            raise NotFound("collection", collection.id)
        if collection.id == self.still:
            self.reached.set()
            await asyncio.Event().wait()
        problems = ("the index fails",) if collection.id == self.failing else ()
        yield Comparison("bm25", 1, 1, 1, problems=problems)


@pytest.fixture
async def collections(tmp_path: Path) -> Sequence[Collection]:
    journal = await Journal.open(tmp_path / "journal.sqlite")
    made = [await journal.create_collection(each) for each in ("a", "b", "c")]
    await journal.close()
    return made


async def _started(file: Path, comparing: Comparing, collections: Sequence[Collection]) -> Aftercare:
    care = Aftercare(file, comparing)
    await care.begin()
    care.start(collections)
    return care


async def _whole(file: Path, comparing: Comparing, collections: Sequence[Collection]) -> list[str]:
    care = await _started(file, comparing, collections)
    if care._task is not None:
        await care._task
    await care.stop()
    await care.close()
    return comparing.seen


async def test_a_first_start_and_one_after_an_orderly_end_compare_nothing(
    tmp_path: Path, collections: Sequence[Collection]
) -> None:
    for _ in range(2):
        assert await _whole(tmp_path / "open", Comparing(), collections) == []


async def test_after_a_kill_every_collection_is_compared_once(
    tmp_path: Path, collections: Sequence[Collection]
) -> None:
    await _started(tmp_path / "open", Comparing(), collections)
    assert await _whole(tmp_path / "open", Comparing(gone="b"), collections) == ["a", "b", "c"]
    assert await _whole(tmp_path / "open", Comparing(), collections) == []


async def test_an_orderly_end_amid_the_comparison_leaves_the_rest_to_the_next_start(
    tmp_path: Path, collections: Sequence[Collection]
) -> None:
    await _started(tmp_path / "open", Comparing(), collections)
    comparing = Comparing(still="b")
    care = await _started(tmp_path / "open", comparing, collections)
    await comparing.reached.wait()
    await care.stop()
    await care.close()
    assert sorted(await _whole(tmp_path / "open", Comparing(), collections)) == ["b", "c"]
    assert await _whole(tmp_path / "open", Comparing(), collections) == []


async def test_an_index_that_could_not_be_compared_is_tried_again_by_the_next_start(
    tmp_path: Path, collections: Sequence[Collection]
) -> None:
    await _started(tmp_path / "open", Comparing(), collections)
    assert await _whole(tmp_path / "open", Comparing(failing="b"), collections) == ["a", "b", "c"]
    assert await _whole(tmp_path / "open", Comparing(), collections) == ["b"]


async def test_a_start_that_fails_keeps_what_was_left(tmp_path: Path, collections: Sequence[Collection]) -> None:
    await _started(tmp_path / "open", Comparing(), collections)
    failed = Aftercare(tmp_path / "open", Comparing())
    await failed.begin()
    await failed.stop()
    await failed.close()
    assert await _whole(tmp_path / "open", Comparing(), collections) == ["a", "b", "c"]
