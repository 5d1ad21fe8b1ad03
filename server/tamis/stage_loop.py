"""The event loop that stages run on, apart from rpc's, so that a plugin that blocks stops only its own kind."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from typing import Any, TypeVar

__all__ = ["StageLoop"]

T = TypeVar("T")


class StageLoop:
    """An event loop in a thread of its own. Work is submitted from another loop and awaited there.

    Whoever awaits may leave at any time, also while the stage loop is blocked: the work is then cancelled as soon as
    its loop gets to it.
    """

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="tamis-stages", daemon=True)
        self._orphans: set[asyncio.Task[Any]] = set()

    def start(self) -> None:
        """Starts the thread. Called once."""
        self._thread.start()

    async def run(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Runs `work()` on the stage loop and returns what it returns. Cancelling the await cancels the work."""
        caller = asyncio.get_running_loop()
        outcome: asyncio.Future[T] = caller.create_future()
        task: list[asyncio.Task[T]] = []

        async def begun() -> T:
            return await work()  # in the task, so that the caller hears of it when this cannot even be called

        def begin() -> None:
            if not outcome.cancelled():
                task.append(self._spawn(begun()))
                task[0].add_done_callback(lambda done: _post(caller, _copy, done, outcome))

        self._loop.call_soon_threadsafe(begin)
        try:
            return await outcome
        except asyncio.CancelledError:
            self._loop.call_soon_threadsafe(lambda: [each.cancel() for each in task])
            raise

    async def stream(self, work: Callable[[], AsyncGenerator[T, None]], *, ahead: int = 64) -> AsyncGenerator[T, None]:
        """Iterates `work()` on the stage loop, at most `ahead` items before the consumer. Closing cancels it."""
        caller = asyncio.get_running_loop()
        items: asyncio.Queue[tuple[T] | None] = asyncio.Queue()
        room = asyncio.Semaphore(ahead)  # lives on the stage loop

        async def produce() -> None:
            async with aclosing(work()) as source:
                async for item in source:
                    await room.acquire()
                    _post(caller, items.put_nowait, (item,))

        producer = asyncio.ensure_future(self.run(produce))
        producer.add_done_callback(lambda _: items.put_nowait(None))
        try:
            while (item := await items.get()) is not None:
                self._loop.call_soon_threadsafe(room.release)
                yield item[0]
            await producer
        finally:
            producer.cancel()
            await asyncio.gather(producer, return_exceptions=True)

    async def answers(self, *, within: float) -> bool:
        """Whether the loop runs: False when something has blocked it for that many seconds."""

        async def nothing() -> None:
            pass

        try:
            async with asyncio.timeout(within):
                await self.run(nothing)
        except TimeoutError:
            return False
        return True

    def close(self, *, patience: float = 5.0) -> None:
        """Cancels what still runs, waits `patience` seconds at most for it, and ends the thread."""
        self._loop.call_soon_threadsafe(self._end)
        self._thread.join(patience)
        if not self._thread.is_alive():
            self._loop.close()

    def _spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = self._loop.create_task(_guarded(work))
        self._orphans.add(task)
        task.add_done_callback(self._orphans.discard)
        return task

    def _end(self) -> None:
        for task in self._orphans:
            task.cancel()
        ended = asyncio.gather(*self._orphans, return_exceptions=True)
        ended.add_done_callback(lambda _: self._loop.stop())


async def _guarded(work: Coroutine[Any, Any, T]) -> T:
    """Nothing on this loop may end the process, or its thread, as asyncio lets these two do."""
    try:
        return await work
    except (SystemExit, KeyboardInterrupt) as error:
        raise RuntimeError(f"a stage raised {type(error).__name__}") from error


def _post(loop: asyncio.AbstractEventLoop, callback: Callable[..., object], *arguments: object) -> None:
    """Calls back on a loop that may have been closed by then, in which case nobody is left to tell."""
    if not loop.is_closed():
        loop.call_soon_threadsafe(callback, *arguments)


def _copy(done: asyncio.Task[T], outcome: asyncio.Future[T]) -> None:
    """Hands a finished task's outcome to the future somebody on another loop awaits."""
    if outcome.done():
        if not done.cancelled():
            done.exception()  # retrieved, so that asyncio does not report it as lost
    elif done.cancelled():
        outcome.set_exception(RuntimeError("the work cancelled itself"))  # the caller has not been cancelled
    elif error := done.exception():
        outcome.set_exception(error)
    else:
        outcome.set_result(done.result())
