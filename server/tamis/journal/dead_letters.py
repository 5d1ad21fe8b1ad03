"""The documents that an index could not take: every statement that touches their table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from tamis.journal.database import Database
from tamis.journal.records import DeadLetter

__all__ = ["Place", "among", "count", "documents", "of_documents", "of_index", "page", "put", "withdraw"]

Place = tuple[str, str, int]
"""Where a dead letter stands in the list of its collection: stage, document id, generation."""

_AT_ONCE = 500


def put(db: Database, collection: int, letter: DeadLetter) -> None:
    """Adds a dead letter, in place of the one that this index has for the document."""
    row = (letter.document_version, letter.reason, letter.create_time.isoformat())
    db.execute(
        "INSERT INTO dead_letters "
        "(collection, stage, document_id, generation, document_version, reason, time) VALUES (?, ?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (collection, stage, document_id, generation) DO UPDATE SET "
        "document_version = excluded.document_version, reason = excluded.reason, time = excluded.time",
        (collection, letter.stage, letter.document_id, letter.generation, *row),
    )


def withdraw(db: Database, collection: int, generation: int, stage: str, document_ids: Sequence[str]) -> None:
    """Removes the dead letters that this index has for these documents."""
    db.executemany(
        "DELETE FROM dead_letters WHERE collection = ? AND stage = ? AND document_id = ? AND generation = ?",
        [(collection, stage, each, generation) for each in document_ids],
    )


def among(db: Database, collection: int, generation: int, stage: str, document_ids: Sequence[str]) -> list[str]:
    """Those of the documents that this index has dead letters for."""
    found: list[str] = []
    for start in range(0, len(document_ids), _AT_ONCE):
        some = document_ids[start : start + _AT_ONCE]
        rows = db.execute(
            "SELECT document_id FROM dead_letters WHERE collection = ? AND stage = ? AND generation = ? "
            f"AND document_id IN ({','.join('?' * len(some))})",
            (collection, stage, generation, *some),
        )
        found += [row[0] for row in rows.fetchall()]
    return found


def of_index(db: Database, collection: int, generation: int, stage: str) -> frozenset[str]:
    """All documents that this index has dead letters for."""
    rows = db.execute(
        "SELECT document_id FROM dead_letters WHERE collection = ? AND stage = ? AND generation = ?",
        (collection, stage, generation),
    )
    return frozenset(row[0] for row in rows.fetchall())


def count(db: Database, collection: int, generation: int, stage: str) -> int:
    """How many dead letters an index has."""
    found = db.execute(
        "SELECT COUNT(*) FROM dead_letters WHERE collection = ? AND stage = ? AND generation = ?",
        (collection, stage, generation),
    )
    return int(found.fetchone()[0])


def page(db: Database, collection: int, limit: int, after: Place | None) -> list[DeadLetter]:
    """At most `limit` dead letters by stage and document id, those beyond `after`."""
    beyond = "" if after is None else "AND (stage, document_id, generation) > (?, ?, ?) "
    rows = db.execute(
        "SELECT stage, generation, document_id, document_version, reason, time FROM dead_letters "
        f"WHERE collection = ? {beyond}ORDER BY stage, document_id, generation LIMIT ?",
        (collection, *(after or ()), limit),
    )
    return [_letter(*row) for row in rows.fetchall()]


def documents(db: Database, collection: int, limit: int, after: str) -> list[str]:
    """At most `limit` ids of documents that some index could not take, by id, those beyond `after`."""
    rows = db.execute(
        "SELECT DISTINCT document_id FROM dead_letters WHERE collection = ? AND document_id > ? "
        "ORDER BY document_id LIMIT ?",
        (collection, after, limit),
    )
    return [row[0] for row in rows.fetchall()]


def of_documents(db: Database, collection: int, document_ids: Sequence[str]) -> list[str]:
    """Those of the documents that some index could not take, in the same order."""
    statement = "SELECT 1 FROM dead_letters WHERE collection = ? AND document_id = ?"
    return [each for each in document_ids if db.execute(statement, (collection, each)).fetchone()]


def _letter(stage: str, generation: int, document_id: str, version: int, reason: str, time: str) -> DeadLetter:
    return DeadLetter(stage, generation, document_id, version, reason, datetime.fromisoformat(time))
