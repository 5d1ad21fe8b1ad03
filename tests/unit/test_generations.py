"""Generations in the journal: what is divided how, while everything goes on."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tamis.chunking import Chunker
from tamis.errors import FailedPrecondition, NotFound
from tamis.generations import Generations
from tamis.ingest.passages import SentencesChunker
from tamis.journal import (
    Collection,
    Delete,
    Generation,
    Journal,
    Mutation,
    Patch,
    PostgresAddress,
    Recipe,
    Rewrite,
    SplitsChanged,
    Upsert,
)
from tamis.model import Document, Passage

WHOLE = SentencesChunker(SentencesChunker.Settings())
SMALL = SentencesChunker(SentencesChunker.Settings(max_tokens=32, overlap_tokens=0))
CHUNKERS: dict[int, Chunker] = {1: WHOLE, 2: SMALL}
TEXT = " ".join(f"The {number}. sieve makes the sauce as smooth as it can be made." for number in range(4))
IDS = "abcdef"


@asynccontextmanager
async def _opened(path: Path | PostgresAddress) -> AsyncIterator[Journal]:
    journal = await Journal.open(path)
    try:
        yield journal
    finally:
        await journal.close()


@pytest.fixture
async def journal(where: Path | PostgresAddress) -> AsyncIterator[Journal]:
    async with _opened(where) as opened:
        await opened.create_collection("docs")
        yield opened


def _upsert(document: Document, *splits: int) -> Upsert:
    return Upsert(document, {split: tuple(CHUNKERS[split].chunk(document)) for split in splits or (1,)})


async def _step(journal: Journal, number: int = 2, limit: int = 2) -> None:
    portion = await journal.undivided("docs", number, limit=limit)
    await journal.divide("docs", number, portion, {each.id: SMALL.chunk(each) for each in portion.documents})


async def _divide(journal: Journal, number: int = 2) -> None:
    while not (await journal.collection("docs")).generation(number).is_divided:
        await _step(journal, number)


async def _held(journal: Journal, split: int) -> dict[str, list[tuple[str, str, int]]]:
    """What an index that follows this split from the beginning holds."""
    held: dict[str, tuple[Passage, ...]] = {}
    after = 0
    while (page := await journal.changes("docs", after=after, limit=3, split=split)).upto > after:
        after = page.upto
        for change in page.changes:
            held.pop(change.document_id, None)
            if change.passages:
                held[change.document_id] = change.passages
    return {key: [(each.id, each.text, each.document_version) for each in found] for key, found in held.items()}


ACTIONS = st.one_of(
    st.tuples(st.just("write"), st.sampled_from(IDS), st.sampled_from(["", "short", TEXT, TEXT[:150]])),
    st.tuples(st.just("delete"), st.sampled_from(IDS), st.just("")),
    st.tuples(st.just("patch"), st.sampled_from(IDS), st.sampled_from(["red", "green"])),
    st.tuples(st.just("rewrite"), st.sampled_from(IDS), st.just("")),
    st.tuples(st.just("read"), st.just(""), st.just("")),
    st.tuples(st.just("divide"), st.just(""), st.just("")),
    st.tuples(st.just("reopen"), st.just(""), st.just("")),
)


@given(
    before=st.dictionaries(st.sampled_from(IDS), st.sampled_from(["short", TEXT]), max_size=6),
    actions=st.lists(ACTIONS, max_size=14),
)
@settings(max_examples=25)
async def test_whatever_happens_meanwhile_a_new_split_is_every_document_divided_anew(
    before: dict[str, str], actions: list[tuple[str, str, str]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal.sqlite"
        journal = await Journal.open(path)
        try:
            await journal.create_collection("docs")
            await journal.write("docs", [_upsert(Document(key, text)) for key, text in before.items()])
            live = dict(before)
            assert await journal.add_generation("docs", Recipe("small", "small")) == 2
            portion = await journal.undivided("docs", 2, limit=2)
            for action, key, text in actions:
                if action == "write":
                    await journal.write("docs", [_upsert(Document(key, text), 1, 2)])
                    live[key] = text
                elif action == "delete":
                    await journal.write("docs", [Delete(key)])
                    live.pop(key, None)
                elif action == "patch" and key in live:
                    await journal.write("docs", [Patch(key, {"colour": text})])
                elif action in ("patch", "rewrite"):
                    await journal.write("docs", [Rewrite(key)])
                elif action == "read":  # what is divided next was read before whatever comes in between
                    portion = await journal.undivided("docs", 2, limit=2)
                elif action == "divide":
                    divisions = {each.id: SMALL.chunk(each) for each in portion.documents}
                    await journal.divide("docs", 2, portion, divisions)
                else:
                    await journal.close()
                    journal = await Journal.open(path)
            await _divide(journal)
            for split, chunker in CHUNKERS.items():
                held = await _held(journal, split)
                documents = {each.id: each.version for each in await journal.documents("docs", limit=10)}
                assert held == {
                    key: [(each.id, each.text, documents[key]) for each in passages]
                    for key, text in live.items()
                    if (passages := chunker.chunk(Document(key, text)))
                }
                await journal.serve_generation("docs", split)  # the split has the number of its generation
                assert (await journal.collection("docs")).passage_count == sum(map(len, held.values()))
        finally:
            await journal.close()


async def test_passages_are_those_of_the_split_that_is_asked_for(journal: Journal) -> None:
    await journal.add_generation("docs", Recipe("small", "small"))
    await journal.write("docs", [_upsert(Document("a", TEXT), 1, 2)])
    (whole,) = (await journal.passages("docs", [("a#0", 1), ("a#1", 1)])).values()
    first, second = (await journal.passages("docs", [("a#0", 1), ("a#1", 1)], 2)).values()
    assert whole.text == TEXT
    assert TEXT.startswith(first.text)
    assert second.text in TEXT


async def test_a_write_without_the_passages_of_a_new_split_is_refused_and_changes_nothing(journal: Journal) -> None:
    await journal.add_generation("docs", Recipe("small", "small"))
    with pytest.raises(SplitsChanged):
        await journal.write("docs", [Delete("never"), _upsert(Document("a", TEXT), 1)])
    assert (await journal.collection("docs")).last_sequence == 0


async def test_a_document_written_again_while_it_waits_to_be_divided_costs_nothing(journal: Journal) -> None:
    await journal.write("docs", [_upsert(Document("a", TEXT))])
    await journal.add_generation("docs", Recipe("small", "small"))
    assert (await journal.write("docs", [_upsert(Document("a", TEXT), 1, 2)])).unchanged_count == 1
    await _divide(journal)
    assert (await journal.write("docs", [_upsert(Document("a", TEXT), 1, 2)])).unchanged_count == 1


@pytest.mark.parametrize("mutation", [Patch("a", {"colour": "red"}), Rewrite("a")])
async def test_a_document_that_changes_but_for_its_text_before_its_division_is_committed_is_divided(
    journal: Journal, mutation: Mutation
) -> None:
    await journal.write("docs", [_upsert(Document("a", TEXT))])
    await journal.add_generation("docs", Recipe("small", "small"))
    portion = await journal.undivided("docs", 2)
    await journal.write("docs", [mutation])
    await journal.divide("docs", 2, portion, {"a": SMALL.chunk(portion.documents[0])})
    await _divide(journal)
    assert (await _held(journal, 2))["a"] == [(each.id, each.text, 2) for each in SMALL.chunk(Document("a", TEXT))]


async def test_generations_of_one_chunker_share_their_passages(journal: Journal) -> None:
    await journal.write("docs", [_upsert(Document("a", TEXT))])
    await journal.add_generation("docs", Recipe(replacements={"dense": "dense-e5"}))
    first, second = (await journal.collection("docs")).generations
    assert (first.split, second.split, second.is_divided) == (1, 1, True)
    assert second.recipe.replacements == {"dense": "dense-e5"}
    await journal.serve_generation("docs", 2)
    assert (await journal.collection("docs")).passage_count == 1
    await journal.drop_generation("docs", 1)
    assert await journal.sweep_generation("docs", 1)
    assert list(await _held(journal, 1)) == ["a"]


async def test_the_same_chunker_with_other_settings_divides_anew(journal: Journal) -> None:
    await journal.add_generation("docs", Recipe(chunker_digest="other"))
    assert (await journal.collection("docs")).generation(2).split == 2


async def test_one_generation_is_divided_at_a_time_and_none_serves_before(journal: Journal) -> None:
    await journal.write("docs", [_upsert(Document("a", TEXT))])
    await journal.add_generation("docs", Recipe("small", "small"))
    with pytest.raises(FailedPrecondition, match="generation 2 is being built"):
        await journal.add_generation("docs", Recipe("smaller", "smaller"))
    with pytest.raises(FailedPrecondition, match="being divided"):
        await journal.serve_generation("docs", 2)
    with pytest.raises(NotFound, match="there are: 1, 2"):
        await journal.serve_generation("docs", 3)


async def test_a_dropped_generation_leaves_nothing_and_its_number_is_not_given_again(journal: Journal) -> None:
    await journal.write("docs", [_upsert(Document(key, TEXT)) for key in IDS])
    await journal.add_generation("docs", Recipe("small", "small"))
    await _step(journal)
    portion = await journal.undivided("docs", 2)
    await journal.drop_generation("docs", 2)
    with pytest.raises(NotFound):
        await journal.divide("docs", 2, portion, {each.id: SMALL.chunk(each) for each in portion.documents})
    await journal.write("docs", [_upsert(Document("g", TEXT))])  # it needs no passages for it any more
    while not await journal.sweep_generation("docs", 2, limit=3):
        assert (await journal.collection("docs")).generations[-1].is_dropped
    assert [each.number for each in (await journal.collection("docs")).generations] == [1]
    assert await journal.passages("docs", [("a#0", 1)], 2) == {}
    assert await journal.add_generation("docs", Recipe("small", "small")) == 3


async def test_the_generation_that_serves_cannot_be_dropped_and_one_that_is_gone_is_not_found(journal: Journal) -> None:
    with pytest.raises(FailedPrecondition, match="serves"):
        await journal.drop_generation("docs", 1)
    with pytest.raises(NotFound):
        await journal.drop_generation("docs", 2)


async def test_a_portion_that_another_server_divided_first_is_left_alone(journal: Journal) -> None:
    mutations: list[Mutation] = [_upsert(Document(key, TEXT)) for key in IDS]
    await journal.write("docs", mutations)
    await journal.add_generation("docs", Recipe("small", "small"))
    late = await journal.undivided("docs", 2, limit=2)
    await _step(journal, limit=4)
    await journal.divide("docs", 2, late, {each.id: [] for each in late.documents})
    assert (await journal.undivided("docs", 2)).after == "d"
    await _divide(journal)
    assert all((await _held(journal, 2)).values())


async def test_generations_of_an_older_tamis_take_over_the_chunker_that_is_configured(journal: Journal) -> None:
    await journal.create_collection("old", recipe=Recipe(chunker_digest=None))
    await journal.create_collection("new", recipe=Recipe("named", "settings"))
    for _ in range(2):
        await journal.adopt_generations(Recipe("short", "digest"))
    assert (await journal.collection("old")).generation(1).recipe == Recipe("short", "digest")
    assert (await journal.collection("new")).generation(1).recipe == Recipe("named", "settings")


async def test_a_document_that_was_emptied_since_its_portion_was_read_stays_empty(journal: Journal) -> None:
    await journal.write("docs", [_upsert(Document("a", TEXT))])
    await journal.add_generation("docs", Recipe("small", "small"))
    portion = await journal.undivided("docs", 2)
    await journal.write("docs", [_upsert(Document("a", ""), 1, 2)])
    await journal.divide("docs", 2, portion, {each.id: SMALL.chunk(each) for each in portion.documents})
    await _divide(journal)
    assert await _held(journal, 2) == {}


async def test_nothing_is_divided_any_more_after_the_end() -> None:
    """A build that was under way then asks for it."""
    ended = Generations(None, None, None, None, asyncio.Lock())  # type: ignore[arg-type]
    await ended.close()
    now = datetime.now(UTC)
    building = Generation(2, Recipe(), 2, now, is_divided=False)
    ended.start([Collection("docs", "abc", now, generations=(building, replace(building, number=3, is_dropped=True)))])
    assert asyncio.all_tasks() == {asyncio.current_task()}
    ended.close_threads()
