"""A journal that an older Tamis wrote."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from tamis.journal import Journal, Recipe, Upsert
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
