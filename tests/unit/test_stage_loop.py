"""The loop that stages run on can be left at any time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Coroutine
from contextlib import aclosing
from contextvars import ContextVar
from functools import partial

import pytest

from tamis.stage_loop import StageLoop


async def test_work_runs_on_another_thread_and_returns(loop: StageLoop) -> None:
    async def work() -> str:
        return threading.current_thread().name

    assert await loop.run(work) == "tamis-stages"


async def test_an_error_reaches_whoever_waits(loop: StageLoop) -> None:
    async def work() -> None:
        raise LookupError("there")

    with pytest.raises(LookupError, match="there"):
        await loop.run(work)


async def test_work_that_cannot_even_be_called_fails_whoever_waits(loop: StageLoop) -> None:
    def work() -> Coroutine[object, object, None]:
        raise TypeError("no such argument")

    async with asyncio.timeout(10):
        with pytest.raises(TypeError, match="no such argument"):
            await loop.run(work)


async def test_leaving_cancels_the_work(loop: StageLoop) -> None:
    started, ended = threading.Event(), threading.Event()

    async def work() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    waiting = asyncio.ensure_future(loop.run(work))
    await asyncio.to_thread(started.wait)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert await asyncio.to_thread(ended.wait, 60)


async def test_a_blocked_loop_can_be_left(loop: StageLoop) -> None:
    started, release = threading.Event(), threading.Event()

    async def block() -> None:
        started.set()
        release.wait()

    waiting = asyncio.ensure_future(loop.run(block))
    await asyncio.to_thread(started.wait)
    try:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await waiting
    finally:
        release.set()


async def test_a_stream_hands_over_every_item_in_order(loop: StageLoop) -> None:
    async def numbers() -> AsyncGenerator[int, None]:
        for number in range(200):
            yield number

    assert [each async for each in loop.stream(numbers)] == list(range(200))


async def test_a_stream_stays_within_its_lead(loop: StageLoop) -> None:
    produced = 0

    async def numbers() -> AsyncGenerator[int, None]:
        nonlocal produced
        for number in range(100):
            produced += 1
            yield number

    async with aclosing(loop.stream(numbers, ahead=4)) as stream:
        await anext(stream)
        assert produced <= 8


async def test_closing_a_stream_closes_its_source(loop: StageLoop) -> None:
    closed = threading.Event()

    async def numbers() -> AsyncGenerator[int, None]:
        try:
            while True:
                yield 1
                await asyncio.sleep(0)
        finally:
            closed.set()

    async with aclosing(loop.stream(numbers)) as stream:
        await anext(stream)
    assert await asyncio.to_thread(closed.wait, 60)


async def test_an_error_in_a_stream_comes_after_its_items(loop: StageLoop) -> None:
    async def numbers() -> AsyncGenerator[int, None]:
        yield 1
        raise LookupError("there")

    found = []
    with pytest.raises(LookupError):
        async for each in loop.stream(numbers):
            found.append(each)
    assert found == [1]


async def test_work_sees_the_context_of_whoever_asked_for_it_and_not_of_the_one_before(loop: StageLoop) -> None:
    caller = ContextVar("caller", default="nobody")

    async def work() -> str:
        return caller.get()

    async def ask(name: str) -> str:
        caller.set(name)
        return await loop.run(work)

    names = [f"caller {number}" for number in range(20)]
    assert await asyncio.gather(*map(ask, names)) == names
    assert await loop.run(work) == "nobody"


async def test_what_is_left_before_the_loop_gets_to_it_never_begins(loop: StageLoop) -> None:
    blocking, release, begun = threading.Event(), threading.Event(), threading.Event()

    async def block() -> None:
        blocking.set()
        release.wait()

    async def work() -> None:
        begun.set()

    held = asyncio.ensure_future(loop.run(block))
    await asyncio.to_thread(blocking.wait)
    waiting = asyncio.ensure_future(loop.run(work))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    release.set()
    await held
    assert await loop.answers(within=10)
    assert not begun.is_set()


async def test_many_at_once_each_get_their_own_result_or_error(loop: StageLoop) -> None:
    async def work(number: int) -> int:
        await asyncio.sleep(0)
        if number % 3 == 0:
            raise LookupError(number)
        return number

    found = await asyncio.gather(*(loop.run(partial(work, each)) for each in range(60)), return_exceptions=True)
    assert [each.args[0] if isinstance(each, LookupError) else each for each in found] == list(range(60))


async def test_a_plugin_that_tries_to_exit_ends_neither_the_loop_nor_the_process(loop: StageLoop) -> None:
    async def leave() -> None:
        raise SystemExit(3)

    async def work() -> int:
        return 1

    with pytest.raises(RuntimeError, match="SystemExit"):
        await loop.run(leave)
    assert await loop.run(work) == 1
