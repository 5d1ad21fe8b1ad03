"""The event loop that stages run on, apart from rpc's, so that a plugin that blocks stops only its own kind."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from contextvars import Context, copy_context
from typing import Any, Generic, TypeVar
from weakref import WeakKeyDictionary

__all__ = ["StageLoop"]

T = TypeVar("T")


class StageLoop:
    """An event loop in a thread of its own. Work is submitted from another loop and awaited there.

    Whoever awaits may leave at any time, also while the stage loop is blocked: the work is then cancelled as soon as
    its loop gets to it.
    """

    def __init__(self, new_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop) -> None:
        self._loop = new_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="tamis-stages", daemon=True)
        self._here = _Mailbox(self._loop)
        self._callers: WeakKeyDictionary[asyncio.AbstractEventLoop, _Mailbox] = WeakKeyDictionary()
        self._jobs: set[_Job[Any]] = set()

    def start(self) -> None:
        """Starts the thread. Called once."""
        self._thread.start()

    async def run(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Runs `work()` on the stage loop and returns what it returns. Cancelling the await cancels the work."""
        outcome: asyncio.Future[T] = asyncio.get_running_loop().create_future()

        def ended(result: T, error: Exception | None) -> None:
            if outcome.done():
                return
            if error is None:
                outcome.set_result(result)
            else:
                outcome.set_exception(error)

        job = self._begun(work, ended)
        try:
            return await outcome
        except asyncio.CancelledError:
            self._here.put(job.cancel)
            raise

    async def stream(self, work: Callable[[], AsyncGenerator[T, None]], *, ahead: int = 64) -> AsyncGenerator[T, None]:
        """Iterates `work()` on the stage loop, at most `ahead` items before the consumer. Closing cancels it."""
        items: asyncio.Queue[tuple[T] | None] = asyncio.Queue()
        room = _Room(ahead)
        failure: list[Exception] = []
        caller = self._caller()

        async def produce() -> None:
            async with aclosing(work()) as source:
                async for item in source:
                    await room.take()
                    caller.put(items.put_nowait, (item,))

        def ended(_: None, error: Exception | None) -> None:
            failure.extend([error] if error else [])
            items.put_nowait(None)

        job = self._begun(produce, ended)
        taken = 0
        try:
            while (item := await items.get()) is not None:
                yield item[0]
                taken += 1
                if taken * 2 >= ahead:
                    self._here.put(room.give, taken)
                    taken = 0
            if failure:
                raise failure[0]
        finally:
            if not job.is_over:
                self._here.put(job.cancel)

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
        self._here.put(self._end)
        self._thread.join(patience)
        if not self._thread.is_alive():
            self._loop.close()

    def _begun(
        self, work: Callable[[], Coroutine[Any, Any, T]], ended: Callable[[Any, Exception | None], None]
    ) -> _Job[T]:
        job = _Job(work, self._caller(), ended, self._jobs)
        self._here.put(job.begin, self._loop)
        return job

    def _caller(self) -> _Mailbox:
        loop = asyncio.get_running_loop()
        if (found := self._callers.get(loop)) is None:
            found = self._callers[loop] = _Mailbox(loop)
        return found

    def _end(self) -> None:
        for job in self._jobs:
            job.cancel()
        ended = asyncio.gather(*(job.task for job in self._jobs if job.task), return_exceptions=True)
        ended.add_done_callback(lambda _: self._loop.stop())


class _Job(Generic[T]):
    """Work that runs on the stage loop for somebody on another one, who is told when it has ended.

    It tells that itself, as a callback of its task would come a turn of the loop later.
    """

    __slots__ = ("_caller", "_context", "_ended", "_is_begun", "_is_cancelled", "_jobs", "_work", "is_over", "task")

    def __init__(
        self,
        work: Callable[[], Coroutine[Any, Any, T]],
        caller: _Mailbox,
        ended: Callable[[Any, Exception | None], None],
        jobs: set[_Job[Any]],
    ) -> None:
        self.task: asyncio.Task[None] | None = None
        self.is_over = False
        self._work, self._caller, self._ended, self._jobs = work, caller, ended, jobs
        self._context: Context = copy_context()
        self._is_begun = self._is_cancelled = False

    def begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """Unless it has been cancelled already. Like all but `is_over`, for the stage loop."""
        if not self._is_cancelled:
            self._jobs.add(self)
            self.task = loop.create_task(self._run(), context=self._context)

    def cancel(self) -> None:
        """A task that is cancelled before its first turn would never run, and so tell nobody."""
        self._is_cancelled = True
        if self._is_begun and self.task is not None:
            self.task.cancel()

    async def _run(self) -> None:
        """Nothing on this loop may end the process, or its thread, as asyncio lets some exceptions do."""
        result: T | None = None
        error: Exception | None = None
        self._is_begun = True
        try:
            if not self._is_cancelled:
                result = await self._work()
        except asyncio.CancelledError:
            error = RuntimeError("the work cancelled itself")  # the caller has not been cancelled, or does not listen
        except Exception as raised:
            error = raised
        except BaseException as exit:
            error = RuntimeError(f"a stage raised {type(exit).__name__}")
            error.__cause__ = exit
        finally:
            self._jobs.discard(self)
        self._caller.put(self._tell, result, error)

    def _tell(self, result: T | None, error: Exception | None) -> None:
        """On the caller's loop."""
        self.is_over = True
        self._ended(result, error)


class _Room:
    """How many more items there is room for; lives on the stage loop."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._given = asyncio.Event()

    async def take(self) -> None:
        while not self._count:
            self._given.clear()
            await self._given.wait()
        self._count -= 1

    def give(self, count: int) -> None:
        self._count += count
        self._given.set()


class _Mailbox:
    """Callbacks for a loop, put in from any thread and called in their order.

    A loop is woken for the first of them only: what comes before it has got to that is called in the same turn.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: deque[tuple[Callable[..., object], tuple[object, ...]]] = deque()
        self._is_woken = False

    def put(self, callback: Callable[..., object], *arguments: object) -> None:
        """A loop that has been closed by then is told nothing: nobody is left to hear."""
        self._waiting.append((callback, arguments))
        self._wake()

    def _wake(self) -> None:
        if not self._is_woken and not self._loop.is_closed():
            self._is_woken = True
            self._loop.call_soon_threadsafe(self._call)

    def _call(self) -> None:
        self._is_woken = False  # before the first is taken: what comes from now on wakes the loop anew
        try:
            while self._waiting:
                callback, arguments = self._waiting.popleft()
                callback(*arguments)
        finally:
            if self._waiting:  # one has raised
                self._wake()
