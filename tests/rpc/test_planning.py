"""What a response tells of the plan behind it."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest
from planning import ran, taught
from real_server import CallFailed, Client, fakes

from tamis.config import parse
from tamis.events import StageRole
from tamis.planner import Planner
from tamis.rpc.app import running
from tamis.v1 import passage_pb2 as pb
from tamis.v1 import search_service_pb2

PIPELINE = "words % 50 >> rank >> answer"
TOKENS = (10, 20, 30, 40, 50) * 4


@asynccontextmanager
async def _serving(folder: Path, extra: str = "") -> AsyncIterator[tuple[Client, Planner]]:
    """A server over twenty passages, whose costs are told and not measured: seconds so long that the machine's own
    do not count."""
    server = f'[server]\nlisten = "127.0.0.1:0"\ndata_directory = "{folder}"\n'
    async with (
        running(parse(f"{server}{fakes(PIPELINE)}{extra}")) as started,
        grpc.aio.insecure_channel(started.address) as channel,
    ):
        client = Client(channel, started.address)
        await client.fill({f"d{number:02}": "a smooth sauce" for number in range(20)})
        yield client, started.tamis.planner


def _teach(planner: Planner, rank: float) -> None:
    """`rank` seconds for each token that the reranker reads."""
    taught(planner, "words", StageRole.RETRIEVER, lambda _: 0.001)
    taught(planner, "answer", StageRole.GENERATOR, lambda _: 0.001)
    taught(planner, "rank", StageRole.RERANKER, lambda count: rank * count, TOKENS)


async def _completed(client: Client, timeout: float = 60.0) -> search_service_pb2.Completed:
    return (await client.events("sauce", timeout=timeout))[-1].completed


async def _rank(client: Client) -> pb.StageReport:
    reports = {each.stage: each for each in (await _completed(client)).stage_reports}
    return reports["rank"]


async def test_the_first_searches_go_by_shares_and_say_so(tmp_path: Path) -> None:
    async with _serving(tmp_path) as (client, _):
        completed = await _completed(client)
    assert completed.budget_basis == search_service_pb2.BUDGET_BASIS_FIXED_SHARES
    rank = next(each for each in completed.stage_reports if each.stage == "rank")
    assert (rank.planned_count, rank.HasField("planned_duration")) == (20, False)


async def test_a_server_learns_from_its_own_searches(tmp_path: Path) -> None:
    async with _serving(tmp_path) as (client, _):
        for _ in range(6):
            completed = await _completed(client)
    assert completed.budget_basis == search_service_pb2.BUDGET_BASIS_MEASURED_COSTS
    assert all(each.HasField("planned_duration") for each in completed.stage_reports)


async def test_with_configured_gains_a_plan_is_measured(tmp_path: Path) -> None:
    async with _serving(tmp_path, "[planner]\ngains = { rank = [[10, 0.02], [50, 0.03]] }\n") as (client, planner):
        _teach(planner, 0.001)
        completed = await _completed(client)
    assert completed.budget_basis == search_service_pb2.BUDGET_BASIS_MEASURED


async def test_a_stage_that_becomes_slow_gets_fewer_candidates_afterwards(tmp_path: Path) -> None:
    async with _serving(tmp_path) as (client, planner):
        _teach(planner, 0.001)
        before = await _rank(client)
        for _ in range(60):
            planner.observe(ran("rank", StageRole.RERANKER, 40.0, count=10, work=50.0))
        after = await _rank(client)
    assert (before.outcome, before.planned_count) == (pb.STAGE_OUTCOME_RAN, 20)
    assert after.planned_count < after.total_count == 20
    assert (after.outcome, after.reason) == (pb.STAGE_OUTCOME_PARTIAL, pb.STAGE_REASON_DEADLINE)
    assert after.done_count == after.planned_count


async def test_a_reranker_without_a_chance_is_skipped_and_the_answer_is_kept(tmp_path: Path) -> None:
    async with _serving(tmp_path) as (client, planner):
        _teach(planner, 1_000.0)
        completed = await _completed(client)
    reports = {each.stage: each for each in completed.stage_reports}
    assert (reports["rank"].outcome, reports["rank"].reason) == (pb.STAGE_OUTCOME_SKIPPED, pb.STAGE_REASON_DEADLINE)
    assert completed.finish_reason == pb.FINISH_REASON_ANSWERED


@asynccontextmanager
async def _beside_a_slow_retriever(folder: Path, extra: str = "") -> AsyncIterator[Client]:
    """A server whose retriever `slow` is said to take 100 s; it does not."""
    server = f'[server]\nlisten = "127.0.0.1:0"\ndata_directory = "{folder}"\n'
    slow = '[stages.slow]\nplugin = "fake-memory"\n'
    async with (
        running(parse(f"{server}{fakes('words % 50 | slow % 50')}{extra}{slow}")) as started,
        grpc.aio.insecure_channel(started.address) as channel,
    ):
        client, planner = Client(channel, started.address), started.tamis.planner
        await client.fill()
        _teach(planner, 0.001)
        taught(planner, "slow", StageRole.RETRIEVER, lambda _: 100.0)
        yield client


async def _outcomes(client: Client) -> dict[str, pb.StageReport]:
    return {each.stage: each for each in (await _completed(client)).stage_reports}


async def test_a_retriever_without_a_chance_is_skipped_beside_one_that_has_and_tried_again_some_day(
    tmp_path: Path,
) -> None:
    async with _beside_a_slow_retriever(tmp_path) as client:
        first = await _outcomes(client)
        outcomes = [first["slow"].outcome]
        while outcomes[-1] == pb.STAGE_OUTCOME_SKIPPED:
            outcomes.append((await _outcomes(client))["slow"].outcome)
    assert outcomes[0] == pb.STAGE_OUTCOME_SKIPPED
    assert (first["slow"].reason, first["slow"].done_count) == (pb.STAGE_REASON_DEADLINE, 0)
    assert first["words"].outcome == pb.STAGE_OUTCOME_RAN
    assert outcomes[-1] == pb.STAGE_OUTCOME_RAN


async def test_a_required_retriever_is_begun_whatever_it_takes(tmp_path: Path) -> None:
    async with _beside_a_slow_retriever(tmp_path, 'required = ["slow"]\n') as client:
        reports = await _outcomes(client)
    assert reports["slow"].outcome == pb.STAGE_OUTCOME_RAN


async def test_a_search_that_waits_behind_other_reads_ends_before_its_deadline(tmp_path: Path) -> None:
    listen = 'listen = "127.0.0.1:0"\ndeadline_margin = 0.3'  # on a busy machine the way back takes long
    server = f'[server]\n{listen}\ndata_directory = "{tmp_path}"\n'
    async with (
        running(parse(f"{server}{fakes(PIPELINE)}")) as started,
        grpc.aio.insecure_channel(started.address) as channel,
    ):
        client, gate = Client(channel, started.address), threading.Event()
        await client.fill()
        started.tamis._journal._reads._reads.submit(gate.wait)
        try:
            with pytest.raises(CallFailed) as caught:
                await client.search("sauce", timeout=1.0)
        finally:
            gate.set()
    assert (caught.value.code, caught.value.reason) == (grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE")


async def test_planning_can_be_switched_off(tmp_path: Path) -> None:
    async with _serving(tmp_path, "[planner]\nlearns = false\n") as (client, planner):
        _teach(planner, 1_000.0)
        completed = await _completed(client)
    assert completed.budget_basis == search_service_pb2.BUDGET_BASIS_FIXED_SHARES
    assert completed.finish_reason == pb.FINISH_REASON_ANSWERED
