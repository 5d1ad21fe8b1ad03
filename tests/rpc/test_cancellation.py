"""After a client has gone, nothing more is begun for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from real_server import Client, Servers, fakes

from tamis.testing.plugins import trace
from tamis.v1 import passage_pb2, search_service_pb2

MANY = {f"d{number}": f"sauce number {number}" for number in range(300)}


def _is_reranked(event: search_service_pb2.StreamSearchResponse) -> bool:
    return event.hits_revised.stage == "rank"


async def _cancelled_once(
    client: Client,
    request: search_service_pb2.StreamSearchRequest,
    begun: Callable[[search_service_pb2.StreamSearchResponse], bool],
) -> None:
    """Cancels a search as soon as an event shows that the stage in question is at work; returns when it has left."""
    call = client.searches.StreamSearch(request, timeout=60)
    async for event in call:
        if begun(event):
            break
    call.cancel()
    assert await asyncio.to_thread(trace.left.wait, 60)


async def test_after_a_cancellation_the_reranker_begins_no_further_passage(servers: Servers) -> None:
    async with servers.start(fakes("words % 300 >> rank", rank="seconds = 0.01")) as client:
        await client.fill(MANY)
        request = search_service_pb2.StreamSearchRequest(collection="docs", query="sauce")
        await _cancelled_once(client, request, _is_reranked)
        begun = trace.begun
        assert begun < len(MANY)
        assert (await client.search("sauce", "more")).hits
    assert trace.begun == begun + 1


async def test_after_a_cancellation_the_generator_writes_no_further_word(servers: Servers) -> None:
    async with servers.start(fakes("words % 5 >> answer", answer="seconds = 0.2")) as client:
        await client.fill()
        request = search_service_pb2.StreamSearchRequest(collection="docs", query="a smooth sauce")
        await _cancelled_once(client, request, lambda event: event.HasField("answer_delta"))
        begun = trace.begun
        assert (await client.search("sauce", "more")).hits
    assert trace.begun == begun + 1


async def test_a_cancelled_unary_call_ends_its_stages(servers: Servers) -> None:
    async with servers.start(fakes("words >> rank", rank='behaviour = "never_returns"')) as client:
        await client.fill()
        trace.entered.clear()
        request = search_service_pb2.SearchRequest(collection="docs", query="a smooth sauce", pipeline="rank")
        passages = [passage_pb2.Passage(id="a", text="sauce")]
        request_rerank = search_service_pb2.RerankRequest(query=request.query, passages=passages, pipeline="rank")
        call = client.searches.Rerank(request_rerank, timeout=60)
        running = asyncio.ensure_future(call)
        assert await asyncio.to_thread(trace.entered.wait, 60)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert await asyncio.to_thread(trace.left.wait, 60)


@pytest.mark.parametrize("stage", ["rank", "answer"])
async def test_a_cancellation_reaches_work_that_only_asks_its_call(servers: Servers, stage: str) -> None:
    """As the threads of models do. The deadline is far away: only the cancellation can end it."""
    async with servers.start(fakes(**{stage: 'behaviour = "asks_its_call"'})) as client:
        fields = {"query": "sauce", "passages": [passage_pb2.Passage(id="a", text="sauce")], "pipeline": stage}
        stub, request = {
            "rank": (client.searches.StreamRerank, search_service_pb2.StreamRerankRequest(**fields)),
            "answer": (client.searches.Generate, search_service_pb2.GenerateRequest(**fields)),
        }[stage]
        reading = asyncio.ensure_future((call := stub(request, timeout=600)).read())
        assert await asyncio.to_thread(trace.entered.wait, 60)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert await asyncio.to_thread(trace.left.wait, 60)


async def test_a_client_that_vanishes_ends_its_stages(servers: Servers) -> None:
    async with servers.start(fakes("words % 300 >> rank", rank="seconds = 0.01")) as client:
        await client.fill(MANY)
        request = search_service_pb2.StreamSearchRequest(collection="docs", query="sauce")
        call = client.searches.StreamSearch(request, timeout=60)
        async for event in call:
            if _is_reranked(event):
                break
        await client.channel.close()
        assert await asyncio.to_thread(trace.left.wait, 60)
    assert trace.begun < len(MANY)
