"""Keeps one index in step with one collection's journal."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, replace

import structlog

from tamis.errors import NotFound, TamisError
from tamis.journal.journal import Journal
from tamis.stage import Index

__all__ = ["Follower", "FollowerStatus"]

_LOG = structlog.get_logger(__name__)
_LONGEST_PAUSE = 30.0


@dataclass(frozen=True, slots=True)
class FollowerStatus:
    """How far an index has got. `problem` is a constant word, empty while all is well."""

    applied_sequence: int = 0
    problem: str = ""
    failure_count: int = 0


class Follower:
    """Applies changes to an index in order, batch by batch. Lives on one event loop; wakes after each commit.

    A batch that fails is tried again, later and later up to half a minute; nothing is ever passed over.
    """

    def __init__(
        self, journal: Journal, collection: str, generation: int, stage: str, index: Index, split: int = 1
    ) -> None:
        self.collection, self.generation, self.stage, self.index = collection, generation, stage, index
        self._split = split
        self.status = FollowerStatus()
        self._journal = journal
        self._loop = asyncio.get_running_loop()
        self._applying: asyncio.Future[None] | None = None
        self._stopped = False
        self._woken = asyncio.Event()
        self._advanced = asyncio.Condition()
        self._stop_listening = journal.listen(collection, self._wake)
        self._task = asyncio.create_task(self._follow(), name=f"follow {collection}/{generation}/{stage}")

    async def wait(self, sequence: int) -> None:
        """Returns once everything up to `sequence` can be found. Raises `NotFound` when the collection is deleted."""
        async with self._advanced:
            await self._advanced.wait_for(lambda: self._stopped or self.status.applied_sequence >= sequence)
        if self._stopped:
            raise NotFound("collection", self.collection)

    async def close(self) -> None:
        """Stops between two batches at the latest, then closes the index."""
        await self._stop()
        await self.index.close()

    async def drop(self) -> None:
        """Stops, then removes the index."""
        await self._stop()
        await self.index.drop()

    async def _stop(self) -> None:
        self._stop_listening()
        self._stopped = True
        await self._announce()
        self._task.cancel()
        await asyncio.gather(self._task, *([self._applying] if self._applying else []), return_exceptions=True)

    async def _follow(self) -> None:
        while True:
            try:
                reached = await self.index.checkpoint()
                if reached != self.status.applied_sequence:  # a batch may have failed after all of it was applied
                    self.status = FollowerStatus(reached)
                    await self._announce()
                await self._apply_for_ever()
            except NotFound:
                return  # the collection is gone; whoever removed it drops this index
            except Exception as error:
                self._note_failure(error)
                await asyncio.sleep(self._pause())

    async def _apply_for_ever(self) -> None:
        while True:
            self._woken.clear()
            known = await self._journal.collection(self.collection)
            if self.status.applied_sequence > known.last_sequence:
                self.status = replace(self.status, problem="INDEX_AHEAD_OF_JOURNAL")
            elif self.status.applied_sequence < known.last_sequence:
                await self._apply_next()
                continue
            else:
                self.status = FollowerStatus(known.last_sequence)
            await self._announce()
            await self._woken.wait()

    async def _apply_next(self) -> None:
        batch = await self._journal.changes(self.collection, after=self.status.applied_sequence, split=self._split)
        # Shielded: an index that was interrupted half way would be left to its crash recovery for no reason.
        self._applying = asyncio.ensure_future(self.index.apply(batch.changes, upto=batch.upto))
        try:
            await asyncio.shield(self._applying)
        except NotFound as error:
            raise RuntimeError("the index does not know its collection") from error
        self.status = FollowerStatus(batch.upto)
        await self._announce()

    async def _announce(self) -> None:
        async with self._advanced:
            self._advanced.notify_all()

    def _note_failure(self, error: Exception) -> None:
        """An expected failure, such as a server that is away, is not worth a traceback each time."""
        count = self.status.failure_count + 1
        self.status = replace(self.status, problem="APPLY_FAILED", failure_count=count)
        where = {"collection": self.collection, "stage": self.stage, "failures": count}
        if isinstance(error, TamisError):
            _LOG.warning("index cannot follow the journal", reason=error.message, **where)
        else:
            _LOG.exception("index cannot follow the journal", **where)

    def _pause(self) -> float:
        longest: float = min(_LONGEST_PAUSE, 0.1 * 2 ** min(self.status.failure_count, 10))
        return longest * random.uniform(0.5, 1.0)

    def _wake(self) -> None:
        """Called on the journal's thread."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._woken.set)
