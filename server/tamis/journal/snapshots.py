"""Reads that see the journal as it is at one moment."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from tamis.journal.database import Database, Interrupted, refusal
from tamis.journal.store import Store

__all__ = ["Snapshots"]

T = TypeVar("T")


class Snapshots:
    """A connection and a thread for short reads, and another of each for long ones. Usable from any event loop."""

    def __init__(self, connect: Callable[[], Database]) -> None:
        """The connection for long reads is made when it is wanted."""
        self._connect = connect
        self._store = Store(connect())
        self._aside: Store | None = None
        self._reads = ThreadPoolExecutor(1, thread_name_prefix="tamis-journal-read")
        self._asides = ThreadPoolExecutor(1, thread_name_prefix="tamis-journal-aside")

    @property
    def is_shared(self) -> bool:
        """Whether other servers may write to the journal."""
        return self._store.database.is_shared

    async def read(self, work: Callable[[Store], T]) -> T:
        """Does `work`, again when it was interrupted."""
        return await asyncio.wrap_future(self._reads.submit(self._read, work))

    async def aside(self, work: Callable[[Store], T]) -> T:
        """Does `work`, once, while other reads go on."""
        return await asyncio.wrap_future(self._asides.submit(self._read_aside, work))

    def close(self) -> None:
        """Finishes what was begun, then closes the connections."""
        self._reads.shutdown(wait=True)
        self._asides.shutdown(wait=True, cancel_futures=True)
        if self._aside is not None:
            self._aside.close()
        self._store.close()

    def _read(self, work: Callable[[Store], T]) -> T:
        try:
            return self._store.read(work)
        except Interrupted:
            return self._store.read(work)
        except sqlite3.Error as error:
            raise refusal(error, "read") from error

    def _read_aside(self, work: Callable[[Store], T]) -> T:
        if self._aside is None:
            self._aside = Store(self._connect())
        return self._aside.read(work)
