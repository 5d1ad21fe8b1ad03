"""Tenants: whose collections and documents there are; every statement that is about them, all of it synchronous."""

from __future__ import annotations

from tamis.journal.database import Database

__all__ = ["collides", "count", "found", "listed", "name_of", "note", "of"]

_NAME = "CASE WHEN tenant = '' THEN id ELSE substr(id, length(tenant) + 2) END"
_VISIBLE = "(tenant = ? OR tenant_partitioned = 1)"


def of(id: str) -> str:
    """The tenant whose collection it is; empty for an operator's."""
    return id.rpartition("/")[0]


def name_of(id: str) -> str:
    """What its tenant calls a collection."""
    return id.rpartition("/")[2]


def collides(db: Database, id: str, tenant_partitioned: bool) -> bool:
    """Whether some tenant would see two collections of the name of this one, which is there already."""
    if of(id):
        rows = db.execute("SELECT 1 FROM collections WHERE id = ? AND tenant_partitioned = 1", (name_of(id),))
    elif tenant_partitioned:
        rows = db.execute("SELECT 1 FROM collections WHERE tenant <> '' AND id = tenant || '/' || ?", (id,))
    else:
        return False
    return rows.fetchone() is not None


def found(db: Database, tenant: str, name: str) -> str | None:
    """The id of the collection that a tenant knows by a name."""
    row = db.execute(
        f"SELECT id FROM collections WHERE {_VISIBLE} AND {_NAME} = ? ORDER BY tenant_partitioned", (tenant, name)
    ).fetchone()
    return None if row is None else str(row[0])


def listed(db: Database, tenant: str, limit: int, after: str = "") -> list[str]:
    """The ids of at most `limit` collections that a tenant sees, by name, those beyond the name `after`."""
    rows = db.execute(
        f"SELECT id FROM collections WHERE {_VISIBLE} AND {_NAME} > ? ORDER BY {_NAME} LIMIT ?", (tenant, after, limit)
    )
    return [str(row[0]) for row in rows]


def count(db: Database, key: int, tenant: str) -> tuple[int, int]:
    """How many documents of a tenant a shared collection holds, and the sequence of the last change to them."""
    row = db.execute(
        "SELECT document_count, last_sequence FROM tenants WHERE collection = ? AND tenant = ?", (key, tenant)
    ).fetchone()
    return (0, 0) if row is None else (int(row[0]), int(row[1]))


def note(db: Database, key: int, tenant: str, sequence: int, difference: int) -> None:
    """Counts a change to a document of a tenant; nothing where a document is nobody's in particular."""
    if tenant:
        db.execute(
            "INSERT INTO tenants (collection, tenant, document_count, last_sequence) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (collection, tenant) DO UPDATE SET "
            "document_count = tenants.document_count + excluded.document_count, last_sequence = excluded.last_sequence",
            (key, tenant, difference, sequence),
        )
