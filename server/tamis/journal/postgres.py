"""One connection to a journal in PostgreSQL, made again when it is lost."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeVar, cast

import psycopg
import structlog
from psycopg import errors, sql
from psycopg.adapt import Dumper, Loader
from psycopg.conninfo import conninfo_to_dict

from tamis.errors import ConfigurationError, Unavailable
from tamis.journal.address import PostgresAddress
from tamis.journal.database import Database, Interrupted, Rows
from tamis.journal.dialect import definitions, placeholders, readable, storable

__all__ = ["Connection", "PostgresDatabase", "connect"]

Connection = psycopg.Connection[tuple[Any, ...]]
T = TypeVar("T")
_LOG = structlog.get_logger(__name__)
_LONGEST_PAUSE = 2.0
_AWAY = "the journal's database cannot be reached"
# libpq's own defaults would have a server wait for minutes for a machine that has vanished. A URL may say otherwise.
_DEFAULTS = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
    "target_session_attrs": "read-write",
    "fallback_application_name": "tamis",
}
# A server that is stopped in the middle of a transaction keeps the others from its collection for so long at the most.
_LONGEST_IDLE = "15s"
_ENDED = (
    errors.AdminShutdown,
    errors.CrashShutdown,
    errors.CannotConnectNow,
    errors.IdleInTransactionSessionTimeout,
    errors.ReadOnlySqlTransaction,
)


class PostgresDatabase(Database):
    """Statements in the SQL that SQLite shares, in a schema of their own. A commit waits for the disk.

    A connection that is lost is made again at the next `begin`, after a failure not more often than every two seconds.
    """

    clock = "EXTRACT(EPOCH FROM clock_timestamp())::DOUBLE PRECISION"
    lock = " FOR UPDATE"
    is_shared = True

    def __init__(self, address: PostgresAddress) -> None:
        """Connects. Raises `Unavailable`, or `ConfigurationError` for a database that would lose what it commits."""
        self._address = address
        self._db = connect(address)
        self._failures, self._not_before = 0, 0.0

    def execute(self, statement: str, values: Sequence[object] = ()) -> Rows:
        with self._told():
            return cast("Rows", self._db.execute(placeholders(statement).encode(), values))

    def executemany(self, statement: str, rows: Sequence[Sequence[object]]) -> None:
        if rows:
            with self._told(), self._db.cursor() as cursor:
                cursor.executemany(placeholders(statement).encode(), rows)

    def begin(self, *, read_only: bool = False) -> None:
        """A connection may have been lost since it was last used; nothing is lost with it, so it is made again."""
        begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY" if read_only else "BEGIN"
        if not self._db.closed:
            with suppress(Interrupted), self._told():
                self._db.execute(begin)
                return
        self._connect_again()
        with self._told():
            self._db.execute(begin)

    def commit(self) -> None:
        try:
            with self._told():
                self._db.execute("COMMIT")
        except Interrupted as error:
            raise Unavailable("the journal's database was lost during a commit; write the same again") from error

    def rollback(self) -> None:
        if not self._db.closed and self._db.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
            with suppress(Unavailable), self._told():  # what cannot be told to undo it has undone it by itself
                self._db.execute("ROLLBACK")

    def migrate(self, migrations: Sequence[tuple[int, str]]) -> None:
        """Servers that start at the same time wait for each other here."""
        self.begin()
        try:
            self.execute("SELECT pg_advisory_xact_lock(hashtext(?))", (f"tamis {self._address.namespace}",))
            self._create_schema()
            self._migrate(self._version(), migrations)
            self.commit()
        except BaseException:
            self.rollback()
            raise

    def announce(self, topics: Iterable[str]) -> None:
        with suppress(psycopg.Error):
            channel = self._address.namespace
            self._db.execute("SELECT pg_notify(%s, each) FROM unnest(%s::text[]) each", (channel, list(topics)))

    def close(self) -> None:
        self._db.close()

    def _create_schema(self) -> None:
        """Only if need be: whoever may not create schemas can be given one."""
        name = self._address.namespace
        if self.execute("SELECT 1 FROM pg_namespace WHERE nspname = ?", (name,)).fetchone() is None:
            with self._told():
                self._db.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(name)))
        self.execute("CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL)")

    def _version(self) -> int:
        row = self.execute("SELECT max(version) FROM schema_version").fetchone()
        return int(row[0] or 0)

    def _migrate(self, version: int, migrations: Sequence[tuple[int, str]]) -> None:
        newest = migrations[-1][0]
        if version > newest:
            message = f"the journal was written by a newer Tamis (schema {version}; this one knows {newest})"
            raise ConfigurationError(message)
        for number, statements in migrations:
            if number > version:
                with self._told():
                    self._db.execute(definitions(statements).encode())
                self.execute("INSERT INTO schema_version VALUES (?)", (number,))

    def _connect_again(self) -> None:
        if time.monotonic() < self._not_before:
            raise Unavailable(_AWAY)
        try:
            self._db = connect(self._address)
        except Exception:
            self._failures += 1
            pause = min(_LONGEST_PAUSE, 0.05 * 2 ** min(self._failures, 10)) * random.uniform(0.5, 1.0)
            self._not_before = time.monotonic() + pause
            raise
        self._failures = 0
        _LOG.info("connected to the journal's database again")

    @contextmanager
    def _told(self) -> Iterator[None]:
        """psycopg's errors as ours. Their details may quote a document, so they are left out."""
        try:
            yield
        except (errors.DeadlockDetected, errors.SerializationFailure) as error:
            raise Interrupted(f"the journal's database: {error.diag.message_primary}") from None
        except psycopg.Error as error:
            if self._db.closed or isinstance(error, _ENDED):
                self._db.close()
                raise Interrupted(_AWAY) from None
            message = f"the journal's database: {error.diag.message_primary or type(error).__name__}"
            kind = Unavailable if isinstance(error, psycopg.OperationalError) else RuntimeError
            raise kind(message) from None


def connect(address: PostgresAddress) -> Connection:
    """A connection that commits to disk. Raises `Unavailable`, `ConfigurationError`."""
    settings = {**_DEFAULTS, **_settings(address)}
    try:
        opened: Connection = psycopg.connect(**settings, autocommit=True)
    except psycopg.Error as error:
        raise Unavailable(f"{_AWAY}: {' '.join(str(error).split())}") from None
    try:
        _prepare(opened, address)
    except psycopg.Error as error:
        opened.close()
        raise Unavailable(f"{_AWAY}: {error.diag.message_primary}") from None
    except BaseException:
        opened.close()
        raise
    return opened


def _settings(address: PostgresAddress) -> dict[str, Any]:
    try:
        settings = conninfo_to_dict(address.url)
    except psycopg.ProgrammingError:  # its message quotes the URL, and with it the password
        raise ConfigurationError("[journal] url is not a URL that PostgreSQL's client can read") from None
    if address.password_file is not None:
        try:
            settings["password"] = address.password_file.read_text(encoding="utf-8").strip()
        except OSError as error:
            message = f"[journal] password_file cannot be read: {error.strerror}"
            raise ConfigurationError(message, path=str(address.password_file)) from None
    return settings


def _prepare(opened: Connection, address: PostgresAddress) -> None:
    for setting, wanted, why in (
        ("fsync", "on", "would lose documents in a crash of its machine"),
        ("server_encoding", "UTF8", "cannot keep every text"),
    ):
        if (found := _one(opened, f"SHOW {setting}")) != wanted:
            raise ConfigurationError(f"[journal] the database has {setting} = {found} and {why}; set it to {wanted}")
    if _one(opened, "SHOW synchronous_commit") not in ("on", "remote_apply"):
        opened.execute("SET synchronous_commit = on")
    opened.execute("SET client_encoding = 'UTF8'")
    opened.execute(f"SET idle_in_transaction_session_timeout = '{_LONGEST_IDLE}'")
    opened.execute(sql.SQL("SET search_path = {}").format(sql.Identifier(address.namespace)))
    opened.adapters.register_dumper(str, _TextDumper)
    opened.adapters.register_dumper(bool, _FlagDumper)
    opened.adapters.register_loader("text", _TextLoader)


def _one(opened: Connection, statement: str) -> str:
    row = opened.execute(statement.encode()).fetchone()
    return str(row[0]) if row else ""


class _TextDumper(Dumper):
    def dump(self, obj: str) -> bytes:
        return storable(obj).encode()


class _FlagDumper(Dumper):
    """SQLite has no booleans, so the tables have none either."""

    oid = psycopg.adapters.types["int8"].oid

    def dump(self, obj: bool) -> bytes:
        return b"1" if obj else b"0"


class _TextLoader(Loader):
    def load(self, data: bytes | bytearray | memoryview) -> str:
        return readable(str(data, "utf-8"))
