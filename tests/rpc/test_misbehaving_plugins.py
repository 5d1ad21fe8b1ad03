"""Whatever a plugin does, the caller gets hits, a typed outcome, and none of its exceptions."""

from __future__ import annotations

import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from real_server import Servers, fakes

from tamis.testing.plugins import SECRET, trace
from tamis.v1 import passage_pb2 as pb
from tamis.v1 import search_service_pb2

RAN, PARTIAL, FELL_BACK = pb.STAGE_OUTCOME_RAN, pb.STAGE_OUTCOME_PARTIAL, pb.STAGE_OUTCOME_FELL_BACK
FAILED, INVALID, INCOMPLETE = pb.STAGE_REASON_FAILED, pb.STAGE_REASON_INVALID_OUTPUT, pb.STAGE_REASON_INCOMPLETE
NONE = pb.STAGE_REASON_UNSPECIFIED


async def _search(
    servers: Servers, pipeline: str, stage: str, behaviour: str, timeout: float = 10
) -> tuple[search_service_pb2.SearchResponse, pb.StageReport]:
    async with servers.start(fakes(pipeline, **{stage: f'behaviour = "{behaviour}"'})) as client:
        await client.fill()
        found = await client.search("a smooth sauce", timeout=timeout)
        assert (await client.search("knife", "more")).hits
    assert SECRET.encode() not in found.SerializeToString()
    (report,) = [each for each in found.stage_reports if each.stage == stage]
    return found, report


@pytest.mark.parametrize(
    ("behaviour", "outcome", "reason"),
    [
        ("raises", FELL_BACK, FAILED),
        ("raises_midway", PARTIAL, FAILED),
        ("nan", FELL_BACK, INVALID),
        ("too_few", PARTIAL, INCOMPLETE),
        ("duplicates", RAN, NONE),
        ("unknown", RAN, NONE),
    ],
)
async def test_a_reranker_that_misbehaves_is_repaired_or_passed_over(
    servers: Servers, behaviour: str, outcome: int, reason: int
) -> None:
    found, report = await _search(servers, "words >> rank", "rank", behaviour)
    assert (report.outcome, report.reason) == (outcome, reason)
    ids = [hit.passage.id for hit in found.hits]
    assert len(ids) == len(set(ids)) == 4
    assert bool(report.notes) is (behaviour in ("nan", "too_few", "duplicates", "unknown"))


@pytest.mark.parametrize(("behaviour", "notes"), [("duplicates", True), ("unknown", False)])
async def test_a_retriever_that_returns_too_much_is_cut_to_what_exists(
    servers: Servers, behaviour: str, notes: bool
) -> None:
    found, report = await _search(servers, "words", "words", behaviour)
    ids = [hit.passage.id for hit in found.hits]
    assert len(ids) == len(set(ids)) == 4
    assert report.outcome == RAN
    assert bool(report.notes) is notes


async def test_a_retriever_that_raises_is_unreachable_and_the_other_stands(servers: Servers) -> None:
    found, report = await _search(servers, "words | more", "words", "raises")
    assert (report.outcome, report.reason) == (pb.STAGE_OUTCOME_UNREACHABLE, FAILED)
    assert len(found.hits) == 4


@pytest.mark.parametrize(
    ("behaviour", "finish", "outcome"),
    [
        ("raises", pb.FINISH_REASON_FAILED, FELL_BACK),
        ("raises_midway", pb.FINISH_REASON_TRUNCATED, PARTIAL),
        ("no_finish", pb.FINISH_REASON_TRUNCATED, PARTIAL),
        ("unknown", pb.FINISH_REASON_ANSWERED, RAN),
    ],
)
async def test_a_generator_that_misbehaves_costs_the_answer_and_not_the_hits(
    servers: Servers, behaviour: str, finish: int, outcome: int
) -> None:
    found, report = await _search(servers, "words >> answer", "answer", behaviour)
    assert len(found.hits) == 4
    assert (found.answer.finish_reason, report.outcome) == (finish, outcome)
    if behaviour == "unknown":
        assert list(found.answer.citations) == []
        assert list(report.notes) == ["citation that does not resolve dropped"]


@pytest.mark.parametrize("stage", ["rank", "answer"])
async def test_a_stage_that_blocks_its_loop_stops_neither_its_caller_nor_anyone_else(
    servers: Servers, stage: str
) -> None:
    async with servers.start(fakes("words >> rank >> answer", **{stage: 'behaviour = "blocks"'})) as client:
        await client.fill()
        found = await client.search("a smooth sauce", timeout=1.5)
        assert len(found.hits) == 4
        health = await health_pb2_grpc.HealthStub(client.channel).Check(health_pb2.HealthCheckRequest(), timeout=30)
        assert health.status == health_pb2.HealthCheckResponse.SERVING
        trace.gate.set()
        assert (await client.search("a smooth sauce", "words")).hits
    (report,) = [each for each in found.stage_reports if each.stage == stage]
    assert (report.outcome, report.reason) == (FELL_BACK, pb.STAGE_REASON_DEADLINE)
