"""One connection to the database that holds a journal, and what differs between databases."""

from __future__ import annotations

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol

from tamis.errors import ConfigurationError, JournalDamaged, TamisError, Unavailable

__all__ = ["Database", "Interrupted", "Rows", "SqliteDatabase", "refusal"]

_WORTH_IT = 4  # a file is rewritten when more than one page in so many is free
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_RESTORE = "stop the server and restore a backup; docs/durability.md says how"


class Interrupted(Unavailable):
    """The transaction is undone, surely, and not for what was in it: the same work may begin again."""


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
    """Statements are written in the SQL that SQLite and PostgreSQL share, with `?` for values. Not thread-safe.

    Where the database is a server, every method may raise `Unavailable`, and `Interrupted` before a `commit`.
    """

    clock: ClassVar[str]
    """An expression for the seconds since 1970 by the database's own clock."""

    lock: ClassVar[str] = ""
    """What a SELECT ends with that keeps other writers from its rows until the transaction ends."""

    is_shared: ClassVar[bool] = False
    """Whether other processes may write at the same time."""

    @abstractmethod
    def execute(self, statement: str, values: Sequence[object] = ()) -> Rows:
        """Runs one statement; outside of `begin` and `commit` it is a transaction of its own."""

    @abstractmethod
    def executemany(self, statement: str, rows: Sequence[Sequence[object]]) -> None:
        """Runs one statement for each row."""

    @abstractmethod
    def begin(self, *, read_only: bool = False) -> None:
        """Opens a transaction that writes; one that only reads sees everything as it was at one moment."""

    @abstractmethod
    def commit(self) -> None:
        """On return everything since `begin` survives a crash of process and machine.

        Raises `Unavailable` when that cannot be told: it may or may not be so.
        """

    @abstractmethod
    def rollback(self) -> None:
        """Undoes everything since `begin`; nothing when nothing is open."""

    @abstractmethod
    def migrate(self, migrations: Sequence[tuple[int, str]]) -> None:
        """Takes the steps that the tables lack, each whole or not. Raises `ConfigurationError` for newer tables."""

    def announce(self, topics: Iterable[str]) -> None:
        """Tells the other processes on this database that something was committed. Never fails; may be lost."""

    def damages(self) -> list[str]:
        """What the database itself finds wrong with its files, in words; nothing where it sees to that by itself."""
        return []

    def give_back(self) -> int:
        """Returns free space to the disk, outside of a transaction; tells how many bytes, 0 where the database does so
        by itself."""
        return 0

    @abstractmethod
    def close(self) -> None:
        """Closes the connection."""


class SqliteDatabase(Database):
    """A file in WAL mode; commits flush it to disk."""

    clock = "(julianday('now') - 2440587.5) * 86400.0"

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

    def begin(self, *, read_only: bool = False) -> None:
        self._db.execute("BEGIN" if read_only else "BEGIN IMMEDIATE")

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

    def damages(self) -> list[str]:
        try:
            found = [str(row[0]) for row in self._db.execute("PRAGMA integrity_check(10)")]
            orphans = self._db.execute("PRAGMA foreign_key_check").fetchmany(10)
        except sqlite3.DatabaseError as error:
            return [str(error)]
        rows = [f"a row of {table} refers to a row of {other} that is not there" for table, _, other, _ in orphans]
        return [each for each in found if each != "ok"] + list(dict.fromkeys(rows))

    def give_back(self) -> int:
        """Rewrites the file when a quarter of it is free. Those who read meanwhile see what they saw before."""
        before = self._size()
        free, pages = (self._db.execute(f"PRAGMA {each}").fetchone()[0] for each in ("freelist_count", "page_count"))
        if free * _WORTH_IT > pages:
            self._db.execute("VACUUM")
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return max(0, before - self._size())

    def _size(self) -> int:
        log = self._path.with_name(f"{self._path.name}-wal")
        return sum(each.stat().st_size for each in (self._path, log) if each.exists())

    def close(self) -> None:
        self._db.close()
