"""Where a journal is that several servers share, and how to reach it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tamis.errors import ConfigurationError

if TYPE_CHECKING:
    from tamis.journal.notifications import Notifications
    from tamis.journal.postgres import PostgresDatabase

__all__ = ["PostgresAddress"]


@dataclass(frozen=True, slots=True)
class PostgresAddress:
    """A PostgreSQL database, and the schema in it that one installation of Tamis has to itself.

    `url` is one that libpq reads; it may hold a password and is never shown. The file at `password_file` is read at
    each connection, so that a password may change while servers run.
    """

    url: str = field(repr=False)
    namespace: str = "tamis"
    password_file: Path | None = None

    def connect(self) -> PostgresDatabase:
        """Raises `ConfigurationError` when the client is not installed, `Unavailable` when nobody answers."""
        try:
            from tamis.journal.postgres import PostgresDatabase
        except ImportError as error:
            message = "[journal] url needs the PostgreSQL client: pip install 'tamis[postgresql]'"
            raise ConfigurationError(f"{message} ({error})") from error
        return PostgresDatabase(self)

    def listen(self, name: str, told: Callable[[str | None], None]) -> Notifications:
        """Has `told` called, on a thread of its own, with each topic that a process other than `name` announces, and
        with None when any may have been missed."""
        from tamis.journal.notifications import Notifications

        return Notifications(self, name, told)
