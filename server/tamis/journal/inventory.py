"""What an index must hold by what the journal says: passages page by page, and whose those are that it should not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass

from tamis.journal import passages
from tamis.journal.database import Database
from tamis.model import Change

__all__ = ["Expected", "changed_after", "current", "owners", "page"]

_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Expected:
    """A passage that an index must hold, with the version of its document."""

    id: str
    version: int
    document_id: str


def page(
    db: Database, key: int, split: int, *, after: str, upto: int, limit: int = 1_000
) -> tuple[str | None, list[Expected]]:
    """The passages of at most `limit` documents by id, those beyond `after`, without documents that changed since the
    sequence `upto`. Also the id of the last document looked at, None when there are no more."""
    documents = db.execute(
        "SELECT id, version FROM documents WHERE collection = ? AND id > ? ORDER BY id LIMIT ?", (key, after, limit)
    ).fetchall()
    if not documents:
        return None, []
    versions = {id: version for id, version in documents if version <= upto}
    rows = db.execute(
        "SELECT id, document_id FROM passages WHERE collection = ? AND split = ? AND document_id >= ? "
        "AND document_id <= ?",
        (key, split, documents[0][0], documents[-1][0]),
    )
    return documents[-1][0], [Expected(id, versions[name], name) for id, name in rows.fetchall() if name in versions]


def owners(db: Database, key: int, split: int, held: Sequence[tuple[str, int]]) -> list[str]:
    """For each passage id and document version the document that it is, or was, a part of.

    A version is a sequence, and its change tells the document. Where that change was compacted away, or never was, the
    passage's id tells it.
    """
    found: list[str] = []
    for id, version in held:
        row = db.execute(
            "SELECT document_id FROM changes WHERE collection = ? AND sequence = ?", (key, version)
        ).fetchone()
        if row is None or not id.startswith(row[0]):
            query = "SELECT document_id FROM passages WHERE collection = ? AND split = ? AND id = ?"
            row = db.execute(query, (key, split, id)).fetchone() or row
        found.append(row[0] if row else id.rpartition("#")[0] or id)
    return found


def changed_after(db: Database, key: int, sequence: int, document_ids: Set[str]) -> set[str]:
    """Those of the documents that were written or deleted after a sequence."""
    found: set[str] = set()
    for some in _portions(sorted(document_ids)):
        rows = db.execute(
            "SELECT DISTINCT document_id FROM changes WHERE collection = ? AND sequence > ? "
            f"AND document_id IN ({','.join('?' * len(some))})",
            (key, sequence, *some),
        )
        found |= {row[0] for row in rows.fetchall()}
    return found


def current(
    db: Database, key: int, split: int, document_ids: Sequence[str], *, upto: int, absent: Set[str]
) -> list[Change]:
    """What an index at the checkpoint `upto` must be given to hold the documents as they are, and none of `absent`.

    Documents that changed after the checkpoint are left out: they are about to come anyway.
    """
    found: list[Change] = []
    for some in _portions(document_ids):
        rows = db.execute(
            f"SELECT id, version FROM documents WHERE collection = ? AND id IN ({','.join('?' * len(some))})",
            (key, *some),
        )
        versions = {row[0]: row[1] for row in rows.fetchall()}
        changed = changed_after(db, key, upto, set(some))
        for id in some:
            if id in changed:
                continue
            if id in versions and id not in absent:
                found.append(Change(versions[id], id, passages.of_document(db, key, split, id)))
            else:
                found.append(Change(upto, id))
    return sorted(found, key=lambda each: each.sequence)


def _portions(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(ids), _AT_ONCE):
        yield ids[start : start + _AT_ONCE]
