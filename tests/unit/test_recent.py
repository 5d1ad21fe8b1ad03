"""What is kept of the journal is what one would read, whatever is written meanwhile."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tamis.errors import NotFound
from tamis.journal import Delete, Journal, Upsert
from tamis.journal.recent import Recent
from tamis.model import Document, Passage


def _upsert(id: str, text: str) -> Upsert:
    return Upsert(Document(id, text), (Passage(f"{id}#0", id, 0, text),))


@asynccontextmanager
async def _journal(path: Path) -> AsyncGenerator[Journal, None]:
    journal = await Journal.open(path / "journal.sqlite")
    try:
        await journal.create_collection("docs")
        yield journal
    finally:
        await journal.close()


async def test_a_passage_that_was_just_superseded_or_deleted_is_not_given_again(tmp_path: Path) -> None:
    async with _journal(tmp_path) as journal:
        first = (await journal.write("docs", [_upsert("a", "old")])).sequence
        assert [each.text for each in (await journal.passages("docs", [("a#0", first)])).values()] == ["old"]
        second = (await journal.write("docs", [_upsert("a", "new")])).sequence
        both = [("a#0", first), ("a#0", second)]
        assert [await journal.passages("docs", [each]) != {} for each in both] == [False, True]
        await journal.write("docs", [Delete("a")])
        assert [await journal.passages("docs", [each]) for each in both] == [{}, {}]


async def test_what_is_kept_is_bounded_with_the_metadata(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tamis.journal.journal._MOST_KEPT", 50_000)
    metadata = {"notes": {"some": ["long" * 1_000, 1]}, "topic": "sauce" * 1_000}
    documents = {f"d{number}": Document(f"d{number}", "text", metadata=metadata) for number in range(20)}
    upserts = [Upsert(each, (Passage(f"{id}#0", id, 0, "text"),)) for id, each in documents.items()]
    async with _journal(tmp_path) as journal:
        sequences = [(await journal.write("docs", [each])).sequence for each in upserts]
        wanted = [(f"{id}#0", sequence) for id, sequence in zip(documents, sequences, strict=True)]
        assert len(await journal.passages("docs", wanted)) == len(wanted)
        assert 3 <= len(journal._recent) <= 6
        assert len(await journal.passages("docs", wanted)) == len(wanted)


async def test_a_collection_that_was_made_again_has_nothing_of_the_one_before(tmp_path: Path) -> None:
    async with _journal(tmp_path) as journal:
        written = (await journal.write("docs", [_upsert("a", "old")])).sequence
        await journal.passages("docs", [("a#0", written)])
        before = await journal.collection("docs")
        await journal.delete_collection("docs")
        with pytest.raises(NotFound):
            await journal.collection("docs")
        with pytest.raises(NotFound):
            await journal.passages("docs", [("a#0", written)])
        await journal.create_collection("docs")
        assert (await journal.collection("docs")).incarnation != before.incarnation
        assert await journal.passages("docs", [("a#0", written)]) == {}


async def test_what_is_known_is_not_read_again_and_what_changed_is(tmp_path: Path) -> None:
    async with _journal(tmp_path) as journal:
        await journal.create_collection("others")
        written = (await journal.write("docs", [_upsert("a", "text")])).sequence
        known = [await journal.collection("docs"), (await journal.passages("docs", [("a#0", written)]))["a#0"]]
        await journal.write("others", [_upsert("b", "text")])
        again = [await journal.collection("docs"), (await journal.passages("docs", [("a#0", written)]))["a#0"]]
        assert all(one is other for one, other in zip(known, again, strict=True))
        await journal.write("docs", [_upsert("c", "text")])
        assert (await journal.collection("docs")).last_sequence == written + 1


async def test_passages_are_read_for_each_split_apart(tmp_path: Path) -> None:
    async with _journal(tmp_path) as journal:
        written = (await journal.write("docs", [_upsert("a", "text")])).sequence
        assert await journal.passages("docs", [("a#0", written)], 1)
        assert await journal.passages("docs", [("a#0", written)], 2) == {}


def test_nothing_is_given_or_kept_while_a_commit_is_under_way() -> None:
    recent = Recent(100)
    before = recent.edition("docs")
    recent.keep("old", 1, before, "id")
    with recent.changing({"docs"}):
        during = recent.edition("docs")
        recent.keep("older", 1, during, "id")
        assert recent.get(during, "id") is None
        recent.keep("late", 1, before, "other")  # was read before, is kept only now
        assert recent.edition("others") != during
    assert [recent.get(recent.edition("docs"), each) for each in ("id", "other")] == [None, None]


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("read"), st.sampled_from("ab"), st.sampled_from("xyz")),
            st.tuples(st.just("write"), st.sampled_from("ab"), st.just("")),
            st.tuples(st.just("write anything"), st.just(""), st.just("")),
        )
    ),
    st.integers(0, 30),
)
def test_whatever_is_read_and_written_only_what_holds_is_given(steps: list[tuple[str, str, str]], most: int) -> None:
    recent, truth = Recent(most), {"a": 0, "b": 0}
    for what, collection, key in steps:
        if what == "read":
            edition = recent.edition(collection)
            assert recent.get(edition, key) in (None, (collection, key, truth[collection]))
            recent.keep((collection, key, truth[collection]), 10, edition, key)
            assert len(recent) <= most // 10
        else:
            changed = [collection] if collection else list(truth)
            with recent.changing({collection} if collection else None):
                truth.update({each: truth[each] + 1 for each in changed})


async def test_readers_never_see_less_than_what_was_acknowledged(tmp_path: Path) -> None:
    async with _journal(tmp_path) as journal:
        acknowledged, is_over = 0, threading.Event()

        async def read() -> None:
            while not is_over.is_set():
                least = acknowledged
                assert (await journal.collection("docs")).last_sequence >= least
                await asyncio.sleep(0)

        readers = [asyncio.ensure_future(read()) for _ in range(4)]
        for number in range(20):
            acknowledged = (await journal.write("docs", [_upsert("a", f"text {number}")])).sequence
        is_over.set()
        await asyncio.gather(*readers)
