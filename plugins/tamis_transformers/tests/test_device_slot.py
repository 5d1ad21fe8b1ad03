"""One model computes on a device at a time, the more urgent first."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any

from tamis.context import Call
from tamis.deadline import Deadline
from tamis_transformers.device_slot import Slot, slot_of
from tamis_transformers.model_queue import ModelQueue
from tamis_transformers.turns import Turns


class Device:
    """What several models compute on; notes who did, and whether two did at once."""

    def __init__(self) -> None:
        self.slot, self.computed = Slot(), list[str]()
        self.was_shared = False
        self.entered, self.released = threading.Event(), threading.Event()
        self._busy = threading.Lock()

    def compute(self, items: Sequence[str]) -> list[str]:
        self.was_shared |= not self._busy.acquire(blocking=False)
        self.computed.extend(items)
        if "gate" in items:
            self.entered.set()
            self.released.wait()
        self._busy.release()
        return [*items]

    def steps(self, name: str, count: int) -> Iterator[str]:
        for _ in range(count):
            yield self.compute([name])[0]

    def queue(self) -> ModelQueue[str, str]:
        queue = ModelQueue(self.compute, batch_cost=1, slot=self.slot)
        queue.start()
        return queue


async def until(condition: Callable[[], bool]) -> None:
    """Returns once a thread has done its part."""
    while True:
        if condition():
            return
        await asyncio.sleep(0)


async def test_two_queues_never_compute_at_once_and_the_more_urgent_goes_first() -> None:
    device = Device()
    queues = [device.queue() for _ in range(3)]
    tasks = [await begun(queues[0].collect(["gate"], [1], Call()))]
    await asyncio.to_thread(device.entered.wait)
    for queue, name, seconds in ((queues[0], "last", 3_000), (queues[1], "late", 2_000), (queues[2], "soon", 1_000)):
        tasks.append(await begun(queue.collect([name] * 3, [1] * 3, Call(Deadline.after(seconds)))))
    await until(lambda: all(queue in device.slot._line for queue in queues))
    device.released.set()
    await asyncio.gather(*tasks)
    for queue in queues:
        queue.close()
    assert device.computed == ["gate", *["soon"] * 3, *["late"] * 3, *["last"] * 3]
    assert not device.was_shared


async def test_a_language_model_takes_the_slot_for_a_token_and_not_for_a_whole_answer() -> None:
    device, turns = Device(), Turns(most_waiting=9)
    queue = device.queue()
    turns.start(device.slot)
    gate = await begun(queue.collect(["gate"], [1], Call()))
    await asyncio.to_thread(device.entered.wait)

    async def answer() -> list[str]:
        return [each async for each in turns.stream(lambda: device.steps("token", 40), Call())]

    writing = await begun(answer())
    ranking = await begun(queue.collect(["pair"] * 40, [1] * 40, Call()))
    await until(lambda: turns in device.slot._line)
    device.released.set()
    await asyncio.gather(gate, writing, ranking)
    queue.close()
    turns.close()
    assert not device.was_shared
    assert device.computed[1:21].count("token") == 10, "as urgent as each other, so in turns"


async def test_a_queue_whose_callers_leave_while_its_turn_comes_gives_the_turn_away() -> None:
    device = Device()
    one, other = device.queue(), device.queue()
    gate = await begun(one.collect(["gate"], [1], Call()))
    await asyncio.to_thread(device.entered.wait)
    leaving = Call()
    gone = await begun(one.collect(["gone"], [1], leaving))
    waiting = await begun(other.collect(["waiting"], [1], Call()))
    leaving.end()
    gone.cancel()
    await asyncio.wait([gone])
    device.released.set()
    assert await waiting == ["waiting"]
    await gate
    assert await one.collect(["again"], [1], Call()) == ["again"]
    one.close()
    other.close()
    assert device.computed == ["gate", "waiting", "again"]


def test_all_who_compute_on_a_device_share_its_slot() -> None:
    assert slot_of("cpu") is slot_of("cpu") is not slot_of("meta")


async def begun(work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    """A task that has run to where it first waits."""
    task = asyncio.create_task(work)
    await asyncio.sleep(0)
    return task
