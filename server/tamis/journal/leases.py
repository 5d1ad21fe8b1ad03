"""Which server writes an index that several servers see: every statement that touches the leases' table."""

from __future__ import annotations

from collections.abc import Mapping

from tamis.journal.database import Database

__all__ = ["Place", "end", "is_free", "is_held", "renew", "take"]

Place = tuple[str, int, str]
"""What a lease is for: collection, generation, stage."""

_THIS = "collection = ? AND generation = ? AND stage = ?"


def take(db: Database, place: Place, holder: str, seconds: float) -> int | None:
    """The epoch in which `holder` may write for so long; None while another one may.

    Epochs of a place only rise: from one taker to the next, after a restart, and also for a database that was restored
    from a backup, since they are never below the time. Where a database has one process only, no other may.
    """
    now = db.clock
    others = f"WHERE leases.expires <= {now} OR leases.holder = excluded.holder" if db.is_shared else ""
    epoch = f"CAST({now} AS BIGINT)"
    row = db.execute(
        "INSERT INTO leases (collection, generation, stage, holder, epoch, expires) "
        f"VALUES (?, ?, ?, ?, {epoch}, {now} + ?) ON CONFLICT (collection, generation, stage) DO UPDATE SET "
        "holder = excluded.holder, expires = excluded.expires, epoch = CASE WHEN excluded.epoch > leases.epoch "
        f"THEN excluded.epoch ELSE leases.epoch + 1 END {others} RETURNING epoch",
        (*place, holder, seconds),
    ).fetchone()
    return None if row is None else int(row[0])


def renew(db: Database, held: Mapping[Place, int], holder: str, seconds: float) -> dict[Place, int]:
    """Prolongs leases, by their epochs; returns those that nobody has ended by taking over."""
    prolong = f"UPDATE leases SET expires = {db.clock} + ? WHERE {_THIS} AND epoch = ? AND holder = ?"
    return {
        place: epoch
        for place, epoch in sorted(held.items())
        if db.execute(prolong, (seconds, *place, epoch, holder)).rowcount
    }


def is_held(db: Database, place: Place, epoch: int) -> bool:
    """Whether the lease of an epoch still holds."""
    row = db.execute(f"SELECT 1 FROM leases WHERE {_THIS} AND epoch = ? AND expires > {db.clock}", (*place, epoch))
    return row.fetchone() is not None


def is_free(db: Database, place: Place, holder: str) -> bool:
    """Whether `take` would succeed now."""
    others = f"SELECT 1 FROM leases WHERE {_THIS} AND expires > {db.clock} AND holder <> ?"
    return not db.is_shared or db.execute(others, (*place, holder)).fetchone() is None


def end(db: Database, place: Place, epoch: int) -> None:
    """Lets another one take over at once."""
    db.execute(f"UPDATE leases SET expires = 0, holder = '' WHERE {_THIS} AND epoch = ?", (*place, epoch))
