"""What is seen of a plugin is its own doing, whatever else the process does meanwhile."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager

import pytest

from tamis.testing.contract import observing
from tamis.testing.contract.observing import Observed, observed


@pytest.fixture(autouse=True)
def nobody_waits_for_what_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observing, "_PATIENCE", 0.05)


@asynccontextmanager
async def _nothing() -> AsyncIterator[None]:
    yield


async def _seen(use: Callable[[], Awaitable[object]]) -> Observed:
    async def used(_: None) -> None:
        await use()

    return await observed(_nothing, used)


@contextmanager
def _staying() -> Iterator[Callable[[], None]]:
    """Starts a thread that stays to the end of the block."""
    end = threading.Event()
    started: list[threading.Thread] = []

    def start() -> None:
        started.append(threading.Thread(target=end.wait, name="staying"))
        started[-1].start()

    try:
        yield start
    finally:
        end.set()
        for each in started:
            each.join()


async def _by_itself(start: Callable[[], None]) -> None:
    start()


async def _in_the_loops_executor(start: Callable[[], None]) -> None:
    await asyncio.get_running_loop().run_in_executor(None, start)


async def _in_an_executor_of_its_own(start: Callable[[], None]) -> None:
    with ThreadPoolExecutor(1) as executor:
        await asyncio.get_running_loop().run_in_executor(executor, start)


@pytest.mark.parametrize("use", [_by_itself, _in_the_loops_executor, _in_an_executor_of_its_own])
async def test_a_thread_that_a_plugin_leaves_counts_wherever_it_was_started(
    use: Callable[[Callable[[], None]], Awaitable[None]],
) -> None:
    with _staying() as start:
        await asyncio.to_thread(int)  # the event loop has a thread by now
        found = await _seen(lambda: use(start))
    assert found.threads == ["staying"]
    assert found.failure is None


async def test_threads_that_a_server_in_this_process_starts_while_it_answers_do_not_count() -> None:
    with _staying() as start, ThreadPoolExecutor(1) as server:
        await asyncio.get_running_loop().run_in_executor(server, int)  # it runs

        def answer() -> None:
            start()
            beside = threading.Thread(target=start)
            beside.start()
            beside.join()

        found = await _seen(lambda: asyncio.get_running_loop().run_in_executor(server, answer))
    assert found.threads == []
    assert found.failure is None


async def test_threads_of_the_event_loops_own_executor_do_not_count() -> None:
    found = await _seen(lambda: asyncio.gather(*(asyncio.to_thread(int) for _ in range(4))))
    assert found.threads == []


async def test_collecting_the_garbage_of_the_process_is_not_computing() -> None:
    heap: list[object] = [[] for _ in range(50_000)]
    took = 0.0

    async def use() -> None:
        nonlocal took
        begun = time.thread_time()
        gc.collect()
        took = time.thread_time() - begun

    found = await _seen(use)
    assert len(heap) == 50_000
    assert found.longest_step < took / 2


async def test_computing_without_an_await_is_measured() -> None:
    took = 0.0

    async def use() -> None:
        nonlocal took
        await asyncio.sleep(0)
        begun = time.thread_time()
        while (took := time.thread_time() - begun) < 0.02:
            pass

    assert (await _seen(use)).longest_step >= took
