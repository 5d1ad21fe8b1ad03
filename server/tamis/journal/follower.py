"""Keeps one index in step with one collection's journal."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace

import structlog

from tamis.errors import NotFound, TamisError, Unavailable
from tamis.journal.ahead import Ahead, Batch
from tamis.journal.applier import Applier
from tamis.journal.journal import Journal
from tamis.journal.leases import Tenure
from tamis.journal.records import Collection
from tamis.model import Change
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
    dead_letter_count: int = 0


class Follower:
    """Applies changes to an index in order, batch by batch. Lives on one event loop; wakes after each commit.

    While a batch is applied the next one is read, and prepared by an index that `Prepares`.

    A batch that fails is tried again, later and later up to half a minute. Nothing is ever passed over but documents
    that the index cannot take, which then stand in the dead letters.
    """

    def __init__(
        self,
        journal: Journal,
        collection: str,
        generation: int,
        stage: str,
        index: Index,
        split: int = 1,
        *,
        incarnation: str = "",
    ) -> None:
        """With an incarnation, a collection of the same name that was created anew is none of its business."""
        self.collection, self.generation, self.stage, self.index = collection, generation, stage, index
        self.split, self._incarnation = split, incarnation
        self.status = FollowerStatus()
        self._journal = journal
        self._loop = asyncio.get_running_loop()
        self._ahead = Ahead(journal, collection, split, index)
        self._applier = Applier(journal, collection, generation, stage, self._apply, self._tenure)
        self._applying: asyncio.Future[None] | None = None
        self._between = asyncio.Lock()
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

    @property
    def is_following(self) -> bool:
        """False once it is closed or dropped."""
        return not self._stopped

    @asynccontextmanager
    async def paused(self) -> AsyncGenerator[int, None]:
        """Waits for the batch under way; nothing is applied while the context lasts. Gives the index's checkpoint.

        Raises `NotFound` when the collection is deleted, and what the index raises when asked for its checkpoint.
        """
        async with self._between:
            if self._stopped:
                raise NotFound("collection", self.collection)
            await self._ahead.forget()
            yield await self.index.checkpoint()

    async def mend(self, changes: Sequence[Change], checkpoint: int) -> None:
        """Applies again what the index lost, inside of `paused` and at the checkpoint that it gave.

        Raises `NotFound` when the collection was deleted meanwhile, and what the index raises.
        """
        if self._stopped:
            raise NotFound("collection", self.collection)
        await self._apply(changes, checkpoint)

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
        await self._ahead.forget()

    async def _follow(self) -> None:
        while True:
            try:
                await self._ahead.forget()
                reached = await self._begin()
                await self._applier.count()
                await self._reach(reached)  # a batch may have failed after all of it was applied
                await self._apply_for_ever()
            except NotFound as error:
                if await self._is_gone():
                    return  # whoever removed the collection drops this index
                await self._pause_after(error)
            except Exception as error:
                await self._pause_after(error)
            except asyncio.CancelledError:
                if self._stopped or _is_cancelled():
                    raise
                await self._pause_after(Unavailable("the index cancelled itself"))

    async def _begin(self) -> int:
        """The checkpoint to go on from. An index of a collection that is gone is asked nothing, lest it be made."""
        await self._known()
        return await self.index.checkpoint()

    async def _is_gone(self) -> bool:
        try:
            await self._known()
        except NotFound:
            return True
        except Exception:
            return False
        return False

    async def _pause_after(self, error: Exception) -> None:
        self._note_failure(error)
        await asyncio.sleep(self._pause())

    async def _known(self) -> Collection:
        known = await self._journal.collection(self.collection)
        if self._incarnation not in ("", known.incarnation):
            raise NotFound("collection", self.collection)
        return known

    async def _apply_for_ever(self) -> None:
        while True:
            self._woken.clear()
            known = await self._known()
            if self.status.applied_sequence > known.last_sequence:
                self.status = replace(self.status, problem="INDEX_AHEAD_OF_JOURNAL")
            elif self.status.applied_sequence < known.last_sequence:
                async with self._between:
                    await self._apply_next()
                continue
            else:
                self.status = FollowerStatus(known.last_sequence, dead_letter_count=self._applier.dead_letter_count)
            await self._announce()
            await self._woken.wait()

    async def _apply_next(self) -> None:
        batch = self._ahead.begin(self.status.applied_sequence)
        try:
            found = await batch.changes()
            await self._look_ahead(batch, found.upto)
            await self._applier.apply(found.changes, found.upto, lambda: self._apply_batch(batch, found.upto))
        finally:
            await self._ahead.done(batch)

    async def _apply_batch(self, batch: Batch, upto: int) -> None:
        await batch.prepared()
        await self._look_ahead(batch, upto)  # again: preparing takes long, and more may have been written meanwhile
        await self._do_apply(lambda: batch.apply(self.index), upto)

    async def _look_ahead(self, batch: Batch, upto: int) -> None:
        """Begins the batch behind this one, if the journal has it by now. Raises nothing that the next look will."""
        with suppress(TamisError):
            if upto < (await self._known()).last_sequence:
                self._ahead.begin(upto, batch)

    async def _apply(self, changes: Sequence[Change], upto: int) -> None:
        await self._do_apply(lambda: self.index.apply(changes, upto=upto), upto)

    async def _do_apply(self, work: Callable[[], Awaitable[None]], upto: int) -> None:
        await self._check()
        # Shielded: an index that was interrupted half way would be left to its crash recovery for no reason.
        self._applying = asyncio.ensure_future(work())
        try:
            await asyncio.shield(self._applying)
        except NotFound as error:
            raise Unavailable("the index does not know its collection") from error
        await self._reach(upto)

    async def _check(self) -> None:
        """Raises when this follower may not write to the index now."""

    def _tenure(self) -> Tenure:
        """On whose behalf dead letters are written down."""
        return Tenure(self._incarnation)

    async def _reach(self, sequence: int) -> None:
        """A problem is over once the index has got further."""
        count = self._applier.dead_letter_count
        if sequence == self.status.applied_sequence:
            self.status = replace(self.status, dead_letter_count=count)
        else:
            self.status = FollowerStatus(sequence, dead_letter_count=count)
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


def _is_cancelled() -> bool:
    """Whether somebody wants this task to end, and it is not what it awaits that ended."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
