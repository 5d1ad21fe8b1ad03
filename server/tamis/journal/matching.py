"""Which documents satisfy a filter, as the journal has them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tamis.encoding import decode
from tamis.filters import Filter, matches
from tamis.journal.database import Database

__all__ = ["Page", "page", "rejudged"]

_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class Page:
    """Ids of documents that match; those up to `last` have been looked at, all of them if it is empty."""

    document_ids: tuple[str, ...]
    last: str


def page(db: Database, collection: int, filter: Filter, *, after: str) -> Page:
    """Looks at the next thousand documents by id, and at nothing but their metadata."""
    rows = db.execute(
        "SELECT id, metadata FROM documents WHERE collection = ? AND id > ? ORDER BY id LIMIT ?",
        (collection, after, _AT_ONCE),
    ).fetchall()
    return Page(tuple(_matching(rows, filter)), rows[-1][0] if len(rows) == _AT_ONCE else "")


def rejudged(db: Database, collection: int, filter: Filter, found: Sequence[str], *, since: int) -> list[str]:
    """The ids that match now, by id, when `found` did at sequence `since`: only what was written later is looked at."""
    rows = db.execute(
        "SELECT d.id, d.metadata FROM changes c JOIN documents d ON d.collection = c.collection AND "
        "d.id = c.document_id AND d.version = c.sequence WHERE c.collection = ? AND c.sequence > ?",
        (collection, since),
    ).fetchall()
    changed = {row[0] for row in rows}
    return sorted({*(each for each in found if each not in changed), *_matching(rows, filter)})


def _matching(rows: Sequence[Any], filter: Filter) -> Iterator[str]:
    return (id for id, metadata in rows if matches(filter, decode(metadata)))
