"""One thread for a loaded language model: a token of one call at a time, the earliest deadline first."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from tamis.context import Call, CallEnded
from tamis.errors import Overloaded
from tamis_transformers.device_slot import Slot
from tamis_transformers.line import Line
from tamis_transformers.waiting import expected

__all__ = ["Turns"]

_DONE = object()
_MEMORY = 0.8  # how much earlier work counts beside later
_LONGEST_PAUSE = 60.0
Work = Callable[[], Iterator[Any]]


@dataclass(eq=False, slots=True)
class _Turn:
    """What one call wants computed, step by step, and how to tell whoever waits for it."""

    work: Work
    call: Call
    loop: asyncio.AbstractEventLoop
    results: asyncio.Queue[tuple[Any, float]]
    clock: Callable[[], float]
    place: int
    steps: Iterator[Any] | None = None
    is_wanted: bool = True
    seconds: float = 0.0

    @property
    def urgency(self) -> tuple[float, int]:
        """Of the equally urgent whoever came first goes on."""
        return self.call.deadline.at, self.place

    def tell(self, step: Any, seconds: float = 0.0) -> None:
        """Delivers a step, and how long it took, to the waiting loop, which may be gone."""
        with suppress(RuntimeError):
            self.loop.call_soon_threadsafe(self.results.put_nowait, (step, seconds))

    def run(self) -> bool:
        """Computes a step, if anybody wants it still. False when there is no more to come."""
        begun = self.clock()
        try:
            self.call.check()
            if not self.is_wanted:
                raise CallEnded
            if self.steps is None:
                self.steps = self.work()
            step = next(self.steps, _DONE)
        except BaseException as error:  # the thread must not end while others wait for it
            step = expected(error)
        seconds = self.clock() - begun
        self.seconds += seconds
        self.tell(step, seconds)
        return step is not _DONE and not isinstance(step, Exception)


class Turns:
    """Runs iterators of many calls in a thread of its own, a step at a time.

    Whose deadline comes first goes first, also between two steps of another; without deadlines whoever came first goes
    on. Every eighth step is had by whoever was passed over longest, so that nobody is passed over for good. No more
    than `most_begun` are begun at a time, since each holds memory. Before each step it asks whether the call is still
    active, and leaves the work where it stands if not. At most `most_waiting` calls wait to begin. For each step it
    takes the `slot` that all models of a device share.

    The seconds of each step, read off `clock`, are in the call's usage when the step comes; what a step is, and so how
    many model calls it was, only the work knows.
    """

    def __init__(
        self, *, most_waiting: int, most_begun: int = 1, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._most_waiting, self._most_begun, self._clock = most_waiting, most_begun, clock
        self._slot = Slot()
        self._line: Line[_Turn] = Line()
        self._place, self._mean_seconds = 0, 1.0
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="tamis-language-model", daemon=True)

    def start(self, slot: Slot | None = None) -> None:
        """Starts the thread. Called once."""
        self._slot = slot or self._slot
        self._thread.start()

    def close(self) -> None:
        """Ends with `CallEnded` whatever waits or is begun, and the thread after the step under way."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join()

    @property
    def urgency(self) -> float:
        """As `Worker` has it."""
        with self._changed:
            return min((each.call.deadline.at for each in self._line), default=float("inf"))

    async def stream(self, work: Work, call: Call) -> AsyncGenerator[Any, None]:
        """What the iterator that `work` makes gives, as it comes. Closing gives up the rest.

        Raises `Overloaded` at once when too many wait, `CallEnded` as soon as the call is over, also while it waits
        for its turn, and whatever the iterator raised.
        """
        self._place += 1
        turn = _Turn(work, call, asyncio.get_running_loop(), asyncio.Queue(), self._clock, self._place)
        self._submit(turn)
        try:
            while True:
                step, seconds = await call.wait(turn.results.get())
                call.usage.model_seconds += seconds
                if step is _DONE:
                    return
                if isinstance(step, BaseException):
                    raise step
                yield step
        finally:
            self._withdraw(turn)

    def _submit(self, turn: _Turn) -> None:
        with self._changed:
            if self._closed:
                raise CallEnded
            waiting = sum(each.steps is None for each in self._line)
            if waiting and waiting >= self._most_waiting + (len(self._line) == waiting):
                pause = min(_LONGEST_PAUSE, self._mean_seconds)
                raise Overloaded("too many calls wait for the language model", retry_after=pause)
            self._line.join(turn)
            self._changed.notify()

    def _withdraw(self, turn: _Turn) -> None:
        turn.is_wanted = False
        with self._changed:
            self._line.leave(turn)

    def _work(self) -> None:
        has_more = False
        while has_more or self._has_work():
            self._slot.take(self)
            has_more = False
            try:
                self._step()
                with self._changed:
                    has_more = len(self._line) > 0 and not self._closed
            finally:  # whatever happens here, other models go on
                self._slot.give(self, has_more=has_more)
        with self._changed:
            for each in self._line:
                each.tell(CallEnded())

    def _step(self) -> None:
        turn = self._next()
        if turn is None or turn.run():
            return
        with self._changed:
            self._line.leave(turn)
            if turn.steps is not None:
                self._mean_seconds += (1 - _MEMORY) * (turn.seconds - self._mean_seconds)

    def _has_work(self) -> bool:
        """Waits for some. False when closed."""
        with self._changed:
            while not self._line and not self._closed:
                self._changed.wait()
            return not self._closed

    def _next(self) -> _Turn | None:
        """Whose step is next; of those that are begun, where no more may be."""
        with self._changed:
            begun = sum(each.steps is not None for each in self._line)
            if self._closed:
                return None
            is_full = begun >= self._most_begun
            return self._line.next(lambda each: each.urgency, lambda each: not is_full or each.steps is not None)
