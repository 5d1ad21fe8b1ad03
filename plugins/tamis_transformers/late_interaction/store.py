"""Token vectors of one collection on the disk, with their checkpoint: an SQLite database."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tamis.errors import ConfigurationError, Unavailable
from tamis_transformers.late_interaction.compression import Compression, Rows

__all__ = ["Stored", "TokenStore"]

_AT_ONCE = 500  # SQLite takes more parameters, but not without end
_SCHEMA = """
CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS passages (
    id TEXT PRIMARY KEY, document_id TEXT NOT NULL, version INTEGER NOT NULL, text_hash BLOB NOT NULL,
    token_count INTEGER NOT NULL, vectors BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS of_document ON passages (document_id);
"""
_READ = "SELECT id, text_hash, token_count, vectors FROM passages WHERE id IN (%s)"
_KNOWN = "SELECT text_hash, token_count, vectors FROM passages WHERE document_id IN (%s)"


@dataclass(frozen=True, slots=True)
class Stored:
    """What is kept of one passage; `text_hash` is of the text that was encoded."""

    id: str
    version: int
    text_hash: bytes
    rows: Rows


class TokenStore:
    """Blocks. One thread may write while another one reads: each has a connection of its own."""

    def __init__(self, directory: Path, compression: Compression, made_with: Mapping[str, object]) -> None:
        """Opens or creates. Raises `ConfigurationError` when what is there was made with something else."""
        directory.mkdir(parents=True, exist_ok=True)
        self._compression = compression
        self._writing = _connection(directory / "tokens.sqlite")
        try:
            self._writing.executescript(_SCHEMA)
            self._check(directory, json.dumps(made_with, sort_keys=True))
            self._reading = _connection(directory / "tokens.sqlite")
        except BaseException:
            self._writing.close()
            raise

    def checkpoint(self) -> int:
        """The sequence up to which everything is durable. On the thread that writes."""
        found = self._writing.execute("SELECT value FROM about WHERE name = 'checkpoint'").fetchone()
        return int(found[0]) if found else 0

    def known(self, documents: Iterable[str]) -> dict[bytes, Rows]:
        """What is kept of these documents, by the hash of the text. On the thread that writes."""
        found = _each(self._writing, _KNOWN, list(documents))
        return {text_hash: self._rows(count, vectors) for text_hash, count, vectors in found}

    def write(self, documents: Mapping[str, Sequence[Stored]], upto: int) -> None:
        """Replaces documents and moves the checkpoint, both or neither. On the thread that writes.

        Raises `Unavailable` when the disk does not take it.
        """
        try:
            self._replace(documents, upto)
        except sqlite3.OperationalError as error:
            raise Unavailable("the disk does not take the index") from error

    def _replace(self, documents: Mapping[str, Sequence[Stored]], upto: int) -> None:
        with self._writing:
            self._writing.execute("BEGIN IMMEDIATE")
            self._writing.executemany("DELETE FROM passages WHERE document_id = ?", [(each,) for each in documents])
            rows = ((each, document) for document, passages in documents.items() for each in passages)
            self._writing.executemany(
                "INSERT OR REPLACE INTO passages VALUES (?, ?, ?, ?, ?, ?)",
                ((it.id, document, it.version, it.text_hash, len(it.rows), it.rows.tobytes()) for it, document in rows),
            )
            self._writing.execute("INSERT OR REPLACE INTO about VALUES ('checkpoint', ?)", (str(upto),))

    def read(self, wanted: Mapping[str, bytes]) -> dict[str, Rows]:
        """The rows of passages by id, of those that are kept and of the same text. On the thread that reads."""
        found = _each(self._reading, _READ, list(wanted))
        return {id: self._rows(count, rows) for id, text_hash, count, rows in found if wanted[id] == text_hash}

    def ids(self, after: str, limit: int) -> list[tuple[str, int]]:
        """At most `limit` passages by id, those beyond `after`, with their documents' versions. On the thread that
        reads."""
        query = "SELECT id, version FROM passages WHERE id > ? ORDER BY id LIMIT ?"
        return self._reading.execute(query, (after, limit)).fetchall()

    def close(self) -> None:
        """Called once nothing reads or writes any more."""
        self._reading.close()
        self._writing.close()

    def _rows(self, count: int, vectors: bytes) -> Rows:
        return np.frombuffer(vectors, dtype=self._compression.dtype).reshape(count, -1 if count else 0)

    def _check(self, directory: Path, made_with: str) -> None:
        found = self._writing.execute("SELECT value FROM about WHERE name = 'made_with'").fetchone()
        if found is None:
            self._writing.execute("INSERT INTO about VALUES ('made_with', ?)", (made_with,))
        elif found[0] != made_with:
            raise ConfigurationError(
                f"the token vectors were made with {found[0]}, the configuration asks for {made_with}; "
                "remove this folder and they are computed again from the journal",
                path=str(directory),
            )


def _connection(file: Path) -> sqlite3.Connection:
    """Autocommit, so that transactions begin where they are begun; durable once they have ended."""
    connection = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    return connection


def _each(connection: sqlite3.Connection, query: str, keys: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    for start in range(0, len(keys), _AT_ONCE):
        some = keys[start : start + _AT_ONCE]
        with closing(connection.execute(query % ", ".join("?" * len(some)), some)) as cursor:
            yield from cursor
