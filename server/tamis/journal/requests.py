"""Requests that have names, each carried out once: every statement that touches their table."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

from tamis.errors import AlreadyExists
from tamis.journal.database import Database
from tamis.journal.records import RequestKey, Written

__all__ = ["KEPT", "fingerprint", "once", "remembered"]

KEPT = timedelta(days=1)
"""How long an answer is remembered."""

_PURGED_AT_ONCE = 64  # a burst that grew old costs no later request much


def fingerprint(kind: str, parts: Iterable[str]) -> bytes:
    """Of what a request of this kind asks for: equal for equal parts in the same order, and for nothing else."""
    digest = hashlib.blake2b(digest_size=20)
    for part in (kind, *parts):
        data = part.encode()
        digest.update(len(data).to_bytes(8, "big"))
        digest.update(data)
    return digest.digest()


def once(db: Database, collection: int, request: RequestKey | None, work: Callable[[], Written]) -> Written:
    """Does the work and remembers what came of it, in the transaction that is open; or recalls it.

    A request without a name is not remembered. Raises `AlreadyExists` for a name that another request has.
    """
    if request is None:
        return work()
    if (known := remembered(db, collection, request)) is not None:
        return known
    written, now = work(), datetime.now(UTC)
    _purge(db, collection, now)
    db.execute(
        "INSERT INTO requests (collection, id, fingerprint, sequence, written_count, unchanged_count, time) "
        "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (collection, id) DO UPDATE SET fingerprint = excluded.fingerprint, "
        "sequence = excluded.sequence, written_count = excluded.written_count, "
        "unchanged_count = excluded.unchanged_count, time = excluded.time",
        (
            collection,
            request.id,
            request.fingerprint,
            written.sequence,
            written.written_count,
            written.unchanged_count,
            now.isoformat(),
        ),
    )
    return written


def remembered(db: Database, collection: int, request: RequestKey) -> Written | None:
    """What was answered to this request within the time that answers are kept, or None.

    Raises `AlreadyExists` for a name that another request has.
    """
    row = db.execute(
        "SELECT fingerprint, sequence, written_count, unchanged_count FROM requests "
        "WHERE collection = ? AND id = ? AND time > ?",
        (collection, request.id, _oldest(datetime.now(UTC))),
    ).fetchone()
    if row is None:
        return None
    if bytes(row[0]) != request.fingerprint:
        raise AlreadyExists(
            f"another request was named {request.id!r}; a name is for one request", metadata={"name": request.id}
        )
    return Written(row[1], row[2], row[3])


def _purge(db: Database, collection: int, now: datetime) -> None:
    db.execute(
        "DELETE FROM requests WHERE collection = ? AND id IN "
        "(SELECT id FROM requests WHERE collection = ? AND time <= ? ORDER BY time LIMIT ?)",
        (collection, collection, _oldest(now), _PURGED_AT_ONCE),
    )


def _oldest(now: datetime) -> str:
    return (now - KEPT).isoformat()
