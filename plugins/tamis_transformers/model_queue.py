"""One queue and one thread for a loaded model: batches across requests, by length, the earliest deadline first."""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any, Generic, TypeVar

import structlog

from tamis.context import Call, CallEnded
from tamis.errors import Overloaded
from tamis_transformers.waiting import Job, Request, Waiting

__all__ = ["ModelQueue"]

Item = TypeVar("Item")
Result = TypeVar("Result")
_LOG = structlog.get_logger(__name__)


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
        self._waiting: Waiting[Item] = Waiting()
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
        request = Request(items, costs, call)
        self._submit(request)
        try:
            for _ in items:
                position, outcome, work = await request.results.get()
                call.usage.add(work)
                if isinstance(outcome, BaseException):
                    raise outcome
                yield position, outcome
        finally:
            with self._changed:
                self._waiting.withdraw(request)

    async def collect(self, items: Sequence[Item], costs: Sequence[int], call: Call) -> list[Result]:
        """All results in the order of the items."""
        found: dict[int, Result] = {}
        async for position, result in self.stream(items, costs, call):
            found[position] = result
        return [found[position] for position in range(len(items))]

    def _submit(self, request: Request[Item]) -> None:
        with self._changed:
            if self._closed:
                raise CallEnded
            waiting = len(self._waiting)
            if waiting and waiting + len(request) > self._most_waiting:
                raise Overloaded("the model's queue is full")
            self._waiting.add(request)
            self._changed.notify()

    def _work(self) -> None:
        while (batch := self._next_batch()) is not None:
            self._run(batch)

    def _next_batch(self) -> list[Job[Item]] | None:
        """Waits for work. None when the queue is closed."""
        with self._changed:
            while not self._waiting and not self._closed:
                self._changed.wait()
            ended = self._waiting.ended(all_of_them=self._closed)
            batch = None if self._closed else self._waiting.batch(self._batch_cost)
        for job in ended:
            job.tell(CallEnded())
        return batch

    def _run(self, batch: list[Job[Item]]) -> None:
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

    def _divide(self, batch: list[Job[Item]], error: Exception) -> None:
        """Runs the halves of a failed batch; an item that fails alone is told."""
        if len(batch) == 1:
            _LOG.warning("model failed on one item", error=type(error).__name__)
            batch[0].tell(error)
            return
        half = len(batch) // 2
        self._run(batch[:half])
        self._run(batch[half:])


def _charge(batch: Sequence[Job[Any]], seconds: float) -> None:
    """Notes on each job its share of a forward pass; the pass itself on one job of each call."""
    whole = sum(max(1, job.cost) for job in batch)
    calls: set[int] = set()
    for job in batch:
        job.work.model_seconds += seconds * max(1, job.cost) / whole
        job.work.model_call_count += id(job.request.call) not in calls
        calls.add(id(job.request.call))
