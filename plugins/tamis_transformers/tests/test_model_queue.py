"""One queue for a model: who is computed with whom, in which order, and who is told what."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tamis.context import Call, CallEnded
from tamis.deadline import Deadline
from tamis.errors import Overloaded
from tamis_transformers.line import SHARE
from tamis_transformers.model_queue import ModelQueue, Part
from tamis_transformers.waiting import Request, Waiting


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


class Small:
    """A device with memory for a few items; what it says when that is not enough, and how many it was asked for."""

    def __init__(self, most: int, error: Exception) -> None:
        self.most, self.error, self.counts = most, error, list[int]()

    def compute(self, items: Sequence[str]) -> list[str]:
        self.counts.append(len(items))
        if len(items) > self.most:
            raise self.error
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


async def refused(work: Coroutine[Any, Any, Any]) -> Overloaded:
    """What refuses the work at once: a queue that took it would have it wait for good."""
    error = (await begun(work)).exception()
    assert isinstance(error, Overloaded)
    return error


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


async def test_whatever_a_model_raises_is_told_and_the_thread_goes_on() -> None:
    class Panic(BaseException):
        """As libraries in Rust raise them."""

    def compute(items: Sequence[str]) -> Sequence[str]:
        if "poison" in items:
            raise Panic
        return items

    queue = ModelQueue(compute, batch_cost=100)
    tasks = [await begun(queue.collect([each], [1], Call(Deadline.after(30.0)))) for each in ("a", "poison")]
    queue.start()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    queue.close()
    assert outcomes[0] == ["a"]
    assert isinstance(outcomes[1], RuntimeError)
    assert "Panic" in str(outcomes[1])


async def test_a_full_queue_refuses_at_once_and_accepts_again_later() -> None:
    model = Model()
    async with busy(model, most_waiting=2) as (queue, _):
        waiting = await begun(queue.collect(["a", "b"], [1, 1], Call()))
        assert await refused(queue.collect(["c"], [1], Call()))
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


async def test_a_call_that_ends_is_told_at_once_although_the_model_computes() -> None:
    model, leaving = Model(), Call()
    async with busy(model) as (queue, gate):
        leaving_task = await begun(queue.collect(["waiting"], [1], leaving))
        leaving.end()
        with pytest.raises(CallEnded):
            await leaving_task
        assert not gate.done()


async def test_of_a_batch_that_failed_nothing_is_tried_again_for_who_has_left() -> None:
    calls = {name: Call() for name in ("a", "poison", "b", "c")}
    model = Model()

    def compute(items: Sequence[str]) -> list[str]:
        if "poison" in items:
            calls["b"].end()
        return model.compute(items)

    queue = ModelQueue(compute, batch_cost=100)
    tasks = [await begun(queue.collect([name], [1], call)) for name, call in calls.items()]
    queue.start()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    queue.close()
    assert [type(each) for each in outcomes] == [list, ValueError, CallEnded, list]
    assert model.batches == [("a", "poison", "b", "c"), ("a", "poison"), ("a",), ("poison",), ("c",)]


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")])
async def test_where_memory_runs_out_all_is_computed_in_halves_and_later_batches_are_small(error: Exception) -> None:
    device = Small(3, error)
    queue = ModelQueue(device.compute, batch_cost=80)
    queue.start()
    items = [str(number) for number in range(16)]
    for _ in range(2):
        assert await queue.collect(items, [10] * 16, Call()) == [item * 2 for item in items]
    queue.close()
    assert device.counts[:3] == [8, 4, 2]
    assert max(device.counts[3:]) <= 4
    assert device.counts.count(4) <= 2, "both halves of the first, none later"
    assert max(device.counts[-8:]) <= 2


async def test_an_item_for_which_there_is_no_memory_fails_alone() -> None:
    device = Small(0, MemoryError())
    queue = ModelQueue(device.compute, batch_cost=80)
    queue.start()
    with pytest.raises(MemoryError):
        await queue.collect(["a"], [1], Call())
    device.most = 1
    assert await queue.collect(["a"], [1], Call()) == ["aa"]
    queue.close()


async def test_a_refusal_says_how_long_it_takes_until_there_is_room() -> None:
    model = Model()
    queue = ModelQueue(model.compute, batch_cost=100, most_waiting=4, clock=Ticks())
    queue.start()
    await queue.collect(["a"], [2], Call())  # a cost of two in a second
    gate = await begun(queue.collect(["gate"], [1], Call()))
    await asyncio.to_thread(model.entered.wait)
    waiting = await begun(queue.collect(["b", "c", "d"], [6, 6, 6], Call()))
    for count, seconds in ((2, 3.0), (3, 6.0), (99, 9.0)):
        refusal = await refused(queue.collect(["e"] * count, [1] * count, Call()))
        assert refusal.retry_after == seconds
    model.released.set()
    await asyncio.gather(gate, waiting)
    queue.close()


async def test_a_full_queue_has_room_again_as_soon_as_who_waits_has_left() -> None:
    model, leaving = Model(), Call()
    async with busy(model, most_waiting=2) as (queue, _):
        leaving_task = await begun(queue.collect(["a", "b"], [1, 1], leaving))
        leaving.end()
        staying = await begun(queue.collect(["c", "d"], [1, 1], Call()))
        model.released.set()
        assert await staying == ["cc", "dd"]
        await asyncio.wait([leaving_task])


async def test_what_is_little_longer_shares_a_batch_and_what_is_much_longer_does_not() -> None:
    model = Model()
    async with busy(model, batch_cost=1_000) as (queue, _):
        costs = {"five": 5, "eight": 8, "twenty": 20, "hundred": 100}
        tasks = [
            await begun(queue.collect([name], [cost], Call(Deadline.after(1_000 + cost))))
            for name, cost in costs.items()
        ]
        model.released.set()
        await asyncio.gather(*tasks)
    assert model.batches[1:] == [("five", "eight", "twenty"), ("hundred",)]


@settings(max_examples=30)
@given(st.lists(st.integers(0, 3), max_size=60), st.integers(1, 4))
def test_work_without_a_deadline_is_slowed_and_never_starved(arrivals: list[int], patient_count: int) -> None:
    """A model that takes a second a batch; each second so many urgent calls come, one at least waits always."""

    async def simulated() -> None:
        waiting: Waiting[str] = Waiting()
        patient = [Request[str](Call()) for _ in range(patient_count)]
        for each in patient:
            waiting.add(each, ["patient"] * 100, [1] * 100)
        served: dict[Request[str], list[int]] = {each: [] for each in patient}
        urgent: list[int] = []
        for now, count in enumerate([*arrivals, *[1] * 2 * SHARE * patient_count]):
            for number in range(max(1, count)):
                waiting.add(Request(Call(Deadline.after(1_000 + now))), [f"{now} {number}"], [1])
            (job,) = waiting.batch(1)
            served.get(job.request, urgent).append(now)
        within = SHARE * (patient_count + 1 + sum(max(0, each - 1) for each in arrivals))
        assert any(served.values())
        assert len(urgent) >= (now + 1) * (SHARE - 1) // SHARE
        for times in served.values():
            assert all(later - earlier <= within for earlier, later in zip([0, *times], times, strict=False))

    asyncio.run(simulated())


class Parts:
    """Items in parts; the second and later ones are made only after the first results."""

    def __init__(self, *parts: list[str]) -> None:
        self.parts, self.made, self.computed, self.is_closed = parts, 0, asyncio.Event(), False

    async def __call__(self) -> AsyncGenerator[Part[str], None]:
        try:
            for number, part in enumerate(self.parts):
                if number:
                    await self.computed.wait()
                self.made += 1
                yield part, [1] * len(part)
        finally:
            self.is_closed = True


async def test_the_first_part_is_computed_before_the_next_is_made() -> None:
    model, parts, found = Model(), Parts(["a", "b"], ["c"], []), {}
    queue = ModelQueue(model.compute, batch_cost=100)
    queue.start()
    async for position, result in queue.stream_parts(parts(), Call(), count=3):
        found[position] = result
        parts.computed.set()
    queue.close()
    assert found == {0: "aa", 1: "bb", 2: "cc"}
    assert set(model.batches[0]) == {"a", "b"}


async def test_announced_items_count_and_are_refused_before_any_is_made() -> None:
    model, parts, never = Model(), Parts(["a"], ["b"]), Parts(["c"])
    async with busy(model, most_waiting=2) as (queue, _):
        stream = queue.stream_parts(parts(), Call(), count=2)
        first = await begun(anext(stream))  # type: ignore[arg-type]
        assert await refused(anext(queue.stream_parts(never(), Call(), count=1)))  # type: ignore[arg-type]
        model.released.set()
        assert await first == (0, "aa")
        await stream.aclose()
        assert await queue.collect(["d", "e"], [1, 1], Call()) == ["dd", "ee"]
    assert (never.made, parts.is_closed) == (0, True)
    assert ("b",) not in model.batches


async def test_a_part_that_cannot_be_made_fails_its_call_at_once() -> None:
    async def parts() -> AsyncGenerator[Part[str], None]:
        yield ["a"], [1]
        raise ValueError("no tokens")

    model = Model()
    async with busy(model) as (queue, _):
        with pytest.raises(ValueError, match="no tokens"):
            await anext(queue.stream_parts(parts(), Call(), count=2))
    assert model.batches == [("gate",)]


async def test_parts_are_not_made_far_ahead() -> None:
    made, most = 0, 0

    async def parts() -> AsyncGenerator[Part[str], None]:
        nonlocal made
        for _ in range(10):
            made += 1_000
            yield ["a"] * 1_000, [1] * 1_000

    model, found = Model(), 0
    queue = ModelQueue(model.compute, batch_cost=500)
    queue.start()
    async for _ in queue.stream_parts(parts(), Call(), count=10_000):
        most = max(most, made - found)
        found += 1
    queue.close()
    assert found == made == 10_000
    assert most <= 4_000


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
