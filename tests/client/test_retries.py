"""What is sent again and what is not, with servers that are killed and started again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress

import pytest
from forked_server import ForkedServer
from hypothesis import given, settings
from hypothesis import strategies as st
from real_server import fakes

from tamis.client import (
    AlreadyExists,
    AsyncClient,
    CallError,
    Client,
    DeadlineExceeded,
    Document,
    HitsRevised,
    RetryPolicy,
    Unavailable,
)
from tamis.client.errors import error_of
from tamis.client.retries import Attempts, RetryBudget

STAGES = """
[stages.broken]
plugin = "fake-memory"
behaviour = "raises"
[stages.refusing]
plugin = "fake-memory"
behaviour = "cannot_index"
[stages.slow]
plugin = "fake-words"
behaviour = "never_returns"
"""
SOON = RetryPolicy(most_attempts=8, first_pause=0.05)


class Counted:
    """A token for each attempt, which also counts them and may do something before one of them."""

    def __init__(self, before: dict[int, Callable[[], None]] | None = None) -> None:
        self.count = 0
        self._before = before or {}

    def __call__(self) -> str:
        self.count += 1
        self._before.get(self.count, lambda: None)()
        return "token"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkedServer]:
    with ForkedServer(tmp_path_factory.mktemp("server"), fakes("words") + STAGES).running() as found:
        with Client(found.address, timeout=30) as client:
            client.create_collection("docs")
            client.write("docs", [Document("a", "smooth sauce")])
            client.create_collection("written")
        yield found


def test_a_call_that_meets_no_server_is_sent_again_and_reaches_the_one_that_was_started(server: ForkedServer) -> None:
    server.kill()
    attempts = Counted({3: server.start})
    with Client(server.address, timeout=60, token=attempts, retries=SOON) as client:
        assert client.document("docs", "a").text == "smooth sauce"
        assert attempts.count >= 3
        server.kill()
        attempts.count = 0
        events = list(client.stream_search("docs", "sauce", min_sequence=1))
        assert any(isinstance(each, HitsRevised) for each in events)
        assert attempts.count >= 3


def test_a_deletion_is_sent_again_under_its_request_id(server: ForkedServer) -> None:
    server.kill()
    with Client(server.address, timeout=60, token=Counted({2: server.start}), retries=SOON) as client:
        assert client.delete_documents("docs", ["nobody"]).deleted_count == 0


def test_what_could_be_done_twice_is_not_sent_again(server: ForkedServer) -> None:
    server.kill()
    try:
        attempts = Counted()
        with Client(server.address, token=attempts, retries=SOON) as client:
            for call in (client.create_collection, client.delete_collection, client.retry_dead_letters):
                with pytest.raises(Unavailable):
                    call("docs")
        assert attempts.count == 3
    finally:
        server.start()


def test_a_refusal_and_a_deadline_are_not_sent_again(server: ForkedServer) -> None:
    attempts = Counted()
    with Client(server.address, timeout=30, token=attempts, retries=SOON) as client:
        with pytest.raises(AlreadyExists):
            client.create_collection("docs")
        with pytest.raises(DeadlineExceeded):
            client.wait_indexed("docs", timeout=0.3)  # `refusing` never gets there
    assert attempts.count == 2


def test_the_time_that_a_server_asks_for_is_waited(server: ForkedServer) -> None:
    times = list[float]()

    def token() -> str:
        times.append(time.monotonic())
        return "token"

    policy = RetryPolicy(most_attempts=2, first_pause=0.0)
    with Client(server.address, timeout=30, token=token, retries=policy) as client:
        with pytest.raises(Unavailable) as broken:
            client.search("docs", "sauce", pipeline="broken")
        assert (broken.value.reason, broken.value.retry_after) == ("UNAVAILABLE", 1.0)
    first, second = times
    assert second - first >= 1.0


def test_a_stream_that_was_begun_is_not_sent_again(server: ForkedServer) -> None:
    attempts = Counted()
    with Client(server.address, timeout=60, token=attempts, retries=SOON) as client:
        stream = client.stream_search("docs", "sauce", pipeline="words >> slow")
        next(stream)
        server.kill()
        try:
            with pytest.raises(Unavailable):
                list(stream)
        finally:
            server.start()
    assert attempts.count == 1


def test_a_spent_budget_ends_retries_until_calls_succeed_again(server: ForkedServer) -> None:
    server.kill()
    policy = RetryPolicy(most_attempts=3, first_pause=0.0, budget_tokens=6, budget_refill=6)
    attempts, counts = Counted(), list[int]()
    with Client(server.address, timeout=30, token=attempts, retries=policy) as client:
        for _ in range(3):
            before = attempts.count
            with pytest.raises(Unavailable):
                client.collection("docs")
            counts.append(attempts.count - before)
        server.start()
        while True:  # until the channel has found it
            with suppress(Unavailable):
                client.collection("docs")
                break
        server.kill()
        before = attempts.count
        try:
            with pytest.raises(Unavailable):
                client.collection("docs")
        finally:
            server.start()
        counts.append(attempts.count - before)
    assert counts == [3, 1, 1, 3]


async def test_asynchronous_writes_go_on_where_a_killed_server_was_and_each_is_written_once(
    server: ForkedServer,
) -> None:
    async def documents() -> AsyncIterator[Document]:
        for number in range(60):
            if number == 30:  # the documents before are on their way or written
                await asyncio.to_thread(server.kill)
                await asyncio.to_thread(server.start)
            yield Document(f"d{number:02}", f"text {number}")

    async with AsyncClient(server.address, timeout=30) as client:
        written = [each async for each in client.stream_write("written", documents(), batch_size=5)]
        assert [each.batch for each in written] == list(range(1, 13))
        assert [each.written_count for each in written] == [5] * 12
        found = await client.collection("written")
        assert (found.document_count, found.last_sequence) == (60, 60)


async def test_asynchronous_calls_are_sent_again_as_blocking_ones_are(server: ForkedServer) -> None:
    server.kill()
    attempts = Counted({3: server.start})
    async with AsyncClient(server.address, timeout=60, token=attempts, retries=SOON) as client:
        assert (await client.document("docs", "a")).text == "smooth sauce"
        assert attempts.count >= 3
    once = RetryPolicy(most_attempts=1)
    server.kill()
    try:
        async with AsyncClient(server.address, retries=once) as client:
            with pytest.raises(Unavailable):
                await client.collection("docs")
            with pytest.raises(Unavailable):
                await client.write("docs", [Document("b", "x")])
    finally:
        server.start()


_ERRORS = st.tuples(st.sampled_from([1, 3, 4, 5, 8, 13, 14]), st.none() | st.floats(0, 100)).map(
    lambda pair: error_of(pair[0], "", "R", retry_after=pair[1])
)


@settings(max_examples=50)
@given(st.lists(_ERRORS, max_size=30), st.integers(1, 10), st.floats(0.1, 60), st.booleans())
def test_laws_of_retrying(errors: list[CallError], most: int, timeout: float, is_repeatable: bool) -> None:
    policy, now = RetryPolicy(most_attempts=most), 0.0
    attempts = Attempts(policy, RetryBudget(policy), timeout, is_repeatable=is_repeatable, clock=lambda: now)
    retried = 0
    for each in errors:
        pause = attempts.pause_after(each)
        if pause is None:
            continue
        retried += 1
        assert isinstance(each, Unavailable)
        assert is_repeatable
        assert pause >= (each.retry_after or 0.0)
        now += pause
        assert now < timeout
    assert retried < most
    assert retried < policy.budget_tokens / 2


@pytest.mark.parametrize("wrong", [{"most_attempts": 0}, {"first_pause": -1}, {"pause_growth": 0.5}])
def test_a_policy_that_makes_no_sense_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must"):
        RetryPolicy(**wrong)  # type: ignore[arg-type]
