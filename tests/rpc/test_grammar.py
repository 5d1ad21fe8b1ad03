"""The grammar of the stream, event by event."""

from __future__ import annotations

import re

import pytest
from real_server import Client, Servers, fakes

from tamis.v1 import index_service_pb2, search_service_pb2
from tamis.v1 import passage_pb2 as pb

LETTERS = {"hits_revised": "h", "stage_completed": "s", "answer_delta": "a", "completed": "c"}
PIPELINES = [
    "words",
    "words | more",
    "words % 3 >> rank",
    "words | more >> (prior | rank) % 2",
    "words >> rank >> answer",
    "((words >> rank) | more) % 4 >> pick >> answer",
]


@pytest.mark.parametrize("pipeline", PIPELINES)
async def test_a_stream_follows_the_grammar_and_collects_to_the_unary_response(servers: Servers, pipeline: str) -> None:
    async with servers.start(fakes()) as client:
        await client.fill()
        events = await client.events("smooth sauce", pipeline)
        unary = await client.search("smooth sauce", pipeline)
    word = "".join(LETTERS[each.WhichOneof("event")] for each in events)
    assert re.fullmatch(r"[hs]*[as]*c", word), word
    revisions = [each.hits_revised for each in events if each.HasField("hits_revised")]
    end = events[-1].completed
    assert [each.revision for each in revisions] == list(range(1, len(revisions) + 1))
    assert end.revision == len(revisions)
    assert end.pipeline == pipeline
    _check_stages(events, end, pipeline)
    assert [each.passage.id for each in revisions[-1].hits] == [each.passage.id for each in unary.hits]
    assert "".join(each.answer_delta.text for each in events) == unary.answer.text
    assert end.finish_reason == unary.answer.finish_reason


def _check_stages(
    events: list[search_service_pb2.StreamSearchResponse], end: search_service_pb2.Completed, pipeline: str
) -> None:
    """Each stage completes once, and the end repeats what was told."""
    told = [each.stage_completed for each in events if each.HasField("stage_completed")]
    assert list(end.stage_reports) == told
    leaves = [each for each in re.findall(r"[a-z]+", pipeline) if each != "prior"]
    named = [each.stage for each in told if each.role != pb.STAGE_ROLE_FUSION]
    assert sorted(named) == sorted(leaves)
    assert len({each.stage for each in told}) == len(told)
    assert all(each.outcome == pb.STAGE_OUTCOME_RAN for each in told)


async def test_a_body_is_sent_once_and_every_hit_has_had_one(servers: Servers) -> None:
    async with servers.start(fakes()) as client:
        await client.fill()
        events = await client.events("smooth sauce knife", "words | more >> (prior | rank)")
    bodies: set[str] = set()
    for revised in (each.hits_revised for each in events if each.HasField("hits_revised")):
        for hit in revised.hits:
            if hit.passage.text:
                assert hit.passage.id not in bodies
                assert hit.passage.document_id
                bodies.add(hit.passage.id)
            assert hit.passage.id in bodies


async def test_a_search_that_finds_nothing_says_so(servers: Servers) -> None:
    async with servers.start(fakes()) as client:
        await client.fill()
        events = await client.events("unheard-of")
    revised = next(each.hits_revised for each in events if each.HasField("hits_revised"))
    assert list(revised.hits) == []
    assert events[-1].completed.finish_reason == pb.FINISH_REASON_NO_HITS


async def test_the_limit_only_cuts_the_end(servers: Servers) -> None:
    async with servers.start(fakes()) as client:
        await client.fill()
        few = await client.search("a sauce knife", "words", page_size=1)
        many = await client.search("a sauce knife", "words", page_size=5_000)
    assert len(few.hits) == 1
    assert few.hits[0] == many.hits[0]


async def test_citations_resolve_into_stored_documents(servers: Servers) -> None:
    async with servers.start(fakes()) as client:
        await client.fill()
        await _check_citations(client, "smooth sauce Grüße", "words >> answer")


async def _check_citations(client: Client, query: str, pipeline: str) -> None:
    found = await client.search(query, pipeline)
    assert found.answer.citations
    answer = found.answer.text.encode()
    for citation in found.answer.citations:
        request = index_service_pb2.GetDocumentRequest(collection="docs", document_id=citation.document_id)
        document = (await client.index.GetDocument(request)).document
        assert document.version == citation.document_version
        evidence = document.text.encode()[citation.document_span.start : citation.document_span.end].decode()
        assert evidence == answer[citation.answer_span.start : citation.answer_span.end].decode()
        assert citation.passage_id in {each.passage.id for each in found.hits}
