"""Waiting for something no longer than somebody waits for it."""

from __future__ import annotations

import asyncio
import threading

import pytest

from tamis.context import Call, CallEnded
from tamis.deadline import Deadline


async def _never(cancelled: list[str]) -> None:
    try:
        await asyncio.Event().wait()
    finally:
        cancelled.append("cancelled")


async def test_what_comes_in_time_is_given() -> None:
    async def quick() -> int:
        await asyncio.sleep(0)
        return 7

    assert await Call(Deadline.after(60)).wait(quick()) == 7


async def test_what_is_raised_passes() -> None:
    async def failing() -> None:
        raise ValueError("so")

    with pytest.raises(ValueError, match="so"):
        await Call().wait(failing())


async def test_nothing_is_begun_on_a_call_that_is_over() -> None:
    begun: list[str] = []

    async def work() -> None:
        begun.append("begun")

    for call in (Call(), Call(Deadline.after(-1))):
        call.end()
        with pytest.raises(CallEnded):
            await call.wait(work())
    assert begun == []


async def test_the_deadline_cancels_what_is_awaited() -> None:
    cancelled: list[str] = []
    with pytest.raises(CallEnded):
        await Call(Deadline.after(0.05)).wait(_never(cancelled))
    assert cancelled == ["cancelled"]


async def test_an_end_told_by_another_thread_cancels_what_is_awaited_by_many() -> None:
    call, cancelled = Call(), list[str]()
    waiting = [asyncio.create_task(call.wait(_never(cancelled))) for _ in range(3)]
    await asyncio.sleep(0)
    threading.Thread(target=call.end).start()
    ended = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(each) for each in ended] == [CallEnded] * 3
    assert cancelled == ["cancelled"] * 3
    assert call._listeners == []


async def test_who_stops_waiting_cancels_what_was_awaited_and_leaves_the_call_alone() -> None:
    call, cancelled = Call(), list[str]()
    task = asyncio.create_task(call.wait(_never(cancelled)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert cancelled == ["cancelled"]
    assert call.active
    assert call._listeners == []


def test_an_end_after_the_loop_has_gone_does_no_harm() -> None:
    call = Call()

    async def abandoned() -> None:
        asyncio.get_running_loop().create_task(call.wait(asyncio.sleep(60)))
        await asyncio.sleep(0)

    asyncio.run(abandoned())
    call.end()
    assert not call.active
