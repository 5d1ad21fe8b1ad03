"""A journal in SQLite copied to one file while it is written to, and back."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import uuid
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tamis.errors import FailedPrecondition, InvalidRequest, NotFound
from tamis.journal.schema import SCHEMA_VERSION

__all__ = ["Backup", "back_up", "restore"]

_PAGES_AT_ONCE = 512
_EMBEDDINGS = "backup_embeddings"
Told = Callable[[int, int], None]
"""Is told how many pages are done, and of how many."""


@dataclass(frozen=True, slots=True)
class Backup:
    """What a backup holds."""

    collection_count: int
    document_count: int
    embedding_count: int
    byte_count: int


def back_up(data: Path, target: Path, *, embeddings: Path | None, told: Told) -> Backup:
    """Copies the journal below `data` as it is at one moment, with the vectors in the file `embeddings` if there are.

    Writes go on meanwhile; what was acknowledged before is in the copy. The copy is checked, flushed to the disk and
    only then named `target`. Raises `NotFound` without a journal, `FailedPrecondition` when there is a `target` or the
    copy is damaged.
    """
    journal = data / "journal.sqlite"
    if not journal.exists():
        raise NotFound("journal", str(journal))
    if target.exists():
        raise FailedPrecondition(f"{target} is there already; a backup never overwrites anything")
    with _beside(target) as fresh:
        _copy(journal, fresh, told)
        with closing(sqlite3.connect(fresh, isolation_level=None)) as db:
            if embeddings is not None and embeddings.exists():
                _add_embeddings(db, embeddings)
            db.execute("PRAGMA journal_mode = DELETE")
        return _checked(fresh)


def restore(backup: Path, data: Path, *, force: bool, embeddings: Path, told: Told) -> Backup:
    """Puts a backup in the place of the journal below `data`.

    Every collection gets a new incarnation, so that no index of before can be taken for its own: indexes are built anew
    at the next start. Raises `FailedPrecondition` while a server runs there, when the backup is damaged, and, without
    `force`, when there is a journal.
    """
    if not backup.exists():
        raise NotFound("backup", str(backup))
    found, journal = _checked(backup), data / "journal.sqlite"
    data.mkdir(parents=True, exist_ok=True)
    with _locked(journal):
        if journal.exists() and not force:
            raise FailedPrecondition(f"{journal} is there already; --force puts the backup in its place")
        with _beside(journal, clear=_clear_log) as fresh:
            _copy(backup, fresh, told)
            with closing(sqlite3.connect(fresh, isolation_level=None)) as db:
                _take_embeddings(db, embeddings)
                _renew(db)
    return found


def _copy(source: Path, target: Path, told: Told) -> None:
    """In one transaction that reads: a copy of a file that changes under way would begin again each time."""
    with closing(_opened(source)) as read, closing(sqlite3.connect(target)) as write:
        read.execute("BEGIN")
        read.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
        read.backup(write, pages=_PAGES_AT_ONCE, progress=lambda _, left, pages: told(pages - left, pages))


def _opened(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None, timeout=30)


def _checked(path: Path) -> Backup:
    """Raises `FailedPrecondition` when it is no whole journal."""
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as db:
            damages = [row[0] for row in db.execute("PRAGMA integrity_check(1)") if row[0] != "ok"]
            version = db.execute("PRAGMA user_version").fetchone()[0]
            collections, documents = db.execute("SELECT COUNT(*), SUM(document_count) FROM collections").fetchone()
            counted = f"SELECT COUNT(*) FROM {_EMBEDDINGS}"
            embeddings = db.execute(counted).fetchone()[0] if _has(db, _EMBEDDINGS) else 0
    except sqlite3.DatabaseError as error:
        raise FailedPrecondition(f"{path} is no whole backup: {error}") from None
    if damages:
        raise FailedPrecondition(f"{path} is damaged: {damages[0]}")
    if version > SCHEMA_VERSION:
        raise FailedPrecondition(f"{path} is of a newer Tamis (schema {version}; this one knows {SCHEMA_VERSION})")
    return Backup(collections, documents or 0, embeddings, path.stat().st_size)


def _renew(db: sqlite3.Connection) -> None:
    db.execute("BEGIN")
    for (key,) in db.execute("SELECT key FROM collections").fetchall():
        db.execute("UPDATE collections SET incarnation = ? WHERE key = ?", (uuid.uuid4().hex, key))
    db.execute("COMMIT")


def _add_embeddings(db: sqlite3.Connection, path: Path) -> None:
    db.execute("ATTACH ? AS kept", (str(path),))
    if db.execute("SELECT 1 FROM kept.sqlite_master WHERE name = 'embeddings'").fetchone():
        db.execute(f"CREATE TABLE {_EMBEDDINGS} AS SELECT * FROM kept.embeddings")
    db.execute("DETACH kept")


def _take_embeddings(db: sqlite3.Connection, path: Path) -> None:
    """Into a file of their own, in the place of what was kept before."""
    if not _has(db, _EMBEDDINGS):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    for each in (path, *_logs(path)):
        each.unlink(missing_ok=True)
    from tamis.embeddings import TABLES

    with closing(sqlite3.connect(path)) as kept:
        kept.executescript(TABLES)
    db.execute("ATTACH ? AS kept", (str(path),))
    db.execute(f"INSERT INTO kept.embeddings SELECT * FROM {_EMBEDDINGS}")
    db.execute("DETACH kept")
    db.execute(f"DROP TABLE {_EMBEDDINGS}")


def _has(db: sqlite3.Connection, table: str) -> bool:
    return db.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchone() is not None


@contextmanager
def _beside(target: Path, clear: Callable[[Path], None] = lambda _: None) -> Generator[Path, None, None]:
    """A file to write, which is flushed and then named `target`, or is gone when that fails."""
    if not target.parent.is_dir():
        raise NotFound("folder", str(target.parent))
    fresh = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}")
    try:
        yield fresh
        _flush(fresh)
        clear(target)
        fresh.replace(target)
        _flush(target.parent)
    except OSError as error:
        raise InvalidRequest.of(str(target), f"cannot be written: {error.strerror}") from error
    finally:
        fresh.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _clear_log(journal: Path) -> None:
    """The log of the journal of before would be applied to the one that takes its place."""
    if journal.exists():
        try:
            with closing(_opened(journal)) as db:
                db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.DatabaseError:
            pass  # it is damaged, and on its way out
    for each in _logs(journal):
        each.unlink(missing_ok=True)


def _logs(path: Path) -> list[Path]:
    return [path.with_name(f"{path.name}-{end}") for end in ("wal", "shm", "journal")]


@contextmanager
def _locked(journal: Path) -> Generator[None, None, None]:
    lock = os.open(journal.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise FailedPrecondition(f"a server runs on {journal.parent}; stop it first") from None
    finally:
        os.close(lock)
