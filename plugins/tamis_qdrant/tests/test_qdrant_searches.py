"""The searches of one request are gathered and sent as one, and nobody waits for those who left."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from tamis.context import Call, CallEnded, Companions
from tamis.deadline import Deadline
from tamis_qdrant.server.searches import Searches

STAGES = frozenset({"a", "b", "c"})


class Sent:
    """What was sent, each answered once it is let go."""

    def __init__(self) -> None:
        self.batches: list[Sequence[str]] = []
        self.deadlines: list[Deadline] = []
        self.cancelled = 0
        self.arrived = asyncio.Event()
        self.answers = asyncio.Event()
        self.failure: Exception | None = None

    async def send(self, asked: Sequence[str], deadline: Deadline) -> Sequence[str]:
        self.batches.append(asked)
        self.deadlines.append(deadline)
        self.arrived.set()
        try:
            await self.answers.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.failure is not None:
            raise self.failure
        return [each.upper() for each in asked]


class Request:
    """Stages of one request, which ask when they are told."""

    def __init__(self, sent: Sent, *, patience: float = 100.0) -> None:
        self.searches: Searches[str, str] = Searches(sent.send, patience=patience)
        self.companions = Companions()
        self.ready = {each: asyncio.Event() for each in STAGES}

    async def search(self, stage: str, *, deadline: Deadline = Deadline(), asks: bool = True) -> str:
        with self.searches.place(stage, STAGES, Call(deadline, companions=self.companions)) as place:
            await self.ready[stage].wait()
            return await place.ask(stage) if asks else ""

    def start(self, *stages: str, **options: object) -> list[asyncio.Task[str]]:
        return [asyncio.create_task(self.search(each, **options)) for each in stages]  # type: ignore[arg-type]


async def settled() -> None:
    """Everything that can go on has gone on."""
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.fixture
def sent() -> Sent:
    return Sent()


async def test_the_batch_goes_when_the_last_knows_what_to_ask_in_whatever_order(sent: Sent) -> None:
    request = Request(sent)
    tasks = request.start("a", "b", "c")
    for stage in ("c", "a"):
        request.ready[stage].set()
        await settled()
        assert sent.batches == []
    request.ready["b"].set()
    await settled()
    assert sent.batches == [["c", "a", "b"]]
    sent.answers.set()
    assert await asyncio.gather(*tasks) == ["A", "B", "C"]


async def test_a_stage_that_comes_after_another_is_ready_is_waited_for(sent: Sent) -> None:
    request = Request(sent)
    request.ready["a"].set()
    first = request.start("a")
    await settled()
    assert sent.batches == []
    for stage in ("b", "c"):
        request.ready[stage].set()
    rest = request.start("b", "c")
    sent.answers.set()
    assert await asyncio.gather(*first, *rest) == ["A", "B", "C"]
    assert sent.batches == [["a", "b", "c"]]


async def test_nobody_waits_for_a_stage_that_left_without_asking(sent: Sent) -> None:
    request = Request(sent)
    tasks = [*request.start("a", "b"), *request.start("c", asks=False)]
    for event in request.ready.values():
        event.set()
    sent.answers.set()
    assert await asyncio.gather(*tasks) == ["A", "B", ""]
    assert sent.batches == [["a", "b"]]


async def test_nobody_waits_for_a_stage_that_was_cancelled(sent: Sent) -> None:
    request = Request(sent)
    tasks = request.start("a", "b", "c")
    request.ready["a"].set()
    request.ready["b"].set()
    await settled()
    tasks[1].cancel()  # ready, and gone again
    tasks[2].cancel()  # still being embedded
    await settled()
    assert sent.batches == [["a"]]


async def test_what_is_ready_goes_when_patience_ends_and_the_rest_follows(sent: Sent) -> None:
    request = Request(sent, patience=0.0)
    tasks = request.start("a", "b", "c")
    request.ready["a"].set()
    await sent.arrived.wait()
    request.ready["b"].set()
    request.ready["c"].set()
    sent.answers.set()
    assert await asyncio.gather(*tasks) == ["A", "B", "C"]
    assert sent.batches[0] == ["a"]


async def test_a_stage_that_asks_again_asks_at_once(sent: Sent) -> None:
    request = Request(sent)
    sent.answers.set()
    for event in request.ready.values():
        event.set()
    await asyncio.gather(*request.start("a", "b", "c"))
    assert await request.search("b") == "B"
    assert sent.batches[1:] == [["b"]]


async def test_a_stage_that_nobody_announced_asks_at_once(sent: Sent) -> None:
    searches: Searches[str, str] = Searches(sent.send, patience=100.0)
    sent.answers.set()
    with searches.place("x", frozenset(), Call()) as place:
        assert await place.ask("x") == "X"


async def test_the_deadline_is_the_latest_and_whoever_has_less_leaves_alone(sent: Sent) -> None:
    request = Request(sent)
    for event in request.ready.values():
        event.set()
    soon, late = Deadline.after(0.01), Deadline.after(100)
    hasty = request.start("a", deadline=soon)
    patient = request.start("b", "c", deadline=late)
    with pytest.raises(CallEnded):
        await hasty[0]
    if not sent.batches:
        await settled()
    sent.answers.set()
    assert await asyncio.gather(*patient) == ["B", "C"]
    assert sent.deadlines[-1] == late
    assert sent.cancelled == 0


async def test_a_batch_nobody_waits_for_any_more_is_cancelled(sent: Sent) -> None:
    request = Request(sent)
    tasks = request.start("a", "b", "c")
    for event in request.ready.values():
        event.set()
    await settled()
    for task in tasks[:2]:
        task.cancel()
    await settled()
    assert sent.cancelled == 0
    tasks[2].cancel()
    await settled()
    assert sent.cancelled == 1


async def test_everybody_hears_of_a_failure(sent: Sent) -> None:
    request = Request(sent)
    sent.failure = RuntimeError("broken")
    tasks = request.start("a", "b", "c")
    for event in request.ready.values():
        event.set()
    sent.answers.set()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [str(each) for each in outcomes] == ["broken"] * 3


async def test_closing_ends_what_is_under_way(sent: Sent) -> None:
    request = Request(sent)
    tasks = request.start("a", "b", "c")
    for event in request.ready.values():
        event.set()
    await settled()
    await request.searches.close()
    assert sent.cancelled == 1
    assert all(isinstance(each, BaseException) for each in await asyncio.gather(*tasks, return_exceptions=True))
