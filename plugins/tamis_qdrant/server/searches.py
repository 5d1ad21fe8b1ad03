"""The searches of one request, gathered and sent as one."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Generic, TypeAlias, TypeVar
from weakref import WeakKeyDictionary

from tamis.context import Call, CallEnded, Companions
from tamis.deadline import Deadline

__all__ = ["Place", "Searches"]

Asked = TypeVar("Asked")
Found = TypeVar("Found")


@dataclass(slots=True)
class _Search(Generic[Asked, Found]):
    asked: Asked
    deadline: Deadline
    found: asyncio.Future[Found] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


Send: TypeAlias = Callable[[Sequence[Asked], Deadline], Awaitable[Sequence[Found]]]


class Searches(Generic[Asked, Found]):
    """Sends the searches of stages that run side by side together, as soon as the last of them knows what to ask.

    Nothing sleeps: who is to be waited for is known from the request's companions, each of which either asks or leaves.
    A search that is ready waits at most `patience` seconds, and a quarter of the time it has, for one that is still
    being embedded; then those that are ready go, and the others follow. Requests are never mixed.
    """

    def __init__(self, send: Send[Asked, Found], *, patience: float) -> None:
        self._send, self._patience = send, patience
        self._gatherings: WeakKeyDictionary[Companions, _Gathering[Asked, Found]] = WeakKeyDictionary()
        self._under_way: set[asyncio.Task[None]] = set()

    @contextmanager
    def place(self, stage: object, among: frozenset[object], call: Call) -> Iterator[Place[Asked, Found]]:
        """A place for one search of `stage`, given up at the end.

        `among` are the stages of the same request that search the same collection.
        """
        gathering = self._gatherings.get(call.companions)
        if gathering is None:
            gathering = _Gathering(self, set(among) if stage in among else set(), self._patience)
            self._gatherings[call.companions] = gathering
        try:
            yield Place(gathering, stage, call)
        finally:
            gathering.leave(stage)

    def dispatch(self, batch: Sequence[_Search[Asked, Found]]) -> None:
        """Sends a batch. It ends when nobody waits for any part of it any more."""
        if not batch:
            return
        task = asyncio.create_task(self._run(batch))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

        def left(_: asyncio.Future[Found]) -> None:
            if all(each.found.done() for each in batch):
                task.cancel()

        for each in batch:
            each.found.add_done_callback(left)

    async def close(self) -> None:
        """Ends what is under way."""
        under_way = [*self._under_way]
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)

    async def _run(self, batch: Sequence[_Search[Asked, Found]]) -> None:
        try:
            found = await self._send([each.asked for each in batch], max(each.deadline for each in batch))
            for each, result in zip(batch, found, strict=True):
                if not each.found.done():
                    each.found.set_result(result)
        except asyncio.CancelledError:
            for each in batch:
                each.found.cancel()
            raise
        except Exception as error:
            for each in batch:
                if not each.found.done():
                    each.found.set_exception(error)


class _Gathering(Generic[Asked, Found]):
    """The searches of one request: those that may still come, and those that are ready."""

    def __init__(self, searches: Searches[Asked, Found], coming: set[object], patience: float) -> None:
        self._searches, self._coming, self._patience = searches, coming, patience
        self._ready: list[_Search[Asked, Found]] = []
        self._timer: asyncio.TimerHandle | None = None

    def ask(self, stage: object, search: _Search[Asked, Found]) -> None:
        """Adds a search. One that asks again, for more, has nobody to wait for."""
        if stage not in self._coming:
            self._searches.dispatch([search])
            return
        self._coming.remove(stage)
        self._ready.append(search)
        if self._coming and self._timer is None:
            patience = min(self._patience, search.deadline.remaining / 4)
            self._timer = asyncio.get_running_loop().call_later(patience, self._go)
        elif not self._coming:
            self._go()

    def leave(self, stage: object) -> None:
        """Nobody waits for this stage any more."""
        self._coming.discard(stage)
        if not self._coming:
            self._go()

    def _go(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        ready, self._ready = self._ready, []
        self._searches.dispatch([each for each in ready if not each.found.done()])


class Place(Generic[Asked, Found]):
    """Where one stage's search of one request waits for the others."""

    def __init__(self, gathering: _Gathering[Asked, Found], stage: object, call: Call) -> None:
        self._gathering, self._stage, self._call = gathering, stage, call

    async def ask(self, asked: Asked) -> Found:
        """What was found for this search. Raises `CallEnded` at the call's own deadline, whatever the others have."""
        search: _Search[Asked, Found] = _Search(asked, self._call.deadline)
        self._gathering.ask(self._stage, search)
        remaining = self._call.deadline.remaining
        try:
            async with asyncio.timeout(None if math.isinf(remaining) else remaining):
                return await search.found
        except TimeoutError:
            raise CallEnded from None
        finally:
            search.found.cancel()
