"""Which server writes an index that all of them see."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
from postgresql import Cluster

from tamis.errors import NotFound, Superseded, Unavailable, Unusable
from tamis.journal import (
    DeadLetter,
    Delete,
    Follower,
    Journal,
    PostgresAddress,
    SharedFollower,
    Tenures,
    Upsert,
    group_commit,
)
from tamis.journal.leases import Tenure
from tamis.model import Change, Document, Passage, Span

PLACE = ("docs", 1, "dense")
LONG = 60.0


@dataclass
class Remote:
    """What stands on the machine that keeps the index."""

    held: dict[str, int] = field(default_factory=dict)
    checkpoint: int = 0
    epoch: int = 0
    epochs: list[int] = field(default_factory=list)
    is_away: bool = False


class Handle:
    """One server's view of the index; late writes of an earlier epoch change nothing."""

    def __init__(self, remote: Remote) -> None:
        self.remote, self.epoch = remote, 0
        self.entered, self.gate = asyncio.Event(), asyncio.Event()
        self.gate.set()
        self.is_cut_off = self.is_dropped = self.is_closed = False

    async def take_over(self, epoch: int) -> int:
        self._check()
        if epoch < self.remote.epoch:
            raise Superseded("a later epoch has begun")
        self.epoch = self.remote.epoch = epoch
        self.remote.epochs.append(epoch)
        return self.remote.checkpoint

    async def apply(self, changes: Sequence[Change], *, upto: int) -> None:
        self.entered.set()
        await self.gate.wait()
        self._check()
        if self.epoch != self.remote.epoch:
            raise Superseded("a later epoch has begun")
        for change in changes:
            self.remote.held.pop(change.document_id, None)
            if change.passages:
                self.remote.held[change.document_id] = change.sequence
        self.remote.checkpoint = upto

    async def checkpoint(self) -> int:
        self._check()
        return self.remote.checkpoint

    async def ids(self) -> AsyncIterator[tuple[str, int]]:
        for each in self.remote.held.items():
            yield each

    async def close(self) -> None:
        self.is_closed = True

    async def drop(self) -> None:
        self.is_dropped = True

    def _check(self) -> None:
        if self.is_cut_off or self.remote.is_away:
            raise Unavailable("the index is away")


class Server:
    """A journal, its leases, and the follower of the index."""

    def __init__(self, journal: Journal, remote: Remote, seconds: float) -> None:
        self.journal, self.tenures, self.handle = journal, Tenures(journal, seconds), Handle(remote)
        self.follower = SharedFollower(journal, "docs", 1, "dense", self.handle, tenures=self.tenures)

    async def close(self) -> None:
        self.handle.gate.set()
        await self.follower.close()
        await self.tenures.close()
        await self.journal.close()


@pytest.fixture
async def pair(postgresql: Cluster) -> AsyncIterator[tuple[Server, Server, Remote]]:
    """Two servers that see one index; the first holds the lease and has written a document."""
    address, remote = postgresql.journal(), Remote()
    journals = [await Journal.open(address), await Journal.open(address)]
    await journals[0].create_collection("docs")
    sequence = (await journals[0].write("docs", [_upsert("first")])).sequence
    one = Server(journals[0], remote, LONG)
    await one.follower.wait(sequence)
    other = Server(journals[1], remote, LONG)
    yield one, other, remote
    await one.close()
    await other.close()


def _upsert(id: str) -> Upsert:
    return Upsert(Document(id, "text"), (Passage(f"{id}#0", id, 0, "text", span=Span(0, 4)),))


async def _expire(journal: Journal) -> None:
    """As if the time of every lease had passed."""
    await journal._write(lambda store: store.database.execute("UPDATE leases SET expires = 0"), None)


async def _expires(journal: Journal) -> object:
    return await journal._read(lambda store: store.database.execute("SELECT expires FROM leases").fetchone())


async def test_epochs_rise_with_each_taking_and_each_start(where: Path | PostgresAddress) -> None:
    epochs = []
    for _ in range(2):
        journal = await Journal.open(where)
        for _ in range(3):
            epoch = await journal.take_lease(PLACE, LONG)
            assert epoch is not None
            epochs.append(epoch)
            await journal.end_lease(PLACE, epoch)
        await journal.close()
    assert epochs == sorted(set(epochs))


async def test_a_server_that_was_killed_and_is_alone_goes_on_at_once(tmp_path: Path) -> None:
    journal = await Journal.open(tmp_path / "journal.sqlite")
    first = await journal.take_lease(PLACE, LONG)
    await journal.close()  # without giving the lease up
    again = await Journal.open(tmp_path / "journal.sqlite")
    second = await again.take_lease(PLACE, LONG)
    assert first is not None
    assert second is not None
    assert second > first
    await again.close()


async def test_one_of_two_servers_has_a_lease_until_it_expires_or_is_given_up(postgresql: Cluster) -> None:
    address = postgresql.journal()
    one, other = await Journal.open(address), await Journal.open(address)
    first = await one.take_lease(PLACE, LONG)
    assert first is not None
    assert await other.take_lease(PLACE, LONG) is None
    assert not await other.is_lease_free(PLACE)
    assert await one.is_lease_held(PLACE, first)
    await _expire(one)
    assert not await one.is_lease_held(PLACE, first)
    assert await one.renew_leases({PLACE: first}, LONG) == {PLACE: first}  # nobody had wanted it
    await _expire(one)
    second = await other.take_lease(PLACE, LONG)
    assert second is not None
    assert second > first
    assert await one.renew_leases({PLACE: first}, LONG) == {}
    await one.end_lease(PLACE, first)  # too late to end anything
    assert await other.is_lease_held(PLACE, second)
    await asyncio.gather(one.close(), other.close())


@pytest.mark.parametrize("jump", [-1e6, 1e6])
async def test_a_servers_own_clock_is_not_asked(
    postgresql: Cluster, monkeypatch: pytest.MonkeyPatch, jump: float
) -> None:
    address = postgresql.journal()
    one, other = await Journal.open(address), await Journal.open(address)
    epoch = await one.take_lease(PLACE, LONG)
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + jump)
    assert epoch is not None
    assert await one.is_lease_held(PLACE, epoch)
    assert await other.take_lease(PLACE, LONG) is None
    assert await one.renew_leases({PLACE: epoch}, LONG) == {PLACE: epoch}
    assert await other.take_lease(PLACE, LONG) is None
    await asyncio.gather(one.close(), other.close())


async def test_a_lease_is_prolonged_while_its_server_lives_and_taken_when_it_does_not(postgresql: Cluster) -> None:
    address = postgresql.journal()
    one, other = await Journal.open(address), await Journal.open(address)
    tenures = Tenures(one, 1.5)
    first = await tenures.begin(PLACE)
    begun = await _expires(one)
    async with asyncio.timeout(20):
        while await _expires(one) == begun:  # each look is a question to the database, so this is no idle loop
            continue
    await tenures.close()
    second = await Tenures(other, 20.0).wrest(PLACE)
    assert first is not None
    assert second is not None
    assert second > first
    await asyncio.gather(one.close(), other.close())


async def test_an_index_is_followed_by_one_server_and_watched_by_the_others(
    pair: tuple[Server, Server, Remote],
) -> None:
    one, other, remote = pair
    for server in (one, other):
        sequence = (await server.journal.write("docs", [_upsert(f"{id(server)}")])).sequence
        await asyncio.gather(one.follower.wait(sequence), other.follower.wait(sequence))
    assert remote.epochs == [one.handle.epoch]
    assert other.handle.epoch == 0
    assert len(remote.held) == 3
    assert other.follower.status.applied_sequence == 3
    assert other.follower.status.problem == ""


async def test_a_server_that_closes_is_followed_by_another(pair: tuple[Server, Server, Remote]) -> None:
    one, other, remote = pair
    await one.follower.close()
    sequence = (await one.journal.write("docs", [Delete("first"), _upsert("second")])).sequence
    await other.follower.wait(sequence)
    assert remote.held == {"second": 3}
    assert remote.epochs == [one.handle.epoch, other.handle.epoch]


async def test_a_server_that_cannot_reach_the_index_lets_another_try(pair: tuple[Server, Server, Remote]) -> None:
    one, other, remote = pair
    one.handle.is_cut_off = True
    sequence = (await one.journal.write("docs", [_upsert("second")])).sequence
    await other.follower.wait(sequence)
    assert remote.held == {"first": 1, "second": 2}
    assert one.follower.status.problem == "APPLY_FAILED"


async def test_a_server_that_slept_through_its_lease_resurrects_nothing(pair: tuple[Server, Server, Remote]) -> None:
    one, other, remote = pair
    one.handle.entered.clear()
    one.handle.gate.clear()
    await one.journal.write("docs", [_upsert("second")])
    await one.handle.entered.wait()  # stopped in the middle of a batch
    await _expire(other.journal)
    sequence = (await other.journal.write("docs", [Delete("second"), Delete("first")])).sequence
    await other.follower.wait(sequence)
    assert remote.held == {}
    one.handle.gate.set()
    last = (await one.journal.write("docs", [_upsert("third")])).sequence
    await asyncio.gather(one.follower.wait(last), other.follower.wait(last))
    assert remote.held == {"third": last}
    assert remote.epochs == sorted(set(remote.epochs))
    assert one.follower.status.problem == ""


async def test_a_server_whose_lease_is_gone_begins_no_batch(pair: tuple[Server, Server, Remote]) -> None:
    one, other, remote = pair
    await _expire(other.journal)
    taken = await other.tenures.begin(PLACE)
    assert taken is not None
    one.handle.entered.clear()
    sequence = (await one.journal.write("docs", [_upsert("second")])).sequence
    await other.follower.wait(sequence)
    assert not one.handle.entered.is_set()
    assert remote.epochs[-1] >= taken


async def test_an_index_is_dropped_once_nobody_writes_it_any_more(pair: tuple[Server, Server, Remote]) -> None:
    one, other, _ = pair
    one.handle.entered.clear()
    one.handle.gate.clear()
    await one.journal.write("docs", [_upsert("second")])
    await one.handle.entered.wait()
    dropping = asyncio.ensure_future(other.follower.drop())
    closing = asyncio.ensure_future(one.follower.close())
    await asyncio.sleep(0.3)
    assert not other.handle.is_dropped
    one.handle.gate.set()
    await asyncio.gather(dropping, closing)
    assert other.handle.is_dropped
    assert not one.handle.is_dropped


async def test_one_server_on_sqlite_follows_in_an_epoch_too(tmp_path: Path) -> None:
    remote, epochs = Remote(), []
    for number in range(2):
        journal = await Journal.open(tmp_path / "journal.sqlite")
        if number == 0:
            await journal.create_collection("docs")
        server = Server(journal, remote, LONG)
        await server.follower.wait((await journal.write("docs", [_upsert(f"{number}")])).sequence)
        epochs.append(server.handle.epoch)
        await server.close()
    assert epochs[0] < epochs[1]
    assert remote.held == {"0": 1, "1": 2}


async def test_an_index_is_followed_on_after_a_lease_that_could_not_be_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = await Journal.open(tmp_path / "journal.sqlite")
    await journal.create_collection("docs")
    server = Server(journal, Remote(), LONG)
    server.handle.gate.clear()
    sequence = (await journal.write("docs", [_upsert("a")])).sequence
    await server.handle.entered.wait()
    server.handle.is_cut_off = True
    with monkeypatch.context() as crowded:
        crowded.setattr(group_commit, "_MOST_WAITING", 0)  # every write is one too many
        server.handle.gate.set()
        while not server.follower.status.failure_count:
            assert not server.follower._task.done()
            await asyncio.sleep(0)
    server.handle.is_cut_off = False
    await asyncio.wait_for(server.follower.wait(sequence), 60)
    await server.close()


async def test_a_server_that_leads_nothing_mends_an_index_that_nobody_writes(tmp_path: Path) -> None:
    journal = await Journal.open(tmp_path / "journal.sqlite")
    await journal.create_collection("docs")
    await journal.write("docs", [_upsert("a")])
    remote = Remote(checkpoint=1)  # as after a restart, but for what was lost
    server = Server(journal, remote, LONG)
    await server.follower.wait(1)
    async with server.follower.paused() as checkpoint:
        await server.follower.mend((await journal.changes("docs", after=0)).changes, checkpoint)
    assert remote.held == {"a": 1}
    sequence = (await journal.write("docs", [_upsert("b")])).sequence
    await asyncio.wait_for(server.follower.wait(sequence), 60)
    assert remote.held == {"a": 1, "b": 2}
    await server.close()


async def test_an_index_is_mended_by_the_server_that_writes_it_alone(pair: tuple[Server, Server, Remote]) -> None:
    one, other, remote = pair
    await other.follower.wait(1)
    remote.held.clear()
    lost = (await one.journal.changes("docs", after=0)).changes
    async with other.follower.paused() as checkpoint:
        with pytest.raises(Superseded):
            await other.follower.mend(lost, checkpoint)
    async with one.follower.paused() as checkpoint:
        await one.follower.mend(lost, checkpoint)
    assert remote.held == {"first": 1}
    sequence = (await other.journal.write("docs", [_upsert("b")])).sequence
    await other.follower.wait(sequence)
    assert remote.epochs == [one.handle.epoch]


def _letter(id: str, version: int, generation: int = 1) -> DeadLetter:
    return DeadLetter("dense", generation, id, version, "too bitter", datetime.now(UTC))


async def test_a_server_that_was_superseded_neither_writes_nor_withdraws_dead_letters(postgresql: Cluster) -> None:
    address = postgresql.journal()
    one, other = await Journal.open(address), await Journal.open(address)
    await one.create_collection("docs")
    first = await one.take_lease(PLACE, LONG)
    await one.put_dead_letter("docs", _letter("a", 1), Tenure("", first))
    await _expire(one)
    await one.put_dead_letter("docs", _letter("b", 2), Tenure("", first))  # nobody had wanted the lease
    await other.take_lease(PLACE, LONG)
    with pytest.raises(Superseded):
        await one.put_dead_letter("docs", _letter("c", 3), Tenure("", first))
    with pytest.raises(Superseded):
        await one.withdraw_dead_letters("docs", 1, "dense", {"a": 5}, Tenure("", first))
    assert [each.document_id for each in await other.dead_letters("docs", limit=9)] == ["a", "b"]
    await asyncio.gather(one.close(), other.close())


async def test_dead_letters_of_a_collection_or_generation_that_is_gone_are_not_written_down(
    where: Path | PostgresAddress,
) -> None:
    journal = await Journal.open(where)
    before = Tenure((await journal.create_collection("docs")).incarnation)
    await journal.delete_collection("docs")
    await journal.create_collection("docs")
    await journal.put_dead_letter("docs", _letter("a", 1))
    with pytest.raises(NotFound):
        await journal.put_dead_letter("docs", _letter("b", 2), before)
    with pytest.raises(NotFound):
        await journal.withdraw_dead_letters("docs", 1, "dense", {"a": 5}, before)
    with pytest.raises(NotFound):
        await journal.put_dead_letter("docs", _letter("b", 2, generation=2))
    assert [each.document_id for each in await journal.dead_letters("docs", limit=9)] == ["a"]
    await journal.close()


class Cupboard(Handle):
    """An index that each server has for itself; takes nothing of what it `refuses`."""

    refuses = ""

    async def apply(self, changes: Sequence[Change], *, upto: int) -> None:
        for each in changes:
            if each.document_id == self.refuses and each.passages and each.passages[0].text != "word":
                raise Unusable(each.document_id, "too bitter")
        await super().apply(changes, upto=upto)


async def test_a_dead_letter_stays_until_the_index_that_lacks_the_document_has_seen_a_newer_version(
    postgresql: Cluster,
) -> None:
    address = postgresql.journal()
    journals = [await Journal.open(address), await Journal.open(address)]
    await journals[0].create_collection("docs")
    indexes = [Cupboard(Remote()), Cupboard(Remote())]
    indexes[0].refuses = "a"
    followers = [Follower(journals[0], "docs", 1, "dense", indexes[0])]
    await journals[0].write("docs", [_upsert("a"), _upsert("b")])
    await followers[0].wait(2)
    followers.append(Follower(journals[1], "docs", 1, "dense", indexes[1]))  # counts the dead letter, and is behind
    await followers[1].wait(2)
    assert (list(indexes[0].remote.held), sorted(indexes[1].remote.held)) == (["b"], ["a", "b"])
    assert [each.document_id for each in await journals[1].dead_letters("docs", limit=9)] == ["a"]
    indexes[0].refuses = ""
    last = (await journals[1].retry_dead_letters("docs")).sequence
    await asyncio.gather(*(each.wait(last) for each in followers))
    assert await journals[1].dead_letters("docs", limit=9) == []
    last = (await journals[1].write("docs", [_upsert("c")])).sequence
    await asyncio.gather(*(each.wait(last) for each in followers))
    assert [each.status.dead_letter_count for each in followers] == [0, 0]
    await asyncio.gather(*(each.close() for each in followers))
    await asyncio.gather(*(each.close() for each in journals))
