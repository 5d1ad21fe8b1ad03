"""Writes that wait at the same time are committed together, with one flush to disk."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence, Set
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog

from tamis.errors import Overloaded, TamisError
from tamis.journal.database import Interrupted, refusal
from tamis.journal.store import Store

__all__ = ["GroupCommit"]

T = TypeVar("T")
_LOG = structlog.get_logger(__name__)
_MOST_WAITING = 1_024
_MOST_ATTEMPTS = 4


@dataclass(frozen=True, slots=True)
class _Waiting:
    work: Callable[[Store], Any]
    outcome: Future[Any]
    topic: str | None


class GroupCommit:
    """The one writer of a store, with a thread of its own. Usable from any event loop.

    A write is acknowledged after the flush it shares; one that fails does not fail its neighbours.
    """

    def __init__(self, store: Store, changed: Callable[[Store, set[str]], None]) -> None:
        """`changed` is called on the writer's thread after each commit, with the topics that were written to."""
        self._store, self._changed = store, changed
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="tamis-journal-write")
        self._waiting: deque[_Waiting] = deque()
        self._guard = threading.Lock()
        self.committed: Callable[[int, float], None] = lambda count, seconds: None
        """Called on the writer's thread after each commit, with how many writes shared it and how long it took."""
        self.changing: Callable[[Set[str | None]], AbstractContextManager[None]] = lambda topics: nullcontext()
        """Entered on the writer's thread around each commit, with its topics."""

    @property
    def waiting_count(self) -> int:
        """How many writes wait for a commit."""
        return len(self._waiting)

    async def write(self, work: Callable[[Store], T], topic: str | None) -> T:
        """Does `work` in a transaction, once or, when that is undone, again. A topic of None is for what nobody hears.

        Raises what `work` does, `Overloaded` when too much waits, `Unavailable` when the disk does not take it.
        """
        outcome: Future[T] = Future()
        with self._guard:
            if len(self._waiting) >= _MOST_WAITING:
                raise Overloaded("too many writes are waiting for the journal")
            self._waiting.append(_Waiting(work, outcome, topic))
        self._thread.submit(self._commit_waiting)
        return await asyncio.wrap_future(outcome)

    async def between(self, work: Callable[[Store], T]) -> T:
        """Does between two commits what is no transaction; writes wait meanwhile."""
        return await asyncio.wrap_future(self._thread.submit(work, self._store))

    def close(self) -> None:
        """Commits what waits, then closes the store."""
        self._thread.shutdown(wait=True)
        self._store.close()

    def _commit_waiting(self) -> None:
        with self._guard:
            group = [each for each in self._waiting if each.outcome.set_running_or_notify_cancel()]
            self._waiting.clear()
        if not group:
            return
        # Servers that write to several collections at once lock them in one order, and so do not lock each other out.
        group.sort(key=lambda each: each.topic or "")
        with self.changing({each.topic for each in group}):
            outcomes = self._outcomes(group)
        for each, outcome in zip(group, outcomes, strict=True):
            if isinstance(outcome, BaseException):
                each.outcome.set_exception(outcome)
            else:
                each.outcome.set_result(outcome)
        self._changed(self._store, {each.topic for each in group if each.topic is not None})

    def _outcomes(self, group: Sequence[_Waiting]) -> list[Any]:
        try:
            return self._committed(group)
        except Exception as error:
            self._store.rollback()
            if isinstance(error, TamisError):
                _LOG.warning("journal commit failed", reason=error.message)
            else:
                _LOG.exception("journal commit failed")
            return [refusal(error, "written")] * len(group)

    def _committed(self, group: Sequence[_Waiting]) -> list[Any]:
        for attempt in range(1, _MOST_ATTEMPTS + 1):
            try:
                started = time.monotonic()
                self._store.begin()
                outcomes = [_attempt(self._store, each.work) for each in group]
                self._store.commit()
                self.committed(len(group), time.monotonic() - started)
                return outcomes
            except Interrupted:
                self._store.rollback()
                if attempt == _MOST_ATTEMPTS:
                    raise
                time.sleep(attempt * random.uniform(0.0, 0.05))  # so that two do not get in each other's way again
        raise AssertionError("unreachable")


def _attempt(store: Store, work: Callable[[Store], Any]) -> Any:
    """One write of a group. What a caller did wrong is undone and returned; anything else fails the whole group."""
    store.savepoint()
    try:
        result = work(store)
    except Interrupted:
        raise
    except TamisError as error:
        store.undo()
        return error
    store.release()
    return result
