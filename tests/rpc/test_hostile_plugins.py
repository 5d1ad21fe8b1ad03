"""Plugins at their worst: they exit, ignore cancellation, block for good, cannot index; the server outlives them."""

from __future__ import annotations

import asyncio

import grpc
import pytest
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2, health_pb2_grpc
from real_server import TEXTS, CallFailed, Servers, fakes

from tamis.testing.plugins import SECRET, trace
from tamis.v1 import index_service_pb2, search_service_pb2
from tamis.v1 import passage_pb2 as pb

PIPELINE = "(words | more) >> rank >> pick >> answer"
OUTCOMES = {
    "words": pb.STAGE_OUTCOME_UNREACHABLE,
    "rank": pb.STAGE_OUTCOME_FELL_BACK,
    "pick": pb.STAGE_OUTCOME_FELL_BACK,
    "answer": pb.STAGE_OUTCOME_FELL_BACK,
}


def _behaves(behaviour: str) -> str:
    return f'behaviour = "{behaviour}"'


def _holds_secret(*messages: Message) -> bool:
    return any(SECRET.encode() in each.SerializeToString() for each in messages)


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        ("exits", pb.STAGE_REASON_FAILED),
        ("overloaded", pb.STAGE_REASON_OVERLOADED),
        ("raises", pb.STAGE_REASON_FAILED),
    ],
)
@pytest.mark.parametrize("stage", OUTCOMES)
async def test_a_stage_of_any_role_that_fails_costs_no_more_than_itself(
    servers: Servers, stage: str, behaviour: str, reason: int
) -> None:
    async with servers.start(fakes(PIPELINE, **{stage: _behaves(behaviour)})) as client:
        await client.fill()
        for _ in range(2):
            found = await client.search("a smooth sauce")
            reports = {each.stage: each for each in found.stage_reports}
            assert (reports[stage].outcome, reports[stage].reason) == (OUTCOMES[stage], reason)
            assert len(found.hits) == 4
            assert bool(found.answer.text) is (stage != "answer")
            assert not _holds_secret(found, *await client.events("a smooth sauce"))


@pytest.mark.parametrize("behaviour", ["raises", "exits", "nan"])
async def test_when_the_only_retriever_fails_the_caller_learns_that_and_nothing_else(
    servers: Servers, behaviour: str
) -> None:
    async with servers.start(fakes("words >> answer", words=_behaves(behaviour))) as client:
        await client.fill()
        for call in (client.search, client.events):
            with pytest.raises(CallFailed) as caught:
                await call("sauce")
            assert (caught.value.code, caught.value.reason) == (grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE")
            assert caught.value.retries
            assert SECRET.encode() not in caught.value.raw
        assert (await client.search("sauce", "more")).hits


@pytest.mark.parametrize("pipeline", ["words >> answer", "(words | more) >> answer"])
async def test_when_all_retrievers_are_overloaded_the_caller_learns_when_to_come_again(
    servers: Servers, pipeline: str
) -> None:
    stages = dict.fromkeys(("words", "more"), _behaves("overloaded"))
    async with servers.start(fakes(pipeline, **stages)) as client:
        await client.fill()
        for call in (client.search, client.events):
            with pytest.raises(CallFailed) as caught:
                await call("sauce")
            assert (caught.value.code, caught.value.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED")
            assert [each.retry_delay.ToTimedelta().total_seconds() for each in caught.value.retries] == [1.0]
            assert SECRET.encode() not in caught.value.raw


async def test_what_is_wrong_beside_overload_is_not_called_overload(servers: Servers) -> None:
    stages = {"words": _behaves("overloaded"), "more": _behaves("raises")}
    async with servers.start(fakes("(words | more) >> answer", **stages)) as client:
        await client.fill()
        with pytest.raises(CallFailed) as caught:
            await client.search("sauce")
        assert caught.value.code is grpc.StatusCode.UNAVAILABLE


async def test_a_required_stage_that_is_overloaded_makes_the_call_so(servers: Servers) -> None:
    strict = '[pipelines.strict]\nexpression = "words >> rank >> answer"\nrequired = ["rank"]\n'
    async with servers.start(fakes(rank=_behaves("overloaded")) + strict) as client:
        await client.fill()
        with pytest.raises(CallFailed) as caught:
            await client.search("sauce", "strict")
        assert (caught.value.code, caught.value.metadata["stage"]) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "rank")
        assert caught.value.retries


async def test_a_stream_that_fails_half_way_keeps_what_it_sent_and_ends_with_a_typed_status(servers: Servers) -> None:
    strict = '[pipelines.strict]\nexpression = "words >> rank >> answer"\nrequired = ["rank"]\n'
    async with servers.start(fakes(rank=_behaves("raises")) + strict) as client:
        await client.fill()
        request = search_service_pb2.StreamSearchRequest(collection="docs", query="a smooth sauce", pipeline="strict")
        events = []
        with pytest.raises(CallFailed) as caught:
            async for event in client.stream(client.searches.StreamSearch(request, timeout=20)):
                events.append(event)
    assert [each.WhichOneof("event") for each in events] == ["stage_completed", "hits_revised", "stage_completed"]
    assert (caught.value.code, caught.value.metadata) == (grpc.StatusCode.UNAVAILABLE, {"stage": "rank"})
    assert SECRET.encode() not in caught.value.raw
    assert not _holds_secret(*events)


@pytest.mark.parametrize("stage", OUTCOMES)
async def test_a_stage_that_ignores_its_cancellation_is_left_behind(servers: Servers, stage: str) -> None:
    async with servers.start(fakes(PIPELINE, **{stage: _behaves("ignores_cancellation")})) as client:
        await client.fill()
        found = await client.search("a smooth sauce", timeout=1.5)
        reports = {each.stage: each for each in found.stage_reports}
        assert (reports[stage].outcome, reports[stage].reason) == (OUTCOMES[stage], pb.STAGE_REASON_DEADLINE)
        assert len(found.hits) == 4
        trace.gate.set()


@pytest.mark.parametrize("stage", ["words", "pick"])
async def test_a_retriever_or_context_builder_that_blocks_its_loop_does_not_keep_the_answer_away(
    servers: Servers, stage: str
) -> None:
    async with servers.start(fakes(PIPELINE, **{stage: _behaves("blocks")})) as client:
        await client.fill()
        call = asyncio.ensure_future(client.search("a smooth sauce", timeout=1.5))
        assert await asyncio.to_thread(trace.entered.wait, 60)
        health = await health_pb2_grpc.HealthStub(client.channel).Check(health_pb2.HealthCheckRequest(), timeout=30)
        assert health.status == health_pb2.HealthCheckResponse.SERVING
        if stage == "pick":
            assert len((await call).hits) == 4
        else:  # the other retriever lives on the same loop and cannot run either
            with pytest.raises(CallFailed) as caught:
                await call
            assert caught.value.code is grpc.StatusCode.UNAVAILABLE
        trace.gate.set()
        assert (await client.search("a smooth sauce", "more")).hits


async def test_a_server_stops_although_a_plugin_blocks_for_good(servers: Servers) -> None:
    async with asyncio.timeout(40):
        async with servers.start(fakes("words >> rank", rank=_behaves("blocks"))) as client:
            await client.fill()
            assert (await client.search("a smooth sauce", timeout=1)).hits
        assert not trace.gate.is_set()
    trace.gate.set()
    async with servers.start(fakes("words")) as client:
        await client.wait()
        assert await client.found("sauce") == {"sieve", "pan", "spoon"}


@pytest.mark.parametrize("behaviour", ["duplicates", "unknown", "altered"])
async def test_a_generator_reads_each_hit_once_and_as_it_is_stored(servers: Servers, behaviour: str) -> None:
    async with servers.start(fakes("words >> pick >> answer", pick=_behaves(behaviour))) as client:
        await client.fill()
        found = await client.search("a smooth sauce")
    best = [each.passage for each in found.hits[:2]]
    assert found.answer.text == "".join(f"{each.text}\n" for each in best)
    assert [each.passage_id for each in found.answer.citations] == [each.id for each in best]
    (report,) = [each for each in found.stage_reports if each.stage == "pick"]
    assert (report.outcome, report.done_count) == (pb.STAGE_OUTCOME_RAN, 2)
    assert len(report.notes) == 1


async def test_an_index_that_cannot_follow_says_so_and_holds_up_no_other(servers: Servers) -> None:
    async with servers.start(fakes("words | more", more=_behaves("cannot_index"))) as client:
        await client.create()
        acks = await client.write([pb.Document(id=key, text=text) for key, text in TEXTS.items()])
        assert await asyncio.to_thread(trace.entered.wait, 60)
        others = search_service_pb2.RetrieveRequest(
            collection="docs", query="sauce", pipeline="words", min_sequence=acks[-1].sequence
        )
        await client.call(client.searches.Retrieve(others, timeout=60))
        with pytest.raises(CallFailed) as caught:
            request = index_service_pb2.WaitIndexedRequest(collection="docs", sequence=acks[-1].sequence)
            await client.call(client.index.WaitIndexed(request, timeout=2))
        assert (caught.value.code, caught.value.reason) == (grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED")
        assert caught.value.message.endswith("not yet in: more")
        assert SECRET.encode() not in caught.value.raw
        known = (await client.index.GetCollection(index_service_pb2.GetCollectionRequest(collection="docs"))).collection
        assert [(each.stage, each.lag_count, each.problem) for each in known.indexes] == [
            ("more", 5, "APPLY_FAILED"),
            ("words", 0, ""),
        ]
        assert not _holds_secret(known)
        assert await client.found("sauce") == {"sieve", "pan", "spoon"}
        trace.gate.set()
        assert {each.lag_count for each in (await client.wait()).indexes} == {0}
        assert await client.found("sauce", "more") == {"sieve", "pan", "spoon"}
