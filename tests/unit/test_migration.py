"""A journal that an older Tamis wrote."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from tamis.journal import (
    Delete,
    Journal,
    Patch,
    PostgresAddress,
    Recipe,
    RequestKey,
    Rewrite,
    Upsert,
    audit,
)
from tamis.journal.backup import restore
from tamis.journal.database import Database, SqliteDatabase
from tamis.journal.schema import MIGRATIONS
from tamis.model import Document, Heading, Locator, PageBreak, Passage, Span

SCHEMA_1 = """
CREATE TABLE collections (key INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, incarnation TEXT NOT NULL,
    create_time TEXT NOT NULL, last_sequence INTEGER NOT NULL DEFAULT 0, document_count INTEGER NOT NULL DEFAULT 0,
    passage_count INTEGER NOT NULL DEFAULT 0);
CREATE TABLE changes (collection INTEGER NOT NULL REFERENCES collections ON DELETE CASCADE, sequence INTEGER NOT NULL,
    document_id TEXT NOT NULL, is_delete INTEGER NOT NULL, time TEXT NOT NULL, PRIMARY KEY (collection, sequence))
    WITHOUT ROWID;
CREATE TABLE documents (collection INTEGER NOT NULL REFERENCES collections ON DELETE CASCADE, id TEXT NOT NULL,
    version INTEGER NOT NULL, title TEXT NOT NULL, text TEXT NOT NULL, metadata TEXT NOT NULL,
    content_hash BLOB NOT NULL, UNIQUE (collection, id));
CREATE TABLE passages (collection INTEGER NOT NULL REFERENCES collections ON DELETE CASCADE, id TEXT NOT NULL,
    document_id TEXT NOT NULL, ordinal INTEGER NOT NULL, heading TEXT NOT NULL, start INTEGER NOT NULL,
    end INTEGER NOT NULL, text TEXT NOT NULL, UNIQUE (collection, id));
CREATE INDEX passages_by_document ON passages (collection, document_id, ordinal);
INSERT INTO collections VALUES (1, 'docs', 'abc', '2026-01-01T00:00:00+00:00', 1, 1, 1);
INSERT INTO changes VALUES (1, 1, 'd', 0, '2026-01-01T00:00:00+00:00');
INSERT INTO documents VALUES (1, 'd', 1, 'Title', 'Some text.', '{"year":2019}', x'00');
INSERT INTO passages VALUES (1, 'd#0', 'd', 0, 'Head', 0, 10, 'Some text.');
PRAGMA user_version=1;
"""
OLD = Passage("d#0", "d", 1, "Some text.", "Title", "Head", Span(0, 10), {"year": 2019})
NEW = Document("n", "One.\fTwo.", landmarks=(PageBreak(0, 1), Heading(0, "One", 2), PageBreak(5, 2)))
PLACED = Passage(
    "n#0",
    "n",
    2,
    "One.\fTwo.",
    heading="One",
    span=Span(0, 9),
    heading_path=("Part", "One"),
    locator=Locator(1, 2, 1, 1),
)


def _old_journal(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.executescript(SCHEMA_1)


async def test_a_journal_of_the_first_schema_is_read_and_written_on(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    _old_journal(path)
    for _ in range(2):
        journal = await Journal.open(path)
        try:
            assert await journal.document("docs", "d") == Document("d", "Some text.", "Title", {"year": 2019}, 1)
            assert await journal.passages("docs", [("d#0", 1)]) == {"d#0": OLD}
            await journal.write("docs", [Upsert(NEW, (PLACED,))])
            assert (await journal.document("docs", "n")).landmarks == NEW.landmarks
            assert await journal.passages("docs", [("n#0", 2)]) == {"n#0": PLACED}
            changes = (await journal.changes("docs", after=0)).changes
            assert [each.passages for each in changes] == [(OLD,), (PLACED,)]
        finally:
            await journal.close()


async def test_what_an_older_tamis_kept_is_the_first_generation_and_its_chunker_is_told_later(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    _old_journal(path)
    journal = await Journal.open(path)
    try:
        known = await journal.collection("docs")
        assert (known.serving_generation, known.passage_count, known.splits) == (1, 1, {1: Recipe("", None)})
        await journal.adopt_generations(Recipe("chunks", "digest", {"not": "taken over"}))
        assert (await journal.collection("docs")).splits == {1: Recipe("chunks", "digest")}
        assert await journal.add_generation("docs", Recipe("chunks", "digest")) == 2
        assert {each.split for each in (await journal.collection("docs")).generations} == {1}
    finally:
        await journal.close()


async def test_where_a_passage_stands_is_part_of_what_a_write_changes(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    _old_journal(path)
    journal = await Journal.open(path)
    try:
        moved = Passage("n#0", "n", 0, "One.\fTwo.", heading="One", span=Span(0, 9), locator=Locator(2, 3, 1, 1))
        for passage, changed in ((PLACED, 1), (PLACED, 0), (moved, 1), (moved, 0)):
            assert (await journal.write("docs", [Upsert(NEW, (passage,))])).written_count == changed
    finally:
        await journal.close()


async def _of_version_2(where: Path | PostgresAddress) -> None:
    """Two collections, one with a document of two passages, another that was written anew, and one that is deleted."""
    db: Database = SqliteDatabase(where) if isinstance(where, Path) else where.connect()
    db.migrate(MIGRATIONS[:2])
    time = "2020-01-01T00:00:00+00:00"
    db.begin()
    insert = "INSERT INTO collections (id, incarnation, create_time, last_sequence, document_count, passage_count, "
    db.execute(f"{insert}language) VALUES (?, ?, ?, ?, ?, ?, ?)", ("docs", "abc", time, 4, 2, 3, "de"))
    db.execute(f"{insert}language) VALUES (?, ?, ?, ?, ?, ?, ?)", ("empty", "def", time, 0, 0, 0, ""))
    key = db.execute("SELECT key FROM collections WHERE id = 'docs'").fetchone()[0]
    changes = [(1, "a", 0), (2, "gone", 0), (3, "b", 0), (4, "gone", 1)]
    db.executemany("INSERT INTO changes VALUES (?, ?, ?, ?, ?)", [(key, *each, time) for each in changes])
    db.executemany(
        "INSERT INTO documents VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (key, "a", 1, "Title", "One. Two.", '{"year":2019}', b"\x00", "[[0,1]]"),
            (key, "b", 3, "", "Three.", "{}", b"\x01", "[]"),
        ],
    )
    db.executemany(
        "INSERT INTO passages VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (key, "a#0", "a", 0, "Head", 0, 4, "One.", '["Part"]', 1, 1, 1, 1),
            (key, "a#1", "a", 1, "Head", 5, 9, "Two.", '["Part"]', 1, 1, 1, 1),
            (key, "b#0", "b", 0, "", 0, 6, "Three.", "[]", 0, 0, 0, 0),
        ],
    )
    db.commit()
    db.close()


async def test_a_journal_of_the_second_schema_has_everything_and_goes_on(where: Path | PostgresAddress) -> None:
    await _of_version_2(where)
    for _ in range(2):
        journal = await Journal.open(where)
        docs, empty = await journal.all_collections()
        assert (docs.id, docs.incarnation, docs.language) == ("docs", "abc", "de")
        assert (docs.last_sequence, docs.document_count, docs.passage_count) == (4, 2, 3)
        assert (empty.id, empty.passage_count, empty.tenant_partitioned) == ("empty", 0, False)
        found = await journal.changes("docs", after=0)
        assert [(each.sequence, each.document_id) for each in found.changes] == [(1, "a"), (3, "b"), (4, "gone")]
        assert [each.text for each in found.changes[0].passages] == ["One.", "Two."]
        where_it_is = Passage("a#1", "a", 1, "Two.", "Title", "Head", Span(5, 9), {"year": 2019}, ("Part",))
        assert found.changes[0].passages[1] == replace(where_it_is, locator=Locator(1, 1, 1, 1))
        assert (await journal.document("docs", "a")).landmarks == (PageBreak(0, 1),)
        assert await journal.aside(lambda store: audit.problems(store.database, store.key("docs"))) == []
        await journal.close()
    journal = await Journal.open(where)
    await journal.adopt_generations(Recipe("chunks", "digest"))
    written = await journal.write(
        "docs", [Patch("a", {"year": 2020}), Delete("b"), Rewrite("a"), Upsert(NEW, (PLACED,))], RequestKey("r", b"r")
    )
    assert written == await journal.write("docs", [Delete("a")], RequestKey("r", b"r"))
    assert (await journal.collection("docs")).passage_count == 3
    assert [each.document_version for each in (await journal.passages("docs", [("a#0", 7), ("a#1", 7)])).values()] == [
        7,
        7,
    ]
    assert await journal.compact("docs", 8) == (6 if isinstance(where, Path) else 4)  # what is not a week old stays
    assert await journal.aside(lambda store: audit.problems(store.database, store.key("docs"))) == []
    await journal.delete_collection("docs")
    await journal.close()


async def test_a_backup_of_the_second_schema_can_be_restored(tmp_path: Path) -> None:
    await _of_version_2(tmp_path / "backup")
    data = tmp_path / "data"
    found = restore(tmp_path / "backup", data, force=False, embeddings=data / "vectors", told=lambda *_: None)
    assert (found.collection_count, found.document_count) == (2, 2)
    journal = await Journal.open(data / "journal.sqlite")
    docs = await journal.collection("docs")
    assert docs.incarnation != "abc"
    assert docs.passage_count == 3
    await journal.close()
