"""One queue for a model: who is computed with whom, in which order, and who is told what."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tamis.context import Call, CallEnded
from tamis.deadline import Deadline
from tamis.errors import Overloaded
from tamis_transformers.model_queue import ModelQueue


class Model:
    """Answers an item with itself doubled, fails on "poison", and stays on "gate" until it is let go."""

    def __init__(self) -> None:
        self.batches: list[tuple[str, ...]] = []
        self.entered, self.released = threading.Event(), threading.Event()

    def compute(self, items: Sequence[str]) -> list[str]:
        self.batches.append(tuple(items))
        if "gate" in items:
            self.entered.set()
            self.released.wait()
        if "poison" in items:
            raise ValueError("poison")
        return [item * 2 for item in items]


class Ticks:
    """A clock that is a second later each time it is read."""

    def __init__(self) -> None:
        self._now = 0.0

    def __call__(self) -> float:
        self._now += 1.0
        return self._now


@asynccontextmanager
async def busy(model: Model, **settings: Any) -> AsyncIterator[tuple[ModelQueue[str, str], asyncio.Task[Any]]]:
    """A queue whose thread is inside the model with "gate", and the task that waits for it."""
    queue = ModelQueue(model.compute, **{"batch_cost": 100, **settings})
    queue.start()
    gate = await begun(queue.collect(["gate"], [1], Call()))
    await asyncio.get_running_loop().run_in_executor(None, model.entered.wait)
    try:
        yield queue, gate
    finally:
        model.released.set()
        await gate
        queue.close()


async def begun(work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    """A task that has run to where it first waits."""
    task = asyncio.create_task(work)
    await asyncio.sleep(0)
    return task


async def test_only_the_item_to_blame_fails() -> None:
    model = Model()
    async with busy(model) as (queue, _):
        items = ["a", "b", "c", "poison", "d", "e", "f"]
        tasks = [await begun(queue.collect([item], [1], Call())) for item in items]
        model.released.set()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert set(items) == set(model.batches[1]), "all were tried together first"
    assert isinstance(outcomes.pop(3), ValueError)
    assert outcomes == [[item * 2] for item in items if item != "poison"]


async def test_the_queue_goes_on_after_a_failure() -> None:
    model = Model()
    async with busy(model) as (queue, _):
        model.released.set()
        with pytest.raises(ValueError, match="poison"):
            await queue.collect(["poison"], [1], Call())
        assert await queue.collect(["a"], [1], Call()) == ["aa"]


async def test_a_full_queue_refuses_at_once_and_accepts_again_later() -> None:
    model = Model()
    async with busy(model, most_waiting=2) as (queue, _):
        waiting = await begun(queue.collect(["a", "b"], [1, 1], Call()))
        with pytest.raises(Overloaded):
            await queue.collect(["c"], [1], Call())
        model.released.set()
        assert await waiting == ["aa", "bb"]
        assert await queue.collect(["c"], [1], Call()) == ["cc"]


async def test_one_call_larger_than_the_queue_is_served_when_nobody_waits() -> None:
    model = Model()
    async with busy(model, most_waiting=2) as (queue, _):
        large = await begun(queue.collect(list("abcde"), [1] * 5, Call()))
        model.released.set()
        assert await large == ["aa", "bb", "cc", "dd", "ee"]


async def test_items_of_a_caller_that_has_gone_are_never_computed() -> None:
    model = Model()
    async with busy(model) as (queue, _):
        gone, staying = Call(), Call()
        of_gone = await begun(queue.collect(["gone"], [1], gone))
        of_staying = await begun(queue.collect(["staying"], [1], staying))
        gone.end()
        model.released.set()
        with pytest.raises(CallEnded):
            await of_gone
        assert await of_staying == ["stayingstaying"]
    assert model.batches == [("gate",), ("staying",)]


async def test_items_of_a_cancelled_task_are_withdrawn() -> None:
    model = Model()
    async with busy(model) as (queue, _):
        cancelled = await begun(queue.collect(["cancelled"], [1], Call()))
        staying = await begun(queue.collect(["staying"], [1], Call()))
        cancelled.cancel()
        await asyncio.wait([cancelled])
        model.released.set()
        await staying
    assert model.batches == [("gate",), ("staying",)]


async def test_the_earliest_deadline_goes_first() -> None:
    model = Model()
    async with busy(model, batch_cost=1) as (queue, _):
        seconds = {"never": None, "late": 2_000, "soon": 1_000}
        calls = {name: Call(Deadline.after(each)) if each else Call() for name, each in seconds.items()}
        tasks = [await begun(queue.collect([name], [1], call)) for name, call in calls.items()]
        model.released.set()
        await asyncio.gather(*tasks)
    assert model.batches == [("gate",), ("soon",), ("late",), ("never",)]


async def test_a_batch_stays_within_its_padded_cost_and_holds_items_of_like_length() -> None:
    model = Model()
    async with busy(model, batch_cost=20) as (queue, _):
        costs = {"ten": 10, "nine": 9, "two": 2, "one": 1, "huge": 50}
        task = await begun(queue.collect(list(costs), list(costs.values()), Call()))
        model.released.set()
        assert await task == [name * 2 for name in costs]
    assert model.batches[1:] == [("huge",), ("ten", "nine"), ("two", "one")]


async def test_with_a_deadline_what_was_sent_first_comes_first_and_without_one_the_longest() -> None:
    items, costs = [str(number) for number in range(70)], [1] * 64 + [10] * 6
    for call, first in ((Call(Deadline.after(1_000)), "0"), (Call(), "64")):
        model = Model()
        async with busy(model, batch_cost=10) as (queue, _):
            task = await begun(queue.collect(items, costs, call))
            model.released.set()
            assert await task == [item * 2 for item in items]
        assert model.batches[1][0] == first


async def test_calls_share_a_batch() -> None:
    model = Model()
    async with busy(model) as (queue, _):
        tasks = [await begun(queue.collect([name], [1], Call())) for name in "abc"]
        model.released.set()
        await asyncio.gather(*tasks)
    assert [set(batch) for batch in model.batches] == [{"gate"}, {"a", "b", "c"}]


async def test_room_beside_an_urgent_item_goes_to_the_nearest_in_cost_of_those_that_are_no_longer() -> None:
    model = Model()
    async with busy(model, batch_cost=15) as (queue, _):
        later, soon = Call(Deadline.after(2_000)), Call(Deadline.after(1_000))
        names = ["tiny", "like", "longer", "small"]
        tasks = [
            await begun(queue.collect(names, [1, 4, 6, 3], later)),
            await begun(queue.collect(["urgent"], [5], soon)),
        ]
        model.released.set()
        await asyncio.gather(*tasks)
    assert model.batches[1:] == [("urgent", "like", "small"), ("longer", "tiny")]


async def test_no_items_are_no_work() -> None:
    model = Model()
    async with busy(model) as (queue, _):
        assert await queue.collect([], [], Call()) == []
    assert model.batches == [("gate",)]


async def test_results_come_as_they_are_computed() -> None:
    model = Model()
    async with busy(model, batch_cost=1) as (queue, _):
        stream = queue.stream(["a", "gate", "b"], [3, 2, 1], Call())
        first = await begun(anext(stream))  # type: ignore[arg-type]
        model.released.set()
        assert await first == (0, "aa")
        await stream.aclose()


async def test_a_call_is_charged_for_the_batches_it_was_in_and_its_share_of_their_seconds() -> None:
    model, clock = Model(), Ticks()
    async with busy(model, clock=clock) as (queue, _):
        small, large = Call(), Call()
        tasks = [
            await begun(queue.collect(["a", "b"], [1, 1], small)),
            await begun(queue.collect(["c"], [2], large)),
        ]
        model.released.set()
        await asyncio.gather(*tasks)
    assert [set(batch) for batch in model.batches] == [{"gate"}, {"a", "b", "c"}]
    assert [(each.usage.model_call_count, each.usage.model_seconds) for each in (small, large)] == [(1, 0.5)] * 2


async def test_every_batch_of_a_call_counts() -> None:
    model, call = Model(), Call()
    async with busy(model, batch_cost=1, clock=Ticks()) as (queue, _):
        task = await begun(queue.collect(["a", "b"], [1, 1], call))
        model.released.set()
        await task
    assert (call.usage.model_call_count, call.usage.model_seconds) == (2, 2.0)


async def test_what_failed_cost_its_time_too() -> None:
    model, call = Model(), Call()
    async with busy(model, clock=Ticks()) as (queue, _):
        task = await begun(queue.collect(["a", "poison"], [1, 1], call))
        model.released.set()
        await asyncio.wait([task])
    assert isinstance(task.exception(), ValueError)
    assert (call.usage.model_call_count, call.usage.model_seconds) == (3, 3.0), "one together, one each"


async def test_closing_tells_those_who_wait_and_refuses_the_rest() -> None:
    model = Model()
    async with busy(model) as (queue, _):
        waiting = await begun(queue.collect(["a"], [1], Call()))
        closing = asyncio.get_running_loop().run_in_executor(None, queue.close)
        await _closed(queue)
        model.released.set()
        with pytest.raises(CallEnded):
            await waiting
        await closing


async def _closed(queue: ModelQueue[str, str]) -> None:
    """Returns once the queue takes no more."""
    while True:
        task = await begun(queue.collect(["late"], [1], Call()))
        if task.done() and isinstance(task.exception(), CallEnded):
            return
        task.cancel()
        await asyncio.wait([task])
