"""Several servers that follow one journal into one Qdrant collection, one after the other and by mistake at once."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from enum import Enum
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from qdrant_client import grpc as api
from qdrant_wire import QdrantWire

from tamis.context import Call
from tamis.deadline import Deadline
from tamis.errors import Aborted, Superseded, Unavailable
from tamis.model import Candidate, Change, Passage, Query
from tamis.stage import SharedIndex
from tamis.testing.contract.collections import passage
from tamis.testing.contract.component import law
from tamis.testing.embedders import HashEmbedder
from tamis_qdrant import QdrantRetriever
from tamis_qdrant.address import Address
from tamis_qdrant.server.connection import Connection
from tamis_qdrant.server.index import ServerIndex
from tamis_qdrant.vectors import DenseVectors

EMBEDDER = HashEmbedder(HashEmbedder.Settings())
VECTORS = DenseVectors("dense", EMBEDDER)
NAMES = (f"docs-{number}" for number in count())


class Fate(Enum):
    """What becomes of a message."""

    ANSWERED = "answered"
    ANSWER_LOST = "answer lost"
    LATE = "late"


@dataclass
class Network:
    """Every message of every server waits here for its turn. The senders of those that are `late` have given up."""

    turns: dict[int, asyncio.Future[Fate]] = field(default_factory=dict)
    late: list[Callable[[], Awaitable[Any]]] = field(default_factory=list)
    moved: asyncio.Event = field(default_factory=asyncio.Event)


class Wired(Connection):
    """A connection whose messages wait for their turn."""

    def __init__(self, url: str, network: Network, sender: int) -> None:
        super().__init__(Address.parse(url), "")
        self.network, self.sender = network, sender

    async def ask(self, method: Callable[..., Any], request: Any, deadline: Deadline) -> Any:
        turn = self.network.turns[self.sender] = asyncio.get_running_loop().create_future()
        self.network.moved.set()
        fate = await turn
        if fate is Fate.LATE and isinstance(request, api.UpsertPoints | api.DeletePoints):
            self.network.late.append(lambda: super(Wired, self).ask(method, request, Deadline()))
            raise Unavailable("lost on the way")
        answer = await super().ask(method, request, deadline)
        if fate is Fate.ANSWER_LOST:
            raise Unavailable("lost on the way back")
        return answer


@pytest.fixture(scope="module")
def wire() -> Iterator[QdrantWire]:
    started = QdrantWire().start()
    yield started
    started.stop()


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@asynccontextmanager
async def opened(connection: Connection, name: str) -> AsyncIterator[ServerIndex]:
    """An index of the collection, as one more server has it."""
    settings = QdrantRetriever.Settings(embedder=EMBEDDER, url=str(connection.address))
    with ThreadPoolExecutor(1) as executor:
        yield ServerIndex(connection, name, [VECTORS], "", settings, executor, lambda _: None, lambda _: None)


@asynccontextmanager
async def plain(wire: QdrantWire, name: str) -> AsyncIterator[ServerIndex]:
    """An index of the collection, whose messages all arrive."""
    connection = Connection(Address.parse(wire.url), "")
    async with opened(connection, name) as index:
        yield index
    await connection.close()


def journal(writes: Sequence[tuple[str, int]]) -> list[Change]:
    """The changes of documents written with so many passages; none deletes."""
    changes = []
    for sequence, (document, size) in enumerate(writes, 1):
        some = [passage(document, f"common {sequence} {number}") for number in range(size)]
        passages = tuple(
            replace(each, id=f"{document}/{number}", document_version=sequence) for number, each in enumerate(some)
        )
        changes.append(Change(sequence, document, passages))
    return changes


def latest(changes: Sequence[Change]) -> dict[tuple[str, int], Passage]:
    """What is to be found, by id and version."""
    last = {each.document_id: each for each in changes}
    return {(each.id, each.document_version): each for change in last.values() for each in change.passages}


def of_latest(found: Sequence[tuple[str, int]], changes: Sequence[Change]) -> list[tuple[str, int]]:
    """Those that the server would not drop: of the version that their document has."""
    versions = {each.document_id: each.sequence for each in changes}
    return sorted((id, version) for id, version in found if versions.get(id.split("/")[0]) == version)


async def follow(index: ServerIndex, epoch: int, changes: Sequence[Change], batch: int) -> None:
    """As a server does that leads in an epoch, until all is applied or another one leads."""
    for _ in range(200):
        try:
            reached = await index.take_over(epoch)
            while reached < len(changes):
                upto = min(reached + batch, len(changes))
                await index.apply(changes[reached:upto], upto=upto)
                reached = upto
            return
        except Superseded:
            return
        except (Unavailable, Aborted):
            continue
    pytest.fail("it never comes to an end")


async def search(index: ServerIndex, text: str) -> list[Candidate]:
    query = Query(text, "docs")
    return await index.search(VECTORS, query, limit=1_000, call=Call(), stage=index, among=frozenset())


@dataclass(frozen=True)
class Leader:
    """A server that leads: how much of the journal it sees, and how many changes it applies at once."""

    share: float
    batch: int


LEADERS = st.builds(Leader, st.floats(0, 1), st.integers(1, 4))
WRITES = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3)), min_size=1, max_size=10)
FATES = st.sampled_from([Fate.ANSWERED] * 4 + [Fate.LATE] * 3 + [Fate.ANSWER_LOST])
STEPS = st.lists(st.tuples(st.integers(0, 2), FATES, st.integers(0, 6)), max_size=80)


@law(40)
@given(
    writes=WRITES, leaders=st.lists(LEADERS, min_size=1, max_size=2), last=LEADERS, steps=STEPS, is_new=st.booleans()
)
def test_whatever_former_leaders_still_write_and_however_late_the_latest_versions_are_all_found(
    wire: QdrantWire,
    loop: asyncio.Runner,
    writes: Sequence[tuple[str, int]],
    leaders: Sequence[Leader],
    last: Leader,
    steps: Sequence[tuple[int, Fate, int]],
    is_new: bool,
) -> None:
    name = next(NAMES)
    if not is_new:
        loop.run(_prepared(wire, name))
    loop.run(_interleaved(wire, name, journal(writes), [*leaders, replace(last, share=1)], deque(steps)))


async def _prepared(wire: QdrantWire, name: str) -> None:
    async with plain(wire, name) as index:
        await index.prepare()


async def _interleaved(
    wire: QdrantWire,
    name: str,
    changes: Sequence[Change],
    leaders: Sequence[Leader],
    steps: deque[tuple[int, Fate, int]],
) -> None:
    network = Network()
    connections = [Wired(wire.url, network, number) for number in range(len(leaders))]
    running: dict[int, asyncio.Task[None]] = {}
    for number, leader in enumerate(leaders):
        known = changes[: round(leader.share * len(changes))]
        running[number] = asyncio.create_task(_lead(connections[number], name, number + 1, known, leader.batch))
    while running:
        await _all_wait_or_end(network, running)
        who, fate, late = steps.popleft() if steps else (max(running, default=0), Fate.ANSWERED, 0)
        if late and network.late and late <= len(network.late):
            await _deliver(network.late.pop(late - 1))
        elif who in network.turns:
            # The last leader's messages are not late: it is done when all that it wrote is there.
            spared = fate is Fate.LATE and who == len(leaders) - 1
            network.turns.pop(who).set_result(Fate.ANSWERED if spared else fate)
    for each in network.late:
        await _deliver(each)
    for each in connections:
        await each.close()
    async with plain(wire, name) as index:
        expected = latest(changes)
        assert of_latest([each async for each in index.ids()], changes) == sorted(expected)
        assert await index.checkpoint() == len(changes)
        for text in ("common", "3 common", "1 0"):
            found = await search(index, text)
            assert len({each.passage_id for each in found}) == len(found)
            scores = {(each.passage_id, each.document_version): each.score for each in found}
            kept = of_latest([*scores], changes)
            assert kept == sorted(expected)
            (asked,) = await EMBEDDER.embed([text], kind="query", call=Call())
            for key in kept:
                (held,) = await EMBEDDER.embed([expected[key].full_text], kind="passage", call=Call())
                assert scores[key] == pytest.approx(float(asked @ held), abs=1e-5)
        await index.drop()


async def _lead(connection: Connection, name: str, epoch: int, changes: Sequence[Change], batch: int) -> None:
    async with opened(connection, name) as index:
        await follow(index, epoch, changes, batch)


async def _all_wait_or_end(network: Network, running: dict[int, asyncio.Task[None]]) -> None:
    """Returns once every server has a message that waits, or is done."""
    while any(number not in network.turns and not task.done() for number, task in running.items()):
        network.moved.clear()
        moved = asyncio.create_task(network.moved.wait())
        busy = [task for number, task in running.items() if number not in network.turns]
        await asyncio.wait([moved, *busy], return_when=asyncio.FIRST_COMPLETED)
        moved.cancel()
    for number in [number for number, task in running.items() if task.done()]:
        running.pop(number).result()


async def _deliver(late: Callable[[], Awaitable[Any]]) -> None:
    """What the server says to it, nobody hears."""
    with suppress(Unavailable):
        await late()


def test_an_index_on_a_server_is_shared() -> None:
    assert issubclass(ServerIndex, SharedIndex)


async def test_whoever_led_before_is_told_at_its_next_batch_and_changes_nothing(wire: QdrantWire) -> None:
    changes, name = journal([("a", 1), ("b", 2), ("a", 1), ("b", 1)]), next(NAMES)
    async with plain(wire, name) as former, plain(wire, name) as leader:
        assert await former.take_over(1) == 0
        await former.apply(changes[:2], upto=2)
        assert await leader.take_over(2) == 2
        await leader.apply(changes[2:3], upto=3)
        before = dict(wire.collections[name].points)
        with pytest.raises(Superseded):
            await former.apply(changes[2:], upto=4)
        with pytest.raises(Superseded):
            await former.take_over(1)
        assert wire.collections[name].points == before
        assert await former.checkpoint() == 3
        await leader.apply(changes[3:], upto=4)
        assert sorted([each async for each in former.ids()]) == sorted(latest(changes))


async def test_leadership_comes_back_in_a_later_epoch_and_old_checkpoints_go(wire: QdrantWire) -> None:
    changes, name = journal([("a", 1)] * 6), next(NAMES)
    async with plain(wire, name) as one, plain(wire, name) as other:
        for epoch, index in enumerate([one, other] * 3, 1):
            assert await index.take_over(epoch) == epoch - 1
            await index.apply(changes[epoch - 1 : epoch], upto=epoch)
        assert await one.checkpoint() == 6
    assert sum("checkpoint" in payload for payload, _ in wire.collections[name].points.values()) == 1


async def test_taking_over_again_in_the_same_epoch_changes_nothing(wire: QdrantWire) -> None:
    async with plain(wire, next(NAMES)) as index:
        await index.take_over(7)
        await index.apply(journal([("a", 1)]), upto=1)
        assert await index.take_over(7) == 1
        assert await index.checkpoint() == 1


async def test_without_epochs_an_index_is_followed_as_ever_and_can_be_taken_over_later(wire: QdrantWire) -> None:
    changes, name = journal([("a", 1), ("b", 1)]), next(NAMES)
    async with plain(wire, name) as alone, plain(wire, name) as leader:
        assert await alone.checkpoint() == 0
        await alone.apply(changes[:1], upto=1)
        assert await leader.take_over(1) == 1
        with pytest.raises(Superseded):
            await alone.apply(changes[1:], upto=2)


async def test_the_checkpoint_of_a_collection_that_was_lost_half_way_does_not_count_in_the_next(
    wire: QdrantWire,
) -> None:
    changes, name, network = journal([("a", 1), ("b", 1)]), next(NAMES), Network()
    connection = Wired(wire.url, network, 1)
    async with opened(connection, name) as index, plain(wire, name) as other:
        await other.prepare()
        following = asyncio.create_task(follow(index, 1, changes, 1))
        while True:
            await _all_wait_or_end(network, {1: following})
            if "b/0" in {payload.get("p") for payload, _ in wire.collections[name].points.values()}:
                break
            network.turns.pop(1).set_result(Fate.ANSWERED)
        del wire.collections[name]
        assert await other.checkpoint() == 0
        for _ in range(2):  # the deletion and the checkpoint of its last batch
            network.turns.pop(1).set_result(Fate.ANSWERED)
            await _all_wait_or_end(network, {1: following})
        assert following.done()
        assert await other.checkpoint() == 0, "only one of two changes is there"
    await connection.close()


async def test_a_collection_of_the_older_format_is_built_again(wire: QdrantWire) -> None:
    name = next(NAMES)
    async with plain(wire, name) as index:
        await index.prepare()
        held = wire.collections[name].points
        (made_by,) = [json.loads(payload["made_by"]) for payload, _ in held.values()]
        held.clear()
        held["0"] = ({"checkpoint": 5, "made_by": json.dumps(made_by | {"format": 1})}, {})
        held[str(uuid.uuid4())] = ({"p": "a/0", "d": "a", "v": 5, "t": []}, {})
        await index.prepare()
        assert await index.checkpoint() == 0
        assert [each async for each in index.ids()] == []
        await index.apply(journal([("a", 1)]), upto=1)
        assert [each async for each in index.ids()] == [("a/0", 1)]


async def test_of_a_passage_in_two_versions_the_latest_is_found(wire: QdrantWire) -> None:
    changes, name = journal([("a", 1), ("a", 1)]), next(NAMES)
    async with plain(wire, name) as index:
        await index.checkpoint()
        await index.apply(changes[:1], upto=1)
        late = dict(wire.collections[name].points)
        await index.apply(changes[1:], upto=2)
        wire.collections[name].points |= {key: each for key, each in late.items() if "p" in each[0]}
        assert sorted([each async for each in index.ids()]) == [("a/0", 1), ("a/0", 2)]
        found = await search(index, changes[0].passages[0].full_text)
        assert [(each.passage_id, each.document_version) for each in found] == [("a/0", 2)]
