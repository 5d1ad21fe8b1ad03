"""Changes that no index will ask for again: every statement that removes them; all of it synchronous."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tamis.journal.database import Database

__all__ = ["SAFETY_AGE", "remove", "safe_upto"]

SAFETY_AGE = timedelta(days=7)
"""How long a journal that servers share keeps every change: nobody knows how far the others' indexes are."""


def safe_upto(db: Database, key: int, applied: int) -> int:
    """The sequence up to which superseded changes can go, where the indexes of this server have applied `applied`."""
    if not db.is_shared:
        return applied
    before = (datetime.now(UTC) - SAFETY_AGE).isoformat()
    found = db.execute("SELECT MAX(sequence) FROM changes WHERE collection = ? AND time < ?", (key, before)).fetchone()
    return min(applied, int(found[0] or 0))


def remove(db: Database, key: int, upto: int, limit: int) -> int:
    """Removes at most `limit` changes up to a sequence that are superseded, or deletions. Returns how many: fewer than
    `limit` once there are no more.

    What is left up to there is the latest change of each document that there is. An index that begins at 0 misses
    nothing; one that stands between 0 and there may, and must begin anew.
    """
    # In the transaction that makes the hole, so that no index ever meets one that the collection does not own up to.
    db.execute("UPDATE collections SET compacted_upto = ? WHERE key = ? AND compacted_upto < ?", (upto, key, upto))
    rows = db.execute(
        "SELECT c.sequence FROM changes c LEFT JOIN documents d ON d.collection = c.collection AND "
        "d.id = c.document_id AND d.version = c.sequence WHERE c.collection = ? AND c.sequence <= ? AND d.id IS NULL "
        "ORDER BY c.sequence LIMIT ?",
        (key, upto, limit),
    ).fetchall()
    db.executemany("DELETE FROM changes WHERE collection = ? AND sequence = ?", [(key, row[0]) for row in rows])
    return len(rows)
