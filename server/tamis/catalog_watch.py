"""Notices what other servers of the same journal do to collections, and does the same to the indexes here."""

from __future__ import annotations

import asyncio

import structlog

from tamis.errors import NotFound, TamisError
from tamis.generations import Generations
from tamis.indexes import Indexes
from tamis.journal import CATALOG, Collection, Generation, Journal
from tamis.stage_loop import StageLoop

__all__ = ["CatalogWatch"]

_LOG = structlog.get_logger(__name__)
_Seen = tuple[str, int, tuple[Generation, ...]]


class CatalogWatch:
    """Lives on the loop of the services. Looks whenever the journal says that collections have changed; what cannot be
    done then is tried again at the next look, of which there is one every few seconds."""

    def __init__(
        self, journal: Journal, indexes: Indexes, generations: Generations, loop: StageLoop, changing: asyncio.Lock
    ) -> None:
        """`changing` is held by whoever opens or drops indexes."""
        self._journal, self._indexes, self._generations = journal, indexes, generations
        self._loop, self._changing = loop, changing
        self._own_loop, self._woken = asyncio.get_running_loop(), asyncio.Event()
        self._seen: dict[str, _Seen] = {}
        self._stop_listening = journal.listen(CATALOG, self._wake)
        self._woken.set()  # something may have changed since the collections were read
        self._task = asyncio.create_task(self._watch(), name="watch the catalog")

    async def close(self) -> None:
        """Returns once nothing is opened or dropped any more."""
        self._stop_listening()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _watch(self) -> None:
        while True:
            await self._woken.wait()
            self._woken.clear()
            try:
                await self._look()
            except Exception as error:
                _note(error)

    async def _look(self) -> None:
        known = {each.id: each for each in await self._journal.all_collections()}
        for id in self._indexes.incarnations():
            if id not in known:
                await self._forget(id)
        self._seen = {id: seen for id, seen in self._seen.items() if id in known}
        for each in known.values():
            if self._seen.get(each.id) != _seen(each):
                await self._refresh(each)

    async def _forget(self, id: str) -> None:
        async with self._changing:
            try:
                await self._journal.collection(id)
            except NotFound:
                await self._loop.run(lambda: self._indexes.forget(id))

    async def _refresh(self, collection: Collection) -> None:
        try:
            await self._generations.refresh(collection.id)
            self._seen[collection.id] = _seen(collection)
        except Exception as error:
            _note(error, collection=collection.id)

    def _wake(self) -> None:
        """Called on the journal's thread."""
        if not self._own_loop.is_closed():
            self._own_loop.call_soon_threadsafe(self._woken.set)


def _seen(collection: Collection) -> _Seen:
    """What the indexes here depend on."""
    return collection.incarnation, collection.serving_generation, collection.generations


def _note(error: Exception, **where: str) -> None:
    event = "what another server did to collections cannot be followed yet"
    if isinstance(error, TamisError):
        _LOG.warning(event, reason=error.message, **where)
    else:
        _LOG.error(event, exc_info=error, **where)
