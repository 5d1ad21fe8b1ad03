"""One thread for a language model: whose token is next, and what the turns took."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from itertools import count
from typing import Any

import pytest

from tamis.context import Call
from tamis.deadline import Deadline
from tamis.errors import Overloaded
from tamis_transformers.line import SHARE
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


async def test_whatever_a_step_raises_is_told_and_the_thread_goes_on() -> None:
    class Panic(BaseException):
        """As libraries in Rust raise them."""

    def work() -> Iterator[str]:
        raise Panic
        yield ""

    turns = Turns(most_waiting=1)
    turns.start()
    with pytest.raises(RuntimeError, match="Panic"):
        await anext(turns.stream(work, Call(Deadline.after(30.0))))
    assert [step async for step in turns.stream(lambda: iter(["a"]), Call(Deadline.after(30.0)))] == ["a"]
    turns.close()


class Writer:
    """Writes the name of an answer token by token; the first token of "gate" waits until it is let go."""

    def __init__(self) -> None:
        self.written: list[str] = []
        self.entered, self.released = threading.Event(), threading.Event()

    def steps(self, name: str, tokens: int) -> Iterator[str]:
        for _ in range(tokens):
            if name == "gate" and not self.entered.is_set():
                self.entered.set()
                self.released.wait()
            self.written.append(name)
            yield name


async def _written(most_begun: int, *answers: tuple[str, int, float | None]) -> list[str]:
    """The tokens in order; each answer has a name, a length and a deadline, and all come while the first is begun."""
    writer, turns = Writer(), Turns(most_waiting=99, most_begun=most_begun)
    turns.start()

    async def answer(name: str, tokens: int, seconds: float | None) -> int:
        call = Call() if seconds is None else Call(Deadline.after(seconds))
        return len([each async for each in turns.stream(lambda: writer.steps(name, tokens), call)])

    tasks = [await begun(answer(*answers[0]))]
    await asyncio.to_thread(writer.entered.wait)
    tasks += [await begun(answer(*each)) for each in answers[1:]]
    writer.released.set()
    assert await asyncio.gather(*tasks) == [tokens for _, tokens, _ in answers]
    turns.close()
    return writer.written


async def test_an_earlier_deadline_goes_first_between_two_tokens_of_another() -> None:
    found = await _written(4, ("gate", 3, 3_000), ("late", 2, 2_000), ("soon", 2, 1_000))
    assert found == ["gate", "soon", "soon", "late", "late", "gate", "gate"]


async def test_without_deadlines_who_came_first_goes_on_and_nobody_is_passed_over_for_good() -> None:
    found = await _written(4, ("gate", 4 * SHARE, None), ("other", 4, None))
    assert found[:SHARE] == ["gate"] * SHARE
    assert found[: 3 * SHARE].count("other") == 2


async def test_no_more_are_begun_at_a_time_than_there_is_memory_for() -> None:
    found = await _written(1, ("gate", 3, None), ("soon", 2, 1_000))
    assert found == ["gate"] * 3 + ["soon"] * 2


async def test_a_full_line_says_how_long_a_turn_takes() -> None:
    writer, ticks = Writer(), count()
    turns = Turns(most_waiting=1, clock=lambda: float(next(ticks)))
    turns.start()

    async def answer(name: str) -> None:
        async for _ in turns.stream(lambda: writer.steps(name, 1), Call()):
            pass

    served = await begun(answer("gate"))
    await asyncio.to_thread(writer.entered.wait)
    waiting = await begun(answer("waiting"))
    with pytest.raises(Overloaded) as caught:
        await answer("refused")
    assert caught.value.retry_after == 1.0
    writer.released.set()
    await asyncio.gather(served, waiting)
    turns.close()


async def begun(work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    """A task that has run to where it first waits."""
    task = asyncio.create_task(work)
    await asyncio.sleep(0)
    return task
