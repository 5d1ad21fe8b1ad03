"""Rerank and Generate on passages that the caller brings."""

from __future__ import annotations

import re

import pytest
from real_server import TEXTS, CallFailed, Client, Servers, fakes

from tamis.v1 import passage_pb2 as pb
from tamis.v1 import search_service_pb2

PASSAGES = [pb.Passage(id=key, text=text) for key, text in TEXTS.items()]


async def _streamed(client: Client, passages: list[pb.Passage], pipeline: str) -> list[object]:
    request = search_service_pb2.StreamRerankRequest(query="a smooth sauce", passages=passages, pipeline=pipeline)
    return [each async for each in client.stream(client.searches.StreamRerank(request, timeout=20))]


@pytest.mark.parametrize("pipeline", ["rank", "prior | rank", "default", ""])
async def test_a_rerank_returns_every_passage_by_id_alone(servers: Servers, pipeline: str) -> None:
    async with servers.start(fakes()) as client:
        request = search_service_pb2.RerankRequest(query="a smooth sauce", passages=PASSAGES, pipeline=pipeline)
        found = await client.call(client.searches.Rerank(request, timeout=20))
    assert found.hits[0].passage.id in ("sieve", "spoon")
    assert sorted(each.passage.id for each in found.hits) == sorted(TEXTS)
    assert all(each.passage.text == "" for each in found.hits)
    assert {each.stage for hit in found.hits for each in hit.stage_scores} <= {"rank", "prior | rank"}


async def test_a_streamed_rerank_follows_its_grammar_and_ends_like_the_unary_one(servers: Servers) -> None:
    async with servers.start(fakes()) as client:
        events = await _streamed(client, PASSAGES, "rank")
        request = search_service_pb2.RerankRequest(query="a smooth sauce", passages=PASSAGES, pipeline="rank")
        unary = await client.call(client.searches.Rerank(request, timeout=20))
    word = "".join(
        {"hits_revised": "h", "stage_completed": "s", "completed": "c"}[e.WhichOneof("event")] for e in events
    )  # type: ignore[attr-defined]
    assert re.fullmatch(r"[hs]*c", word)
    revisions = [each.hits_revised for each in events if each.HasField("hits_revised")]  # type: ignore[attr-defined]
    assert [each.passage.id for each in revisions[-1].hits] == [each.passage.id for each in unary.hits]
    assert all(hit.passage.text == "" for each in revisions for hit in each.hits)


async def test_no_passages_give_no_hits(servers: Servers) -> None:
    async with servers.start(fakes()) as client:
        found = await client.call(client.searches.Rerank(search_service_pb2.RerankRequest(query="q"), timeout=20))
        assert not found.hits
        events = await _streamed(client, [], "rank")
        assert events[-1].completed.finish_reason == pb.FINISH_REASON_NOT_REQUESTED  # type: ignore[attr-defined]


async def test_a_limit_cuts_a_rerank(servers: Servers) -> None:
    async with servers.start(fakes()) as client:
        request = search_service_pb2.RerankRequest(query="sauce", passages=PASSAGES, pipeline="rank", page_size=2)
        assert len((await client.call(client.searches.Rerank(request, timeout=20))).hits) == 2


async def test_an_answer_comes_from_the_given_passages_and_cites_their_spans(servers: Servers) -> None:
    inside = pb.Passage(
        id="p", document_id="d", document_version=7, text="Grüße", document_span=pb.ByteSpan(start=10, end=17)
    )
    async with servers.start(fakes()) as client:
        request = search_service_pb2.GenerateRequest(query="q", passages=[inside], pipeline="answer")
        events = [each async for each in client.stream(client.searches.Generate(request, timeout=20))]
    word = "".join(
        {"answer_delta": "a", "stage_completed": "s", "completed": "c"}[e.WhichOneof("event")] for e in events
    )
    assert re.fullmatch(r"s*a*s*c", word)
    (citation,) = [each for event in events for each in event.answer_delta.citations]
    assert (citation.document_id, citation.document_version) == ("d", 7)
    assert (citation.document_span.start, citation.document_span.end) == (10, 17)
    assert events[-1].completed.finish_reason == pb.FINISH_REASON_ANSWERED


async def test_generating_from_nothing_finds_nothing(servers: Servers) -> None:
    async with servers.start(fakes()) as client:
        request = search_service_pb2.GenerateRequest(query="q", pipeline="answer")
        events = [each async for each in client.stream(client.searches.Generate(request, timeout=20))]
    assert events[-1].completed.finish_reason == pb.FINISH_REASON_NO_HITS


async def test_a_pipeline_without_the_part_that_is_asked_for_is_refused(servers: Servers) -> None:
    plain = '[pipelines.plain]\nexpression = "words"\n'
    async with servers.start(fakes() + plain) as client:
        with pytest.raises(CallFailed) as caught:
            await client.call(client.searches.Rerank(search_service_pb2.RerankRequest(query="q", pipeline="plain")))
        assert "has no reranker" in caught.value.violations["pipeline"]
        request = search_service_pb2.GenerateRequest(query="q", pipeline="plain")
        with pytest.raises(CallFailed) as caught:
            [each async for each in client.stream(client.searches.Generate(request))]
        assert "has no generator" in caught.value.violations["pipeline"]


async def test_retrieval_stops_before_the_first_reranker(servers: Servers) -> None:
    async with servers.start(fakes()) as client:
        await client.fill()
        request = search_service_pb2.RetrieveRequest(collection="docs", query="a smooth sauce")
        found = await client.call(client.searches.Retrieve(request, timeout=20))
    assert [each.stage for each in found.stage_reports] == ["words"]
    assert found.pipeline == "words % 50"
    assert all(each.passage.text for each in found.hits)
