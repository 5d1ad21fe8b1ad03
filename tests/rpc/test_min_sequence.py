"""Searches that must see a write: they wait for the indexes they read, and for no others."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest
from real_server import CallFailed, Client, Servers, fakes

from tamis.testing.plugins import trace
from tamis.v1 import passage_pb2, search_service_pb2

REFUSES = 'behaviour = "cannot_index"'


def _progress(messages: Any) -> list[tuple[str, int, int]]:
    return [(each.stage, each.applied_sequence, each.lag_count) for each in messages]


async def _write(client: Client) -> int:
    await client.create()
    acks = await client.write([passage_pb2.Document(id="a", text="smooth sauce")])
    return int(acks[-1].sequence)


async def test_a_search_sees_the_write_it_asks_for_and_says_how_far_each_index_was(servers: Servers) -> None:
    async with servers.start(fakes("words | more")) as client:
        sequence = await _write(client)
        found = await client.search("sauce", min_sequence=sequence)
        assert [each.passage.document_id for each in found.hits] == ["a"]
        assert _progress(found.index_progress) == [("more", 1, 0), ("words", 1, 0)]
        events = await client.events("sauce", "words", min_sequence=sequence)
        assert _progress(events[-1].completed.index_progress) == [("words", 1, 0)]
        request = search_service_pb2.RetrieveRequest(collection="docs", query="sauce", pipeline="more >> rank")
        request.min_sequence = sequence
        retrieved = await client.searches.Retrieve(request)
        assert _progress(retrieved.index_progress) == [("more", 1, 0)]


async def test_a_search_that_asks_for_no_write_does_not_wait_and_says_how_far_the_index_was(servers: Servers) -> None:
    async with servers.start(fakes("words", words=REFUSES)) as client:
        await _write(client)
        found = await client.search("sauce")
        assert not found.hits
        assert _progress(found.index_progress) == [("words", 0, 1)]


async def test_an_index_that_stays_behind_is_named_after_half_of_the_deadline(servers: Servers) -> None:
    async with servers.start(fakes("words", words=REFUSES)) as client:
        sequence = await _write(client)
        with pytest.raises(CallFailed) as caught:
            await client.search("sauce", min_sequence=sequence, timeout=1)
        error = caught.value
        assert (error.code, error.reason) == (grpc.StatusCode.UNAVAILABLE, "INDEX_BEHIND")
        assert error.metadata == {"stage": "words", "applied_sequence": "0"}
        assert error.retries


async def test_a_search_does_not_wait_for_an_index_that_it_does_not_read(servers: Servers) -> None:
    async with servers.start(fakes("words", more=REFUSES)) as client:
        sequence = await _write(client)
        found = await client.search("sauce", min_sequence=sequence)
        assert [each.passage.document_id for each in found.hits] == ["a"]


async def test_a_search_waits_until_the_index_has_caught_up(servers: Servers) -> None:
    async with servers.start(fakes("words", words=REFUSES)) as client:
        sequence = await _write(client)
        await asyncio.to_thread(trace.entered.wait, 60)
        searching = asyncio.ensure_future(client.search("sauce", min_sequence=sequence, timeout=60))
        trace.gate.set()
        found = await searching
        assert [each.passage.document_id for each in found.hits] == ["a"]
        assert _progress(found.index_progress) == [("words", 1, 0)]


@pytest.mark.parametrize("sequence", [2, -1])
async def test_a_sequence_that_was_not_written_is_refused(servers: Servers, sequence: int) -> None:
    async with servers.start(fakes("words")) as client:
        await _write(client)
        with pytest.raises(CallFailed) as caught:
            await client.search("sauce", min_sequence=sequence)
        assert caught.value.code is grpc.StatusCode.INVALID_ARGUMENT
        assert list(caught.value.violations) == ["min_sequence"]


async def test_the_searches_of_a_batch_wait_each_for_itself(servers: Servers) -> None:
    async with servers.start(fakes("words", words=REFUSES)) as client:
        sequence = await _write(client)
        first = search_service_pb2.SearchRequest(collection="docs", query="sauce", min_sequence=sequence)
        second = search_service_pb2.SearchRequest(collection="docs", query="sauce")
        request = search_service_pb2.BatchSearchRequest(requests=[first, second])
        found = {each.request_index: each async for each in client.searches.BatchSearch(request, timeout=2)}
        assert found[0].failure.reason == "INDEX_BEHIND"
        assert _progress(found[1].response.index_progress) == [("words", 0, 1)]
