"""One thread for a loaded language model: one call after the other, the earliest deadline first."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tamis.context import Call, CallEnded
from tamis.errors import Overloaded

__all__ = ["Turns"]

_DONE = object()
Work = Callable[[], Iterator[Any]]


@dataclass(eq=False, slots=True)
class _Turn:
    """What one call wants computed, step by step, and how to tell whoever waits for it."""

    work: Work
    call: Call
    loop: asyncio.AbstractEventLoop
    steps: asyncio.Queue[tuple[Any, float]]
    clock: Callable[[], float]
    is_wanted: bool = True

    def tell(self, step: Any, seconds: float = 0.0) -> None:
        """Delivers a step, and how long it took, to the waiting loop, which may be gone."""
        if not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self.steps.put_nowait, (step, seconds))

    def run(self) -> None:
        """Computes until the work is done or nobody wants it any more."""
        begun = self.clock()
        try:
            steps = self.work()
            while self._check() and (step := next(steps, _DONE)) is not _DONE:
                now = self.clock()
                self.tell(step, now - begun)
                begun = now
            self.tell(_DONE, self.clock() - begun)
        except Exception as error:
            self.tell(error, self.clock() - begun)

    def _check(self) -> bool:
        self.call.check()
        if not self.is_wanted:
            raise CallEnded
        return True


class Turns:
    """Runs iterators of many calls in a thread of its own, each to its end before the next begins.

    Between two steps it asks whether the call is still active, and leaves the work where it stands if not. At most
    `most_waiting` calls wait for their turn. The seconds of each step, read off `clock`, are in the call's usage when
    the step comes; what a step is, and so how many model calls it was, only the work knows.
    """

    def __init__(self, *, most_waiting: int, clock: Callable[[], float] = time.perf_counter) -> None:
        self._most_waiting, self._clock = most_waiting, clock
        self._waiting: list[_Turn] = []
        self._running: _Turn | None = None
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="tamis-language-model", daemon=True)

    def start(self) -> None:
        """Starts the thread. Called once."""
        self._thread.start()

    def close(self) -> None:
        """Ends with `CallEnded` whatever waits or runs, and the thread after the step under way."""
        with self._changed:
            self._closed = True
            if self._running is not None:
                self._running.is_wanted = False
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join()

    async def stream(self, work: Work, call: Call) -> AsyncGenerator[Any, None]:
        """What the iterator that `work` makes gives, as it comes. Closing gives up the rest.

        Raises `Overloaded` at once when too many wait, `CallEnded` as soon as the call is over, also while it waits
        for its turn, and whatever the iterator raised.
        """
        turn = _Turn(work, call, asyncio.get_running_loop(), asyncio.Queue(), self._clock)
        self._submit(turn)
        try:
            while True:
                step, seconds = await call.wait(turn.steps.get())
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
            if len(self._waiting) >= self._most_waiting:
                raise Overloaded("too many calls wait for the language model")
            self._waiting.append(turn)
            self._changed.notify()

    def _withdraw(self, turn: _Turn) -> None:
        turn.is_wanted = False
        with self._changed:
            self._waiting = [each for each in self._waiting if each is not turn]

    def _work(self) -> None:
        while (turn := self._next()) is not None:
            turn.run()

    def _next(self) -> _Turn | None:
        """Waits for a turn; the longest waiting of those whose deadline comes first. None when closed."""
        with self._changed:
            self._running = None
            while not self._waiting and not self._closed:
                self._changed.wait()
            if self._closed:
                for each in self._waiting:
                    each.tell(CallEnded())
                return None
            self._running = min(self._waiting, key=lambda each: each.call.deadline)
            self._waiting.remove(self._running)
            return self._running
