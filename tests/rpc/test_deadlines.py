"""The caller's deadline is kept, whatever is slow, and what it cost is told."""

from __future__ import annotations

import asyncio

import grpc
import pytest
from real_server import CallFailed, Servers, fakes

from tamis.testing.plugins import trace
from tamis.v1 import passage_pb2 as pb
from tamis.v1 import search_service_pb2

NEVER = 'behaviour = "never_returns"'


async def _reports(
    servers: Servers, pipeline: str, timeout: float, **behaviours: str
) -> tuple[search_service_pb2.SearchResponse, dict[str, pb.StageReport]]:
    async with servers.start(fakes(pipeline, **behaviours)) as client:
        await client.fill()
        found = await client.search("a smooth sauce", timeout=timeout)  # gRPC fails what comes after the deadline
    return found, {each.stage: each for each in found.stage_reports}


async def test_a_retriever_that_never_returns_is_left_behind(servers: Servers) -> None:
    found, reports = await _reports(servers, "words | more >> rank >> answer", 1.5, more=NEVER)
    assert found.hits
    assert found.answer.text
    assert (reports["more"].outcome, reports["more"].reason) == (
        pb.STAGE_OUTCOME_UNREACHABLE,
        pb.STAGE_REASON_DEADLINE,
    )
    assert list(found.unreachable) == ["retrievers/more"]
    assert reports["words | more"].outcome == pb.STAGE_OUTCOME_PARTIAL
    assert reports["rank"].outcome == pb.STAGE_OUTCOME_RAN


async def test_a_reranker_that_never_returns_leaves_the_order_before_it(servers: Servers) -> None:
    found, reports = await _reports(servers, "words >> rank >> answer", 1.5, rank=NEVER)
    assert [hit.score_kind for hit in found.hits] == [pb.SCORE_KIND_BM25] * len(found.hits)
    assert (reports["rank"].outcome, reports["rank"].reason) == (pb.STAGE_OUTCOME_FELL_BACK, pb.STAGE_REASON_DEADLINE)
    assert reports["answer"].outcome == pb.STAGE_OUTCOME_RAN


async def test_a_reranker_that_is_slow_counts_as_far_as_it_got(servers: Servers) -> None:
    found, reports = await _reports(servers, "words >> rank", 1.7, rank="seconds = 0.5")
    report = reports["rank"]
    assert (report.outcome, report.reason) == (pb.STAGE_OUTCOME_PARTIAL, pb.STAGE_REASON_DEADLINE)
    assert 0 < report.done_count < report.total_count == len(found.hits)
    kinds = [hit.score_kind for hit in found.hits]
    assert kinds == [pb.SCORE_KIND_LOGIT] * report.done_count + [pb.SCORE_KIND_BM25] * (len(kinds) - report.done_count)


@pytest.mark.parametrize("pipeline", ["words % 300 >> rank", "words % 5 >> answer"])
async def test_after_the_deadline_nothing_more_is_begun(servers: Servers, pipeline: str) -> None:
    slow = "seconds = 0.2"
    async with servers.start(fakes(pipeline, rank=slow, answer=slow)) as client:
        await client.fill({f"d{number}": f"sauce number {number}" for number in range(300)})
        found = await client.search("sauce", timeout=1.0)
        assert found.hits
        assert await asyncio.to_thread(trace.left.wait, 60)
        begun = trace.begun
        assert (await client.search("sauce", "more", timeout=20)).hits
    assert trace.begun == begun + 1


async def test_a_context_builder_that_never_returns_gives_way_to_the_first_hits(servers: Servers) -> None:
    found, reports = await _reports(servers, "words >> pick >> answer", 1.5, pick=NEVER)
    assert reports["pick"].outcome == pb.STAGE_OUTCOME_FELL_BACK
    assert found.answer.finish_reason == pb.FINISH_REASON_ANSWERED


async def test_a_generator_that_is_cut_short_keeps_what_it_said(servers: Servers) -> None:
    found, reports = await _reports(servers, "words >> answer", 2.0, answer='behaviour = "never_goes_on"')
    assert found.answer.text, found
    assert found.answer.finish_reason == pb.FINISH_REASON_TRUNCATED
    assert (reports["answer"].outcome, reports["answer"].reason) == (
        pb.STAGE_OUTCOME_PARTIAL,
        pb.STAGE_REASON_DEADLINE,
    )


async def test_a_generator_that_never_begins_leaves_the_hits(servers: Servers) -> None:
    found, reports = await _reports(servers, "words >> answer", 1.0, answer=NEVER)
    assert found.hits
    assert found.answer.text == ""
    assert found.answer.finish_reason == pb.FINISH_REASON_TRUNCATED
    assert reports["answer"].outcome == pb.STAGE_OUTCOME_FELL_BACK


async def test_the_first_revision_does_not_wait_for_what_is_slow(servers: Servers) -> None:
    async with servers.start(fakes("words | more >> rank", more=NEVER, rank=NEVER)) as client:
        await client.fill()
        request = search_service_pb2.StreamSearchRequest(collection="docs", query="a smooth sauce")
        call = client.searches.StreamSearch(request, timeout=60)
        kinds = []
        async for event in call:
            kinds.append(event.WhichOneof("event"))
            if event.HasField("hits_revised"):
                assert event.hits_revised.revision == 1
                break
        call.cancel()
    assert kinds == ["stage_completed", "hits_revised"]


async def test_when_no_retriever_returns_the_call_is_unavailable_before_its_deadline(servers: Servers) -> None:
    async with servers.start(fakes("words | more", words=NEVER, more=NEVER)) as client:
        await client.fill()
        with pytest.raises(CallFailed) as caught:
            await client.search("sauce", timeout=1.0)
    assert (caught.value.code, caught.value.reason) == (grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE")
    assert caught.value.retries


async def test_without_a_deadline_the_servers_default_holds(servers: Servers) -> None:
    async with servers.start(fakes("words >> rank", rank=NEVER), default_deadline=0.5) as client:
        await client.fill()
        found = await client.search("a smooth sauce", timeout=None)
    assert found.hits
    assert found.stage_reports[-1].outcome == pb.STAGE_OUTCOME_FELL_BACK
    assert found.stage_reports[-1].budget_duration.ToTimedelta().total_seconds() <= 0.5


async def test_what_a_stage_does_not_use_flows_on(servers: Servers) -> None:
    found, reports = await _reports(servers, "words >> rank >> answer", 8.0)
    budget = reports["answer"].budget_duration.ToTimedelta().total_seconds()
    assert budget > 7.0
    assert found.answer.finish_reason == pb.FINISH_REASON_ANSWERED


async def test_a_required_stage_that_fails_fails_the_call(servers: Servers) -> None:
    strict = '[pipelines.strict]\nexpression = "words | more"\nrequired = ["more"]\n'
    async with servers.start(fakes(more='behaviour = "raises"') + strict) as client:
        await client.fill()
        with pytest.raises(CallFailed) as caught:
            await client.search("sauce", "strict")
        assert (caught.value.code, caught.value.metadata) == (grpc.StatusCode.UNAVAILABLE, {"stage": "more"})
        assert (await client.search("sauce", "words | more")).hits
