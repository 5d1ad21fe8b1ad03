"""What documents were divided into: every statement that touches the passages' table; all of it synchronous."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tamis.encoding import decode
from tamis.journal.database import Database
from tamis.model import Locator, Passage, Span, Value

__all__ = ["are_stored", "delete", "insert", "of_document", "sweep", "with_ids"]

_COLUMNS = (
    'p.id, p.document_id, d.version, p.text, d.title, p.heading, p.start, p."end", d.metadata, p.heading_path, '
    "p.first_page, p.last_page, p.first_line, p.last_line"
)
_SELECT = (
    f"SELECT {_COLUMNS} FROM passages p JOIN documents d ON d.collection = p.collection AND d.id = p.document_id "
    "WHERE p.collection = ? AND p.split = ?"
)
_METADATA = 8  # among the columns
_MOST_AT_ONCE = 500


def insert(db: Database, key: int, split: int, document_id: str, passages: Sequence[Passage]) -> None:
    """Adds all passages of a document in a split that has none of it."""
    db.executemany(
        'INSERT INTO passages (collection, split, document_id, ordinal, id, heading, start, "end", heading_path, '
        "first_page, last_page, first_line, last_line, text) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [(key, split, document_id, place, *_placed(each), each.text) for place, each in enumerate(passages)],
    )
    _count(db, key, {split: len(passages)})


def delete(db: Database, key: int, document_id: str) -> None:
    """Removes a document's passages from every split."""
    removed = db.execute(
        "DELETE FROM passages WHERE collection = ? AND document_id = ? RETURNING split", (key, document_id)
    )
    _count(db, key, {split: -count for split, count in Counter(row[0] for row in removed.fetchall()).items()})


def sweep(db: Database, key: int, split: int, limit: int) -> int:
    """Removes at most `limit` passages of a split that no generation uses. Returns how many there were."""
    ids = db.execute("SELECT id FROM passages WHERE collection = ? AND split = ? LIMIT ?", (key, split, limit))
    found = [(key, split, row[0]) for row in ids.fetchall()]
    db.executemany("DELETE FROM passages WHERE collection = ? AND split = ? AND id = ?", found)
    return len(found)


def are_stored(db: Database, key: int, split: int, document_id: str, passages: Sequence[Passage]) -> bool:
    """Whether a document whose text has not changed is divided in just this way."""
    rows = db.execute(
        'SELECT id, heading, start, "end", heading_path, first_page, last_page, first_line, last_line FROM passages '
        "WHERE collection = ? AND document_id = ? AND split = ? ORDER BY ordinal",
        (key, document_id, split),
    )
    return [tuple(row) for row in rows] == [_placed(each) for each in passages]


def of_document(db: Database, key: int, split: int, document_id: str) -> tuple[Passage, ...]:
    """A document's passages in their order, all with the same mapping as their metadata."""
    rows = db.execute(f"{_SELECT} AND p.document_id = ? ORDER BY p.ordinal", (key, split, document_id)).fetchall()
    metadata = decode(rows[0][_METADATA]) if rows else {}
    return tuple(_passage(row, metadata) for row in rows)


def with_ids(db: Database, key: int, split: int, ids: Sequence[str]) -> Iterable[Passage]:
    """Those of the ids that there are, in any order."""
    for start in range(0, len(ids), _MOST_AT_ONCE):
        some = ids[start : start + _MOST_AT_ONCE]
        rows = db.execute(f"{_SELECT} AND p.id IN ({','.join('?' * len(some))})", (key, split, *some))
        yield from (_passage(row, decode(row[_METADATA])) for row in rows)


def _count(db: Database, key: int, differences: Mapping[int, int]) -> None:
    db.executemany(
        "UPDATE generations SET passage_count = passage_count + ? WHERE collection = ? AND split = ?",
        [(difference, key, split) for split, difference in differences.items() if difference],
    )


def _placed(passage: Passage) -> tuple[object, ...]:
    """What is stored of a passage, but for its text and what its document has."""
    span, where = passage.span, passage.locator
    path = json.dumps(passage.heading_path, ensure_ascii=False)
    lines = (where.first_page, where.last_page, where.first_line, where.last_line)
    return (passage.id, passage.heading, span.start, span.end, path, *lines)


def _passage(row: Sequence[Any], metadata: Mapping[str, Value]) -> Passage:
    id, document_id, version, text, title, heading, start, end, _, path, *where = row
    span, headings = Span(start, end), () if path == "[]" else tuple(json.loads(path))
    return Passage(id, document_id, version, text, title, heading, span, metadata, headings, Locator(*where))
