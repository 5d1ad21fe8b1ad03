"""A journal that does not agree with itself says so."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from tamis.ingest.passages import SentencesChunker
from tamis.journal import Delete, Journal, Upsert, audit
from tamis.model import Document

CHUNKER = SentencesChunker(SentencesChunker.Settings())
DAMAGES = {
    "UPDATE collections SET document_count = 9": "there are 4 documents, and 9 are counted",
    "UPDATE generations SET passage_count = 9": "generation 1 has 4 passages, and 9 are counted",
    "DELETE FROM changes WHERE sequence = 4": "there are 7 changes after sequence 0, where there should be 8",
    "UPDATE documents SET version = 5 WHERE id = 'sieve'": "1 documents have a version that no change wrote",
    "UPDATE passages SET document_id = 'nobody' WHERE id = 'knife#0'": "1 passages belong to no document",
    "UPDATE changes SET collection = 99 WHERE sequence = 2": (
        "a row of changes refers to a row of collections that is not there"
    ),
    "UPDATE documents SET version = 99 WHERE id = 'sieve'": "1 documents have a version above the last sequence, 8",
}


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    opened = await Journal.open(tmp_path / "journal.sqlite")
    await opened.create_collection("docs")
    for name in ("sieve", "knife", "pan", "kettle", "spoon", "sieve", "sieve"):
        count = (await opened.collection("docs")).last_sequence
        document = Document(name, f"The {name} of the kitchen, {count}.")
        await opened.write("docs", [Upsert(document, tuple(CHUNKER.chunk(document)))])
    await opened.write("docs", [Delete("pan")])
    yield opened
    await opened.close()


async def _problems(journal: Journal) -> list[str]:
    return [
        *await journal.aside(lambda store: store.database.damages()),
        *await journal.aside(lambda store: audit.problems(store.database, store.key("docs"))),
    ]


@pytest.mark.parametrize(("damage", "problem"), DAMAGES.items())
async def test_what_was_damaged_is_told(journal: Journal, tmp_path: Path, damage: str, problem: str) -> None:
    assert await _problems(journal) == []
    with closing(sqlite3.connect(tmp_path / "journal.sqlite", isolation_level=None)) as db:
        db.execute(damage)
    assert problem in await _problems(journal)


async def test_passages_that_are_not_what_their_span_says_are_found_page_by_page(
    journal: Journal, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(tmp_path / "journal.sqlite", isolation_level=None)) as db:
        db.execute("UPDATE passages SET start = start + 1 WHERE id = 'kettle#0'")
    first = await journal.aside(lambda store: audit.misplaced(store.database, store.key("docs"), "", limit=2))
    second = await journal.aside(lambda store: audit.misplaced(store.database, store.key("docs"), "knife", limit=2))
    assert (first, second) == (audit.Misplaced("knife", ("kettle",)), audit.Misplaced("spoon", ()))


async def test_a_torn_page_of_the_file_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    await (await Journal.open(path)).close()
    with closing(sqlite3.connect(path)) as db:
        root = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'passages_by_id'").fetchone()[0]
        size = db.execute("PRAGMA page_size").fetchone()[0]
    with path.open("r+b") as file:
        file.seek((root - 1) * size)
        file.write(b"\x00" * size)
    again = await Journal.open(path)
    try:
        assert await again.aside(lambda store: store.database.damages())
    finally:
        await again.close()
