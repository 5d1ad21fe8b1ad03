"""Hears what other servers commit to the journal that they share."""

from __future__ import annotations

import random
import select
import socket
import threading
from collections.abc import Callable
from typing import Any

import psycopg
import structlog
from psycopg import sql

from tamis.errors import TamisError
from tamis.journal.address import PostgresAddress
from tamis.journal.postgres import Connection, connect

__all__ = ["Notifications"]

_LOG = structlog.get_logger(__name__)
_LONGEST_SILENCE = 5.0
_LONGEST_PAUSE = 2.0


class Notifications:
    """A thread with a connection of its own, made again when it is lost.

    `told` is called with a topic, or with None when topics may have been missed: after the connection was lost, and
    every five seconds in any case, since an announcement is lost with the server that was to make it.
    """

    def __init__(self, address: PostgresAddress, name: str, told: Callable[[str | None], None]) -> None:
        """Listens from now on; what `name` announces itself is passed over. Raises `Unavailable`."""
        self._address, self._name, self._told = address, name, told
        self._connection: Connection | None = self._connected()
        self._stop, self._stopping = socket.socketpair()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tamis-journal-listen", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Returns once nobody will be told any more."""
        self._stopped.set()
        self._stopping.send(b"x")
        self._thread.join()
        self._stop.close()
        self._stopping.close()

    def _connected(self) -> Connection:
        connection = connect(self._address)
        try:
            connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(self._address.namespace)))
        except BaseException:
            connection.close()
            raise
        return connection

    def _run(self) -> None:
        failures = 0
        while not self._stopped.is_set():
            try:
                if self._connection is None:
                    self._connection = self._connected()
                    failures = 0
                    self._told(None)
                with self._connection as connection:
                    self._listen(connection)
            except (psycopg.Error, TamisError, OSError):
                failures += 1
                _LOG.debug("the journal's database does not notify", failures=failures)
                pause = min(_LONGEST_PAUSE, 0.05 * 2 ** min(failures, 10))
                self._stopped.wait(pause * random.uniform(0.5, 1.0))
            self._connection = None

    def _listen(self, connection: Connection) -> None:
        sockets: list[Any] = [connection, self._stop]
        while not self._stopped.is_set():
            heard, _, _ = select.select(sockets, [], [], _LONGEST_SILENCE)
            if not heard:
                self._told(None)
            for topic in {each.payload for each in connection.notifies(timeout=0)}:
                name, _, collection = topic.partition(" ")
                if name != self._name:
                    self._told(collection)
