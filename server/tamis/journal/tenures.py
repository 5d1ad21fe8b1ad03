"""The leases that this server holds, prolonged while it lives."""

from __future__ import annotations

import asyncio

import structlog

from tamis.errors import Superseded, Unavailable
from tamis.journal.journal import Journal
from tamis.journal.leases import Place

__all__ = ["Tenures"]

_LOG = structlog.get_logger(__name__)
_WAIT = 0.1


class Tenures:
    """Lives on one event loop. A lease expires by the database's clock, `seconds` after it was last prolonged, which
    happens three times in that time for as long as this process runs."""

    def __init__(self, journal: Journal, seconds: float = 15.0) -> None:
        self._journal, self._seconds = journal, seconds
        self._held: dict[Place, int] = {}
        self._prolonging: asyncio.Task[None] | None = None

    async def begin(self, place: Place) -> int | None:
        """The epoch in which this server writes from now on; None while another one does."""
        if not await self._journal.is_lease_free(place):
            return None
        epoch = await self._journal.take_lease(place, self._seconds)
        if epoch is not None:
            self._held[place] = epoch
            if self._journal.is_shared and (self._prolonging is None or self._prolonging.done()):
                self._prolonging = asyncio.create_task(self._prolong(), name="prolong leases")
        return epoch

    async def wrest(self, place: Place) -> int | None:
        """Waits until nobody else writes: one that works gives up when it sees why, one that is gone expires.

        None if that takes more than twice the time of a lease.
        """
        for _ in range(int(2 * self._seconds / _WAIT)):
            if (epoch := await self.begin(place)) is not None:
                return epoch
            await asyncio.sleep(_WAIT)
        return None

    async def check(self, place: Place, epoch: int) -> None:
        """Raises `Superseded` unless the lease holds, perhaps anew: nobody may have wanted one that had expired."""
        if await self._journal.is_lease_held(place, epoch):
            return
        if not await self._journal.renew_leases({place: epoch}, self._seconds):
            self._held.pop(place, None)
            raise Superseded("another server follows the journal for this index by now")

    async def end(self, place: Place, epoch: int) -> None:
        """Lets another server take over, at once if the database can be told."""
        if self._held.get(place) == epoch:
            del self._held[place]
        try:
            await self._journal.end_lease(place, epoch)
        except Unavailable as error:
            _LOG.debug("a lease is left to expire", reason=error.message)

    async def close(self) -> None:
        """Stops prolonging; leases that were not ended expire."""
        if self._prolonging is not None:
            self._prolonging.cancel()
            await asyncio.gather(self._prolonging, return_exceptions=True)

    async def _prolong(self) -> None:
        while self._held:
            await asyncio.sleep(self._seconds / 3)
            try:
                await self._journal.renew_leases(dict(self._held), self._seconds)
            except Exception as error:  # whoever writes next finds out what that means
                _LOG.warning("leases could not be prolonged", reason=str(error))
