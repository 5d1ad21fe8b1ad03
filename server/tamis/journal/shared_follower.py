"""Keeps an index that several servers see in step with the journal: one of them writes, the others watch."""

from __future__ import annotations

import asyncio

import structlog

from tamis.errors import Superseded
from tamis.journal.follower import Follower
from tamis.journal.journal import Journal
from tamis.journal.tenures import Tenures
from tamis.stage import Index, SharedIndex

__all__ = ["SharedFollower"]

_LOG = structlog.get_logger(__name__)
_GLANCE = 0.25  # seconds between looks at an index that another server writes


class SharedFollower(Follower):
    """Whichever server first sees that the index is behind takes the lease, begins an epoch and applies.

    It keeps the lease for as long as it lives and succeeds. After a failure it gives the lease up, since another server
    may fare better. The others read the index's own checkpoint while it is behind, so that they know how far it is.
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
        tenures: Tenures,
        incarnation: str = "",
    ) -> None:
        if not isinstance(index, SharedIndex):
            raise TypeError("not an index that servers can share")
        self._shared, self._tenures = index, tenures
        self._place, self._epoch = (collection, generation, stage), 0
        super().__init__(journal, collection, generation, stage, index, split, incarnation=incarnation)

    async def drop(self) -> None:
        """Waits until no other server writes, so that nothing is written to what is dropped."""
        await self._stop()
        epoch = await self._tenures.wrest(self._place)
        if epoch is None:
            _LOG.warning("an index is dropped that another server may still write", stage=self.stage)
        await self.index.drop()
        if epoch is not None:
            await self._tenures.end(self._place, epoch)

    async def _stop(self) -> None:
        await super()._stop()
        await self._give_up()

    async def _begin(self) -> int:
        while True:
            self._woken.clear()
            await self._known()
            reached = await self.index.checkpoint()
            is_behind = reached < (await self._known()).last_sequence
            await self._applier.count()
            await self._reach(reached)
            if is_behind and (epoch := await self._tenures.begin(self._place)) is not None:
                self._epoch = epoch
                return await self._shared.take_over(epoch)
            await self._watch(_GLANCE if is_behind else None)

    async def _watch(self, seconds: float | None) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            return

    async def _check(self) -> None:
        await self._tenures.check(self._place, self._epoch)

    async def _pause_after(self, error: Exception) -> None:
        had_lease = self._epoch
        await self._give_up()
        if had_lease and isinstance(error, Superseded):
            _LOG.info("another server follows the journal for an index", collection=self.collection, stage=self.stage)
            await asyncio.sleep(_GLANCE)
        else:
            await super()._pause_after(error)

    async def _give_up(self) -> None:
        if self._epoch:
            epoch, self._epoch = self._epoch, 0
            await self._tenures.end(self._place, epoch)
