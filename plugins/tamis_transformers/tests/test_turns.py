"""One thread for a language model: what its turns took."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest

from tamis.context import Call
from tamis_transformers.turns import Turns


async def _steps(work: Iterator[str], call: Call) -> list[str]:
    ticks = count()
    turns = Turns(most_waiting=1, clock=lambda: float(next(ticks)))
    turns.start()
    try:
        return [step async for step in turns.stream(lambda: work, call)]
    finally:
        turns.close()


async def test_the_seconds_of_every_step_are_in_the_usage_and_calls_are_left_to_who_knows_them() -> None:
    call = Call()
    assert await _steps(iter(["a", "b"]), call) == ["a", "b"]
    assert call.usage.model_seconds == 3.0, "two steps and the end"
    assert call.usage.model_call_count == 0


async def test_a_step_that_failed_cost_its_time_too() -> None:
    def work() -> Iterator[str]:
        yield "a"
        raise ValueError("poison")

    call = Call()
    with pytest.raises(ValueError, match="poison"):
        await _steps(work(), call)
    assert call.usage.model_seconds == 2.0
