"""One connection to the database that holds a journal, and what differs between databases."""

from __future__ import annotations

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from tamis.errors import ConfigurationError, JournalDamaged, TamisError, Unavailable

__all__ = ["Database", "Rows", "SqliteDatabase", "refusal"]

_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_RESTORE = "stop the server and restore a backup; docs/durability.md says how"


def refusal(error: Exception, doing: str) -> TamisError:
    """What callers are told of a failure of the database while `doing` ("read", "written"), with its own words."""
    if isinstance(error, sqlite3.DatabaseError) and getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED:
        told: TamisError = JournalDamaged(f"the journal is damaged ({error}): {_RESTORE}")
    elif isinstance(error, sqlite3.OperationalError):
        told = Unavailable(f"the journal cannot be {doing}: {error}")
    else:
        told = Unavailable(f"the journal cannot be {doing}")
    told.__cause__ = error
    return told


class Rows(Protocol):
    """What a statement gave."""

    @property
    def rowcount(self) -> int:
        """How many rows it changed."""
        ...

    def fetchone(self) -> Any:
        """The next row, or None."""
        ...

    def fetchall(self) -> list[Any]:
        """All rows that are left."""
        ...

    def __iter__(self) -> Iterator[Any]: ...


class Database(ABC):
    """Statements are written in the SQL that SQLite and PostgreSQL share, with `?` for values. Not thread-safe."""

    @abstractmethod
    def execute(self, statement: str, values: Sequence[object] = ()) -> Rows:
        """Runs one statement; outside of `begin` and `commit` it is a transaction of its own."""

    @abstractmethod
    def executemany(self, statement: str, rows: Sequence[Sequence[object]]) -> None:
        """Runs one statement for each row."""

    @abstractmethod
    def begin(self) -> None:
        """Opens a transaction that writes."""

    @abstractmethod
    def commit(self) -> None:
        """On return everything since `begin` survives a crash of process and machine."""

    @abstractmethod
    def rollback(self) -> None:
        """Undoes everything since `begin`; nothing when nothing is open."""

    @abstractmethod
    def migrate(self, migrations: Sequence[tuple[int, str]]) -> None:
        """Takes the steps that the tables lack, each whole or not. Raises `ConfigurationError` for newer tables."""

    @abstractmethod
    def close(self) -> None:
        """Closes the connection."""


class SqliteDatabase(Database):
    """A file in WAL mode; commits flush it to disk."""

    def __init__(self, path: Path) -> None:
        """Opens or creates the file."""
        self._path = path
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.execute("PRAGMA foreign_keys=ON")

    def execute(self, statement: str, values: Sequence[object] = ()) -> Rows:
        return self._db.execute(statement, values)

    def executemany(self, statement: str, rows: Sequence[Sequence[object]]) -> None:
        self._db.executemany(statement, rows)

    def begin(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        self._db.execute("COMMIT")

    def rollback(self) -> None:
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")

    def migrate(self, migrations: Sequence[tuple[int, str]]) -> None:
        version, newest = self._db.execute("PRAGMA user_version").fetchone()[0], migrations[-1][0]
        if version > newest:
            message = f"the journal was written by a newer Tamis (schema {version}; this one knows {newest})"
            raise ConfigurationError(message, path=str(self._path))
        for number, statements in migrations:
            if number > version:
                self._db.executescript(f"BEGIN;{statements}PRAGMA user_version={number};COMMIT;")

    def close(self) -> None:
        self._db.close()
