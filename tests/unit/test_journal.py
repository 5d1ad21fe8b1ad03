"""The document log."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tamis.errors import AlreadyExists, ConfigurationError, NotFound, Overloaded, Unavailable
from tamis.ingest.passages import SentencesChunker
from tamis.journal import Changes, Delete, Journal, Mutation, PostgresAddress, Upsert, Written, schema
from tamis.model import Document, Passage
from tamis.testing.strategies import documents

CHUNKER = SentencesChunker(SentencesChunker.Settings())
BATCHES = st.lists(
    st.lists(st.one_of(documents(), st.sampled_from("abc")), min_size=1, max_size=4), min_size=1, max_size=5
)


@pytest.fixture
async def journal(where: Path | PostgresAddress) -> AsyncIterator[Journal]:
    opened = await Journal.open(where)
    await opened.create_collection("docs")
    yield opened
    await opened.close()


def _upsert(document: Document) -> Upsert:
    return Upsert(document, tuple(CHUNKER.chunk(document)))


async def _replayed(journal: Journal, after: int = 0, limit: int = 512) -> tuple[dict[str, tuple[Passage, ...]], int]:
    """What an index that follows from `after` holds in the end, and how far it got."""
    held: dict[str, tuple[Passage, ...]] = {}
    while True:
        page: Changes = await journal.changes("docs", after=after, limit=limit)
        if page.upto == after:
            return held, after
        for change in page.changes:
            assert after < change.sequence <= page.upto
            held.pop(change.document_id, None)
            if change.passages:
                held[change.document_id] = change.passages
        after = page.upto


@given(batches=BATCHES, limit=st.integers(1, 5))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_whoever_replays_the_journal_ends_with_what_was_written(
    journal: Journal, batches: list[list[Document | str]], limit: int
) -> None:
    await journal.delete_collection("docs")
    await journal.create_collection("docs")
    expected: dict[str, Document] = {}
    for batch in batches:
        mutations: list[Mutation] = [Delete(each) if isinstance(each, str) else _upsert(each) for each in batch]
        await journal.write("docs", mutations)
        for each in batch:
            if isinstance(each, str):
                expected.pop(each, None)
            else:
                expected[each.id] = each
    held, upto = await _replayed(journal, limit=limit)
    assert upto == (await journal.collection("docs")).last_sequence
    assert {key: [each.text for each in passages] for key, passages in held.items()} == {
        key: texts for key, each in expected.items() if (texts := [part.text for part in CHUNKER.chunk(each)])
    }
    kept = await journal.documents("docs", limit=100)
    assert [each.id for each in kept] == sorted(expected)
    assert [each.metadata for each in kept] == [expected[each.id].metadata for each in kept]


async def test_a_document_written_again_unchanged_costs_nothing(journal: Journal) -> None:
    document = Document("a", "text", "title", {"n": 1})
    first = await journal.write("docs", [_upsert(document)])
    again = await journal.write("docs", [_upsert(document)])
    assert (first.written_count, again.written_count, again.unchanged_count) == (1, 0, 1)
    assert again.sequence == first.sequence == (await journal.collection("docs")).last_sequence


async def test_a_change_of_metadata_alone_is_a_new_version(journal: Journal) -> None:
    await journal.write("docs", [_upsert(Document("a", "text", "", {"n": 1}))])
    await journal.write("docs", [_upsert(Document("a", "text", "", {"n": 1.0}))])
    assert (await journal.document("docs", "a")).version == 2


async def test_passages_of_a_superseded_version_are_not_given_out(journal: Journal) -> None:
    await journal.write("docs", [_upsert(Document("a", "old"))])
    await journal.write("docs", [_upsert(Document("a", "new"))])
    found = await journal.passages("docs", [("a#0", 1), ("a#0", 2), ("b#0", 1)])
    assert [each.text for each in found.values()] == ["new"]
    assert await journal.passages("docs", [("a#0", 1)]) == {}


async def test_counts_follow_every_change(journal: Journal) -> None:
    await journal.write("docs", [_upsert(Document("a", "x")), _upsert(Document("b", "y"))])
    await journal.write("docs", [Delete("a"), Delete("never")])
    known = await journal.collection("docs")
    assert (known.document_count, known.passage_count, known.last_sequence) == (1, 1, 3)


async def test_writes_at_the_same_time_get_dense_sequences(journal: Journal) -> None:
    writes = [journal.write("docs", [_upsert(Document(f"d{number}", "text"))]) for number in range(50)]
    written = await asyncio.gather(*writes)
    assert sorted(each.sequence for each in written) == list(range(1, 51))


async def test_a_write_that_fails_does_not_fail_its_neighbours(journal: Journal) -> None:
    outcomes = await asyncio.gather(
        journal.write("docs", [_upsert(Document("a", "x"))]),
        journal.write("nowhere", [_upsert(Document("b", "x"))]),
        journal.write("docs", [_upsert(Document("c", "x"))]),
        return_exceptions=True,
    )
    assert [type(each).__name__ for each in outcomes] == ["Written", "NotFound", "Written"]


async def test_two_collections_do_not_mix(journal: Journal) -> None:
    await journal.create_collection("other")
    await journal.write("docs", [_upsert(Document("a", "ours"))])
    await journal.write("other", [_upsert(Document("a", "theirs"))])
    assert (await journal.document("docs", "a")).text == "ours"
    await journal.delete_collection("other")
    assert (await journal.document("docs", "a")).text == "ours"
    with pytest.raises(NotFound):
        await journal.document("other", "a")


async def test_a_collection_created_again_is_empty_and_another_incarnation(journal: Journal) -> None:
    await journal.write("docs", [_upsert(Document("a", "x"))])
    before = await journal.collection("docs")
    await journal.delete_collection("docs")
    after = await journal.create_collection("docs")
    assert after.incarnation != before.incarnation
    assert await journal.documents("docs", limit=10) == []
    with pytest.raises(AlreadyExists):
        await journal.create_collection("docs")


async def test_pages_go_on_where_the_last_one_ended(journal: Journal) -> None:
    await journal.write("docs", [_upsert(Document(each, "x")) for each in "cab"])
    first = await journal.documents("docs", limit=2)
    rest = await journal.documents("docs", limit=2, after=first[-1].id)
    assert [each.id for each in (*first, *rest)] == ["a", "b", "c"]


async def test_what_was_acknowledged_is_there_after_opening_again(where: Path | PostgresAddress) -> None:
    journal = await Journal.open(where)
    await journal.create_collection("docs")
    await journal.write("docs", [_upsert(Document("a", "Grüße 𝄞\x00\x1a0"))])
    await journal.close()
    again = await Journal.open(where)
    assert (await again.document("docs", "a")).text == "Grüße 𝄞\x00\x1a0"
    await again.close()


async def test_a_second_process_on_one_file_is_refused_and_told_what_to_do(tmp_path: Path) -> None:
    journal = await Journal.open(tmp_path / "journal.sqlite")
    with pytest.raises(ConfigurationError, match="another process") as refused:
        await Journal.open(tmp_path / "journal.sqlite")
    assert str(tmp_path) in refused.value.message
    assert "data_directory" in refused.value.message
    assert "[journal] url" in refused.value.message
    await journal.close()


async def test_a_file_that_is_no_journal_is_refused(tmp_path: Path) -> None:
    (tmp_path / "journal.sqlite").write_bytes(b"not a database, by any stretch of the imagination" * 100)
    with pytest.raises(ConfigurationError, match="cannot be opened"):
        await Journal.open(tmp_path / "journal.sqlite")


async def test_a_journal_of_a_newer_tamis_is_refused_and_left_unlocked(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    await (await Journal.open(path)).close()
    with closing(sqlite3.connect(path)) as file:
        file.execute("PRAGMA user_version=99")
    for _ in range(2):
        with pytest.raises(ConfigurationError, match="newer Tamis"):
            await Journal.open(path)


async def _held(journal: Journal) -> threading.Event:
    """Keeps the journal's writer busy until the event is set."""
    release = threading.Event()
    await journal.create_collection("held")
    journal.listen("held", release.wait)
    await journal.write("held", [Delete("never")])
    return release


async def test_writes_that_wait_together_are_committed_together(journal: Journal) -> None:
    commits: list[str] = []
    journal.listen("docs", lambda: commits.append("docs"))
    release = await _held(journal)
    names = ("docs", "nowhere", "docs")
    writes = [asyncio.ensure_future(journal.write(name, [_upsert(Document("a", name))])) for name in names]
    await asyncio.sleep(0)  # each of them is waiting now
    release.set()
    outcomes = await asyncio.gather(*writes, return_exceptions=True)
    assert [type(each).__name__ for each in outcomes] == ["Written", "NotFound", "Written"]
    await journal.write("held", [Delete("never")])  # whoever listened to the commit before has been told by now
    assert commits == ["docs"]


@pytest.mark.parametrize("where", ["sqlite"], indirect=True)
async def test_more_writes_than_may_wait_are_refused_and_not_begun(journal: Journal) -> None:
    release = await _held(journal)
    mutations = [_upsert(Document("a", "x"))]
    writes = [asyncio.ensure_future(journal.write("docs", mutations)) for _ in range(2_000)]
    await asyncio.sleep(0)
    release.set()
    outcomes = await asyncio.gather(*writes, return_exceptions=True)
    refused = [each for each in outcomes if isinstance(each, Overloaded)]
    written = [each for each in outcomes if isinstance(each, Written)]
    assert 0 < len(refused) == len(outcomes) - len(written) < len(outcomes)
    assert {each.sequence for each in written} == {1}


async def test_a_journal_of_the_first_schema_keeps_its_collections_and_learns_languages(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    with closing(sqlite3.connect(path)) as file:
        file.executescript(f"{schema.MIGRATIONS[0][1]}PRAGMA user_version=1;")
        row = ("old", "abc", "2026-01-02T03:04:05+00:00")
        file.execute("INSERT INTO collections (id, incarnation, create_time) VALUES (?, ?, ?)", row)
        file.commit()
    for _ in range(2):
        journal = await Journal.open(path)
        assert (await journal.collection("old")).language == ""
        await journal.close()
    journal = await Journal.open(path)
    assert (await journal.create_collection("new", "de")).language == "de"
    assert [each.language for each in await journal.collections(limit=5)] == ["de", ""]
    await journal.close()


async def test_a_file_that_cannot_be_made_smaller_now_is_unavailable_for_that_alone(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    journal = await Journal.open(path)
    await journal._write(lambda store: store.database.execute("PRAGMA busy_timeout = 0").fetchall(), None)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("CREATE TABLE much AS SELECT randomblob(1000000) AS blob")
        db.execute("DROP TABLE much")
        db.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable, match="cannot be made smaller"):
            await journal.give_back()
        db.execute("ROLLBACK")
    assert await journal.give_back() > 900_000
    await journal.close()
