"""What one index holds, written down to be compared: in a temporary file, whatever its size."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

from tamis.journal.inventory import Expected

__all__ = ["Holdings"]

_CACHE_KIB = 32 << 10
_TABLES = """
CREATE TABLE held (id TEXT, version INTEGER, count INTEGER, PRIMARY KEY (id, version)) WITHOUT ROWID;
CREATE TABLE differing (document_id TEXT PRIMARY KEY) WITHOUT ROWID;
"""


class Holdings:
    """Passages with their versions; those that are expected are crossed off, and what is left is too much.

    Blocks, and is for one thread at a time. Takes 32 MiB of memory at the most; a million passages take 80 MB or so in
    a temporary file, which is gone when it is closed.
    """

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        for pragma in ("journal_mode = OFF", "synchronous = OFF", f"cache_size = -{_CACHE_KIB}"):
            self._db.execute(f"PRAGMA {pragma}")
        self._db.executescript(_TABLES)
        self.expected_count = 0
        self.missing_count = 0
        self.extra_count = 0

    def close(self) -> None:
        """Removes the file."""
        self._db.close()

    def hold(self, passages: Iterable[tuple[str, int]]) -> None:
        """Writes down what the index holds."""
        insert = "INSERT INTO held VALUES (?, ?, 1) ON CONFLICT (id, version) DO UPDATE SET count = count + 1"
        self._db.execute("BEGIN")
        self._db.executemany(insert, passages)
        self._db.execute("COMMIT")

    def expect(self, passages: Sequence[Expected]) -> None:
        """Crosses off what must be there; documents of which something is missing, or there twice, differ."""
        self._db.execute("BEGIN")
        for each in passages:
            remove = "DELETE FROM held WHERE id = ? AND version = ? RETURNING count"
            counts = self._db.execute(remove, (each.id, each.version)).fetchall()
            self.missing_count += not counts
            self.extra_count += counts[0][0] - 1 if counts else 0
            if counts != [(1,)]:
                self.differ(each.document_id)
        self._db.execute("COMMIT")
        self.expected_count += len(passages)

    def rest(self, after: tuple[str, int], limit: int) -> list[tuple[str, int, int]]:
        """At most `limit` passages that nobody expected, beyond `after`: id, version, and how often they are there."""
        query = "SELECT id, version, count FROM held WHERE (id, version) > (?, ?) ORDER BY id, version LIMIT ?"
        return self._db.execute(query, (*after, limit)).fetchall()

    def surplus(self, document_id: str, count: int) -> None:
        """Notes passages that are not to be there."""
        self.extra_count += count
        self.differ(document_id)

    def differ(self, document_id: str) -> None:
        """Notes a document that is not as it must be."""
        self._db.execute("INSERT INTO differing VALUES (?) ON CONFLICT DO NOTHING", (document_id,))

    def differing(self, after: str, limit: int) -> list[str]:
        """At most `limit` documents that differ, by id, those beyond `after`."""
        query = "SELECT document_id FROM differing WHERE document_id > ? ORDER BY document_id LIMIT ?"
        return [row[0] for row in self._db.execute(query, (after, limit))]
