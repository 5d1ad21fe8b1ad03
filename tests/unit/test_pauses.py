"""Long work lets others on its loop have their turn."""

from __future__ import annotations

import asyncio

import pytest

from tamis.pauses import Pauses


async def test_others_have_their_turn_when_a_pause_is_due() -> None:
    turns: list[str] = []
    other = asyncio.ensure_future(_note(turns))
    await Pauses(turn=60).take()
    assert turns == []
    await Pauses(turn=0).take()
    assert turns == ["other"]
    await other


async def test_endless_work_that_takes_pauses_ends_with_its_time_limit() -> None:
    pauses = Pauses(turn=0)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            while True:
                await pauses.take()


async def _note(turns: list[str]) -> None:
    turns.append("other")
