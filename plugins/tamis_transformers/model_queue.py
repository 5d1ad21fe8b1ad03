"""One queue and one thread for a loaded model: batches across requests, by length, the earliest deadline first."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeAlias, TypeVar

import structlog

from tamis.context import Call, CallEnded, Usage
from tamis.deadline import Deadline
from tamis.errors import Overloaded

__all__ = ["ModelQueue"]

Item = TypeVar("Item")
Result = TypeVar("Result")
_LOG = structlog.get_logger(__name__)
_NEVER = Deadline()
_WINDOW = 32
_Told: TypeAlias = tuple[int, Any, Usage]


@dataclass(eq=False, slots=True)
class _Job(Generic[Item, Result]):
    """One item of one call, and how to tell whoever waits for it."""

    item: Item
    cost: int
    call: Call
    position: int
    loop: asyncio.AbstractEventLoop
    results: asyncio.Queue[_Told] = field(repr=False)
    work: Usage = field(default_factory=Usage)

    @property
    def urgency(self) -> tuple[Deadline, int]:
        """Smaller comes first. Who has a deadline sends the most important items first, and gets them back so, by the
        window; work without one is free to be sorted by length as a whole."""
        deadline = self.call.deadline
        return deadline, 0 if deadline == _NEVER else self.position // _WINDOW

    def tell(self, outcome: Result | BaseException) -> None:
        """Delivers the outcome, and what it took, to the waiting loop, which may be gone."""
        if not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self.results.put_nowait, (self.position, outcome, self.work))


class ModelQueue(Generic[Item, Result]):
    """Runs `compute` over items of many calls at once, in a thread of its own.

    A batch holds items of similar cost whose padded cost (longest times count) stays within `batch_cost`; it begins
    with the item whose deadline comes first. Nothing waits to fill a batch. Items whose call has ended are never
    computed. A batch that fails is divided until only the items to blame fail.

    With its results each call's usage gets a model call for every batch it had an item in, and of the batch's seconds,
    read off `clock`, the share that its items had in the cost.
    """

    def __init__(
        self,
        compute: Callable[[Sequence[Item]], Sequence[Result]],
        *,
        batch_cost: int,
        most_waiting: int = 20_000,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._compute, self._batch_cost, self._most_waiting = compute, batch_cost, most_waiting
        self._clock = clock
        self._waiting: list[_Job[Item, Result]] = []
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

    async def stream(
        self, items: Sequence[Item], costs: Sequence[int], call: Call
    ) -> AsyncGenerator[tuple[int, Result], None]:
        """Position and result of each item as it is computed. Closing withdraws the rest.

        Raises `Overloaded` at once when the queue is full, `CallEnded` when the call ends first, and whatever
        `compute` raised for an item that failed by itself.
        """
        results: asyncio.Queue[_Told] = asyncio.Queue()
        loop = asyncio.get_running_loop()
        pairs = zip(items, costs, strict=True)
        jobs: list[_Job[Item, Result]] = [
            _Job(item, cost, call, place, loop, results) for place, (item, cost) in enumerate(pairs)
        ]
        self._submit(jobs)
        try:
            for _ in jobs:
                position, outcome, work = await results.get()
                call.usage.add(work)
                if isinstance(outcome, BaseException):
                    raise outcome
                yield position, outcome
        finally:
            self._withdraw(jobs)

    async def collect(self, items: Sequence[Item], costs: Sequence[int], call: Call) -> list[Result]:
        """All results in the order of the items."""
        found: dict[int, Result] = {}
        async for position, result in self.stream(items, costs, call):
            found[position] = result
        return [found[position] for position in range(len(items))]

    def _submit(self, jobs: Sequence[_Job[Item, Result]]) -> None:
        with self._changed:
            if self._closed:
                raise CallEnded
            if self._waiting and len(self._waiting) + len(jobs) > self._most_waiting:
                raise Overloaded("the model's queue is full")
            self._waiting.extend(jobs)
            self._changed.notify()

    def _withdraw(self, jobs: Sequence[_Job[Item, Result]]) -> None:
        gone = set(map(id, jobs))
        with self._changed:
            self._waiting = [job for job in self._waiting if id(job) not in gone]

    def _work(self) -> None:
        while (batch := self._next_batch()) is not None:
            self._run(batch)

    def _next_batch(self) -> list[_Job[Item, Result]] | None:
        """Waits for work. None when the queue is closed."""
        with self._changed:
            while not self._waiting and not self._closed:
                self._changed.wait()
            ended = [job for job in self._waiting if self._closed or not job.call.active]
            batch = [] if self._closed else self._chosen([job for job in self._waiting if job.call.active])
            leaving = set(map(id, (*ended, *batch)))
            self._waiting = [job for job in self._waiting if id(job) not in leaving]
        for job in ended:
            job.tell(CallEnded())
        return None if self._closed else batch

    def _chosen(self, jobs: list[_Job[Item, Result]]) -> list[_Job[Item, Result]]:
        """The longest of the most urgent jobs, then those nearest to it in cost, as many as the budget holds."""
        if not jobs:
            return []
        first = min(job.urgency for job in jobs)
        longest = max(job.cost for job in jobs if job.urgency == first)
        fitting = [job for job in jobs if job.cost <= longest]
        fitting.sort(key=lambda job: (job.urgency != first, -job.cost, job.urgency))
        return fitting[: max(1, self._batch_cost // max(1, longest))]

    def _run(self, batch: list[_Job[Item, Result]]) -> None:
        if not batch:
            return
        begun = self._clock()
        try:
            results = self._compute([job.item for job in batch])
        except Exception as error:
            _charge(batch, self._clock() - begun)
            self._divide(batch, error)
            return
        _charge(batch, self._clock() - begun)
        for job, result in zip(batch, results, strict=True):
            job.tell(result)

    def _divide(self, batch: list[_Job[Item, Result]], error: Exception) -> None:
        """Runs the halves of a failed batch; an item that fails alone is told."""
        if len(batch) == 1:
            _LOG.warning("model failed on one item", error=type(error).__name__)
            batch[0].tell(error)
            return
        half = len(batch) // 2
        self._run(batch[:half])
        self._run(batch[half:])


def _charge(batch: Sequence[_Job[Any, Any]], seconds: float) -> None:
    """Notes on each job its share of a forward pass; the pass itself on one job of each call."""
    whole = sum(max(1, job.cost) for job in batch)
    calls: set[int] = set()
    for job in batch:
        job.work.model_seconds += seconds * max(1, job.cost) / whole
        job.work.model_call_count += id(job.call) not in calls
        calls.add(id(job.call))
