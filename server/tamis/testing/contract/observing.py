"""What can be seen of a plugin from outside while it works, and after it was closed."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time
import types
from collections.abc import Awaitable, Callable, Generator, Iterator, Mapping, Sequence, Set
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, overload

from blockbuster import BlockBuster, BlockBusterFunction, BlockingError

from tamis.context import Call
from tamis.deadline import Deadline

__all__ = ["Asked", "EndsWhenRead", "Observed", "cancelled", "ending", "observed"]

T = TypeVar("T")

_WAITING = ("time.sleep", "socket.", "ssl.", "sqlite3.", "builtins.input")
_PATIENCE = 20.0
"""Seconds that whatever ends by itself after closing may take, such as a thread that was told to; on a busy machine."""


@dataclass(slots=True)
class Observed:
    """One life of a plugin: why it failed, if it did; what it waited for on the event loop; the most seconds of
    processor time that it took from one `await` to the next; the tasks, threads and files that it left behind.

    What others in this process do meanwhile does not count: threads that a server started which the plugin talks to,
    threads of the event loop itself, and the collection of garbage."""

    failure: Exception | None
    blocked: BlockingError | None
    longest_step: float
    tasks: list[str]
    threads: list[str]
    files: list[str]


async def observed(
    opened: Callable[[], AbstractAsyncContextManager[T]], use: Callable[[T], Awaitable[None]]
) -> Observed:
    """Opens a plugin, uses and closes it, and looks at what that leaves behind."""
    tasks, threads, files = asyncio.all_tasks(), set(threading.enumerate()), _files()
    failure: Exception | None = None
    blocked: BlockingError | None = None
    steps = _Steps()
    with _started_by_others() as of_others:
        try:
            async with opened() as plugin:
                with _waiting_refused(), steps.without_collecting():
                    await steps.of(use(plugin))
        except BlockingError as error:
            blocked = error
        except Exception as error:
            failure = error
        new = asyncio.all_tasks() - tasks
        if new:
            await asyncio.wait(new, timeout=_PATIENCE)
        end = Deadline.after(_PATIENCE)
        for each in _new_threads(threads | of_others):
            each.join(end.remaining)
        left_threads = _new_threads(threads | of_others)
    while (left := _files() - files) and not end.passed:  # noqa: ASYNC110
        await asyncio.sleep(0.01)  # the other side of a connection closes when it hears of it
    return Observed(
        failure,
        blocked,
        steps.longest,
        [repr(each) for each in new if not each.done()],
        [each.name for each in left_threads],
        sorted(f"{descriptor}: {target}" for descriptor, target in left),
    )


class _Steps:
    """Measures how long a coroutine computes between two points where others get their turn."""

    def __init__(self) -> None:
        self.longest = 0.0
        self._collecting = 0.0

    @contextmanager
    def without_collecting(self) -> Iterator[None]:
        """Leaves out what this thread collects: garbage of the whole process, whoever's turn it comes in."""
        thread, begun = threading.get_ident(), 0.0

        def told(phase: str, _info: Mapping[str, int]) -> None:
            nonlocal begun
            if threading.get_ident() != thread:
                return
            if phase == "start":
                begun = time.thread_time()
            else:
                self._collecting += time.thread_time() - begun

        gc.callbacks.append(told)
        try:
            yield
        finally:
            gc.callbacks.remove(told)

    @types.coroutine
    def of(self, work: Awaitable[T]) -> Generator[Any, Any, T]:
        steps = work.__await__()
        send: Callable[[Any], Any] = steps.send
        value: Any = None
        while True:
            begun = self._computed()
            try:
                awaited = send(value)
            except StopIteration as end:
                result: T = end.value
                return result
            finally:
                self.longest = max(self.longest, self._computed() - begun)
            try:
                send, value = steps.send, (yield awaited)
            except BaseException as error:
                send, value = steps.throw, error

    def _computed(self) -> float:
        return time.thread_time() - self._collecting  # of this thread alone: how busy the machine is does not matter


@contextmanager
def _started_by_others() -> Iterator[set[threading.Thread]]:
    """The threads that were started meanwhile by those that had been there, this one and the event loop's aside: a
    server that answers the plugin from within this process starts one when it needs it."""
    before = {each for each in threading.enumerate() if not _is_of_a_loop(each)} - {threading.current_thread()}
    found: set[threading.Thread] = set()
    start = threading.Thread.start

    def started(thread: threading.Thread) -> None:
        if threading.current_thread() in before | found:
            found.add(thread)
        start(thread)

    threading.Thread.start = started  # type: ignore[method-assign, assignment]
    try:
        yield found
    finally:
        threading.Thread.start = start  # type: ignore[method-assign]


def _new_threads(known: Set[threading.Thread]) -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each not in known and not _is_of_a_loop(each)]


def _is_of_a_loop(thread: threading.Thread) -> bool:
    """Whether an event loop's own executor has started it, which does so whenever the others are not idle yet."""
    return thread.name.startswith("asyncio_")


@contextmanager
def _waiting_refused() -> Iterator[None]:
    """Whatever waits on an event loop's thread raises `BlockingError`: sleeping, sockets, SQLite, locks of others."""
    functions = [each for name, each in BlockBuster().functions.items() if name.startswith(_WAITING)]
    functions.append(
        BlockBusterFunction(
            None,
            "threading.Condition.wait",  # under events, futures, queues, semaphores
            can_block_functions=[("threading.py", {"start"})],
            can_block_predicate=lambda _condition, timeout=None: timeout == 0,
        )
    )
    try:
        for each in functions:
            each.activate()
        yield
    finally:
        for each in functions:
            each.deactivate()


def _files() -> set[tuple[str, str]]:
    """The descriptors that this process has open, with what they are of; none where the system does not tell."""
    found = set()
    folder = Path("/proc/self/fd")
    for name in os.listdir(folder) if folder.exists() else ():
        try:
            found.add((name, os.readlink(folder / name)))
        except OSError:
            continue  # the one that listed them
    return found


async def cancelled(work: Awaitable[None]) -> None:
    """Cancels `work` at the first point where it waits, and asserts that it ends by that. What never waits is done."""
    task = asyncio.ensure_future(work)
    await asyncio.sleep(0)
    if task.done():
        await task
        return
    task.cancel()
    done, _ = await asyncio.wait((task,), timeout=_PATIENCE)
    assert done, "goes on although it was cancelled"
    assert task.cancelled(), "was cancelled, and ended as if it had not been"


class Asked(Mapping[str, object]):
    """Options that remember which of them were asked for."""

    def __init__(self, options: Mapping[str, object]) -> None:
        self._options = dict(options)
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> object:
        self.asked.add(name)
        return self._options[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._options)

    def __len__(self) -> int:
        return len(self._options)


class EndsWhenRead(Sequence[T]):
    """Items that call `end` when the first of them is looked at."""

    def __init__(self, items: Sequence[T], end: Callable[[], object]) -> None:
        self._items, self._end = items, end

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[T]: ...
    def __getitem__(self, index: int | slice) -> T | Sequence[T]:
        if isinstance(index, slice):
            return EndsWhenRead(self._items[index], self._end)
        self._end()
        return self._items[index]

    def __len__(self) -> int:
        return len(self._items)


def ending() -> list[tuple[Call, Callable[[], object]]]:
    """Calls with what ends each: its caller goes, or its time passes."""
    gone, late = Call(), Call(Deadline.after(0.01))

    def pass_time() -> None:
        while not late.deadline.passed:
            time.sleep(0.001)

    return [(gone, gone.end), (late, pass_time)]
