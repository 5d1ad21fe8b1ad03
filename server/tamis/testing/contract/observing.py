"""What can be seen of a plugin from outside while it works, and after it was closed."""

from __future__ import annotations

import asyncio
import os
import threading
import time
import types
from collections.abc import Awaitable, Callable, Generator, Iterator, Mapping, Sequence
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
_PATIENCE = 5.0
"""Seconds that whatever ends by itself after closing may take, such as a thread that was told to."""


@dataclass(slots=True)
class Observed:
    """One life of a plugin: why it failed, if it did; what it waited for on the event loop; the most seconds of
    processor time that it took from one `await` to the next; the tasks, threads and files that it left behind."""

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
    try:
        async with opened() as plugin:
            with _waiting_refused():
                await steps.of(use(plugin))
    except BlockingError as error:
        blocked = error
    except Exception as error:
        failure = error
    new = asyncio.all_tasks() - tasks
    if new:
        await asyncio.wait(new, timeout=_PATIENCE)
    end = Deadline.after(_PATIENCE)
    for each in set(threading.enumerate()) - threads:
        each.join(end.remaining)
    while (left := _files() - files) and not end.passed:  # noqa: ASYNC110
        await asyncio.sleep(0.01)  # the other side of a connection closes when it hears of it
    return Observed(
        failure,
        blocked,
        steps.longest,
        [repr(each) for each in new if not each.done()],
        [each.name for each in set(threading.enumerate()) - threads],
        sorted(f"{descriptor}: {target}" for descriptor, target in left),
    )


class _Steps:
    """Measures how long a coroutine computes between two points where others get their turn."""

    def __init__(self) -> None:
        self.longest = 0.0

    @types.coroutine
    def of(self, work: Awaitable[T]) -> Generator[Any, Any, T]:
        steps = work.__await__()
        send: Callable[[Any], Any] = steps.send
        value: Any = None
        while True:
            begun = time.thread_time()  # of this thread alone: how busy the machine is does not matter
            try:
                awaited = send(value)
            except StopIteration as end:
                result: T = end.value
                return result
            finally:
                self.longest = max(self.longest, time.thread_time() - begun)
            try:
                send, value = steps.send, (yield awaited)
            except BaseException as error:
                send, value = steps.throw, error


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
