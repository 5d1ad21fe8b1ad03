"""One queue and one thread for a loaded model: batches across requests, by length, the earliest deadline first."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Any, Generic, TypeAlias, TypeVar

import structlog

from tamis.context import Call, CallEnded, Usage
from tamis.errors import Overloaded
from tamis_transformers.device_slot import Slot
from tamis_transformers.pace import Pace, is_shortage
from tamis_transformers.waiting import Job, Request, Waiting, expected

__all__ = ["ModelQueue", "Part"]

Item = TypeVar("Item")
Result = TypeVar("Result")
Part: TypeAlias = tuple[Sequence[Item], Sequence[int]]
"""Items, and what each costs."""
_LOG = structlog.get_logger(__name__)
_AHEAD = 2_048  # items of a request that wait before it is asked for more
_LONGEST_PAUSE = 60.0


class ModelQueue(Generic[Item, Result]):
    """Runs `compute` over items of many calls at once, in a thread of its own.

    A batch holds items of similar cost whose padded cost (longest times count) stays within `batch_cost`, and within
    what takes about `batch_seconds`; it begins with the item whose deadline comes first, and every eighth at least with
    the call that was passed over longest. Nothing waits to fill a batch. Items whose call has ended are never computed.
    A batch that fails is divided until only the items to blame fail; where memory ran out, later ones are smaller, too.
    While a batch is computed the queue holds `slot`, which all queues of a device share.

    With its results each call's usage gets a model call for every batch it had an item in, and of the batch's seconds,
    read off `clock`, the share that its items had in the cost.
    """

    def __init__(
        self,
        compute: Callable[[Sequence[Item]], Sequence[Result]],
        *,
        batch_cost: int,
        batch_seconds: float = math.inf,
        most_waiting: int = 20_000,
        slot: Slot | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._compute, self._most_waiting, self._clock = compute, most_waiting, clock
        self._pace, self._slot = Pace(batch_cost, batch_seconds), slot or Slot()
        self._waiting: Waiting[Item] = Waiting()
        self._again: list[list[Job[Item]]] = []  # parts of batches that failed
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="tamis-model", daemon=True)

    def start(self) -> None:
        """Starts the thread. Called once."""
        self._thread.start()

    def close(self) -> None:
        """Fails what still waits with `CallEnded` and ends the thread after the batch under way."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join()

    @property
    def urgency(self) -> float:
        """As `Worker` has it."""
        with self._changed:
            halves = (job.request.call.deadline.at for batch in self._again for job in batch)
            return min((self._waiting.urgency, *halves))

    async def stream(
        self, items: Sequence[Item], costs: Sequence[int], call: Call
    ) -> AsyncGenerator[tuple[int, Result], None]:
        """Position and result of each item as it is computed. Closing withdraws the rest.

        Raises `Overloaded` at once when the queue is full, `CallEnded` as soon as the call ends, and whatever `compute`
        raised for an item that failed by itself.
        """
        request: Request[Item] = Request(call)
        self._admit(request, len(items))
        try:
            self._add(request, (items, costs))
            left = len(items)
            while left:
                for position, outcome in await self._told(request):
                    left -= 1
                    yield position, outcome
        finally:
            self._withdraw(request)

    async def stream_parts(
        self, parts: AsyncGenerator[Part[Item], None], call: Call, *, count: int
    ) -> AsyncGenerator[tuple[int, Result], None]:
        """The same for items that come in parts: those that are here are computed while the next are made.

        About `count` items are announced, and refused before any is made. A part is asked for only while fewer than
        some thousand of the call's items wait. Closing cancels the making.
        """
        request: Request[Item] = Request(call, count)
        self._admit(request, count)
        feed = _Feed()
        feeding = asyncio.ensure_future(self._feed(request, parts, feed))
        try:
            while feed.is_open or feed.left:
                for position, outcome in await self._told(request):
                    feed.took()
                    yield position, outcome
                if not feed.is_open:
                    await feeding
        finally:
            self._withdraw(request)
            feeding.cancel()
            await asyncio.gather(feeding, return_exceptions=True)

    async def collect(self, items: Sequence[Item], costs: Sequence[int], call: Call) -> list[Result]:
        """All results in the order of the items."""
        found: dict[int, Result] = {}
        async for position, result in self.stream(items, costs, call):
            found[position] = result
        return [found[position] for position in range(len(items))]

    async def _feed(self, request: Request[Item], parts: AsyncGenerator[Part[Item], None], feed: _Feed) -> None:
        try:
            async with aclosing(parts):
                async for part in parts:
                    feed.left += len(part[0])
                    self._add(request, part)
                    await feed.room()
        finally:
            feed.is_open = False
            with self._changed:
                self._waiting.expect_no_more(request)
            request.results.put_nowait(((), Usage()))

    async def _told(self, request: Request[Item]) -> Sequence[tuple[int, Result]]:
        """What is computed next. Raises what there is to raise."""
        if request.results.empty():
            outcomes, work = await request.call.wait(request.results.get())
        else:
            outcomes, work = request.results.get_nowait()
        request.call.usage.add(work)
        for _, outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
        return outcomes

    def _admit(self, request: Request[Item], count: int) -> None:
        with self._changed:
            if self._closed:
                raise CallEnded
            if self._waiting.count and self._waiting.count + count > self._most_waiting:
                self._waiting.ended()
            waiting = self._waiting.count
            if waiting and waiting + count > self._most_waiting:
                raise Overloaded("the model's queue is full", retry_after=self._pause(waiting + count))
            self._waiting.expect(request)

    def _pause(self, count: int) -> float:
        """How long it takes until so many would have found room; a second, where nothing has been measured."""
        surplus = min(count - self._most_waiting, self._waiting.count)
        seconds = self._pace.seconds(self._waiting.mean_cost * surplus) if self._waiting else None
        return 1.0 if seconds is None else min(_LONGEST_PAUSE, max(0.01, seconds))

    def _add(self, request: Request[Item], part: Part[Item]) -> None:
        with self._changed:
            if self._closed or not request.is_wanted:
                raise CallEnded
            self._waiting.add(request, *part)
            self._changed.notify()

    def _withdraw(self, request: Request[Item]) -> None:
        with self._changed:
            self._waiting.withdraw(request)

    def _work(self) -> None:
        has_more = False
        while has_more or self._has_work():
            self._slot.take(self)
            has_more = False
            outcome: Sequence[tuple[Job[Item], Any]] = ()
            try:
                batch = self._next_batch()
                outcome = self._outcome(batch) if batch else ()
                with self._changed:
                    has_more = bool(self._waiting or self._again) and not self._closed
            finally:  # whatever happens here, other models go on
                self._slot.give(self, has_more=has_more)
            _tell(outcome)
        with self._changed:
            gone = self._waiting.ended(all_of_them=True)
        for request in (*gone, *dict.fromkeys(job.request for batch in self._again for job in batch)):
            request.tell([(0, CallEnded())])

    def _has_work(self) -> bool:
        """Waits for some. False when the queue is closed."""
        with self._changed:
            while not (self._waiting or self._again or self._closed):
                self._changed.wait()
            return not self._closed

    def _next_batch(self) -> list[Job[Item]]:
        """Of jobs that somebody waits for; empty when there are none."""
        with self._changed:
            while not self._closed:
                batch = self._again.pop() if self._again else self._waiting.batch(self._pace.batch_cost)
                ended = {each for each in {job.request for job in batch} if not each.is_active}
                for each in ended:
                    self._waiting.withdraw(each)
                    each.tell([(0, CallEnded())])
                if not batch or len(ended) < len({job.request for job in batch}):
                    return [job for job in batch if job.request not in ended]
            return []

    def _outcome(self, batch: list[Job[Item]]) -> Sequence[tuple[Job[Item], Any]]:
        """What there is to tell of each job; nothing of those that are to be tried again."""
        begun = self._clock()
        try:
            results = list(zip(batch, self._compute([job.item for job in batch]), strict=True))
        except BaseException as error:  # the thread must not end while others wait for it
            # What is kept for another try must not hold on to what was computed before it failed.
            failure = expected(error) if len(batch) == 1 else expected(error).with_traceback(None)
        else:
            self._charge(batch, begun, is_measure=True)
            return results
        self._charge(batch, begun, is_measure=False)
        return self._divided(batch, failure)

    def _charge(self, batch: Sequence[Job[Item]], begun: float, *, is_measure: bool) -> None:
        """Notes on each request its share of a forward pass; the pass itself on one request of each call."""
        seconds, whole = self._clock() - begun, sum(max(1, job.cost) for job in batch)
        calls: set[int] = set()
        for job in batch:
            job.request.work.model_seconds += seconds * max(1, job.cost) / whole
            job.request.work.model_call_count += id(job.request.call) not in calls
            calls.add(id(job.request.call))
        if is_measure:
            with self._changed:
                self._pace.took(_padded(batch), whole, seconds)

    def _divided(self, batch: list[Job[Item]], error: Exception) -> Sequence[tuple[Job[Item], Any]]:
        """Keeps the halves of a failed batch to be tried again; of an item that failed alone, tells the error."""
        if len(batch) == 1:
            _LOG.warning("model failed on one item", error=type(error).__name__)
            return [(batch[0], error)]
        half = len(batch) // 2
        with self._changed:
            self._again += [batch[half:], batch[:half]]
            if is_shortage(error):
                self._pace.ran_out(_padded(batch))
                _LOG.warning("memory ran out; batches are smaller from now on", batch_cost=self._pace.batch_cost)
        return ()


class _Feed:
    """How far the parts of a request have come. On its loop."""

    def __init__(self) -> None:
        self.is_open, self.left = True, 0
        self._taken = asyncio.Event()

    def took(self) -> None:
        """Counts an item that has been computed."""
        self.left -= 1
        self._taken.set()

    async def room(self) -> None:
        """Returns when more may wait."""
        while self.left >= _AHEAD:
            self._taken.clear()
            await self._taken.wait()


def _tell(outcomes: Sequence[tuple[Job[Any], Any]]) -> None:
    """Tells each request once."""
    by_request: dict[Request[Any], list[tuple[int, Any]]] = {}
    for job, outcome in outcomes:
        by_request.setdefault(job.request, []).append((job.position, outcome))
    for request, told in by_request.items():
        request.tell(told)


def _padded(batch: Sequence[Job[Any]]) -> int:
    return max(job.cost for job in batch) * len(batch)
