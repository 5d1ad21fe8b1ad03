"""Presets that want weights or a key rerank with them: tiny checkpoints of the real classes, a scripted provider."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
from checkpoints.causal import save_zephyr
from checkpoints.cross_encoders import save_mxbai_v2
from hosted_endpoint import reranking_endpoint
from real_server import Client

from tamis.config import load_preset
from tamis.rpc.app import running
from tamis.v1 import passage_pb2 as pb
from tamis.v1 import search_service_pb2


@asynccontextmanager
async def _served(preset: str, folder: Path, settings: Mapping[str, object]) -> AsyncIterator[Client]:
    config = load_preset(preset)
    for place, value in settings.items():
        config = config.with_setting(*place.split("."), value)
    changed = config.with_server(listen="127.0.0.1:0", data_directory=folder / "data")
    async with running(changed) as server, grpc.aio.insecure_channel(server.address) as channel:
        client = Client(channel, server.address)
        await client.fill()
        yield client


def _report(found: search_service_pb2.SearchResponse, stage: str) -> pb.StageReport:
    (report,) = (each for each in found.stage_reports if each.stage == stage)
    assert report.outcome == pb.STAGE_OUTCOME_RAN
    assert report.done_count == report.total_count == len(found.hits) > 1
    assert report.usage.model_duration.ToTimedelta().total_seconds() > 0
    return report


async def test_quality_reads_query_and_passage_together(tmp_path: Path) -> None:
    settings = {"cross.model": str(save_mxbai_v2(tmp_path))}
    async with _served("quality", tmp_path, settings) as client:
        found = await client.search("smooth sauce")
    report = _report(found, "cross")
    assert report.usage.pair_count == len(found.hits)
    assert {each.score_kind for each in found.hits} == {pb.SCORE_KIND_LOGIT}


async def test_offline_lets_a_language_model_sort_the_hits(tmp_path: Path) -> None:
    settings = {"zephyr.model": str(save_zephyr(tmp_path / "zephyr"))}
    async with _served("offline", tmp_path, settings) as client:
        found = await client.search("smooth sauce")
    (report,) = (each for each in found.stage_reports if each.stage == "ranker")
    assert report.usage.input_token_count > 0
    assert report.outcome in (pb.STAGE_OUTCOME_RAN, pb.STAGE_OUTCOME_FELL_BACK)  # random weights may say nothing usable
    assert len(found.hits) == 5


async def test_hosted_asks_the_provider_and_tells_what_it_bills(tmp_path: Path) -> None:
    with reranking_endpoint("cohere") as endpoint:
        settings = {
            "reranker.base_url": endpoint.url,
            "reranker.api_key": "key",
            "reranker.product": "cohere/rerank-v3.5",
        }
        async with _served("hosted", tmp_path, settings) as client:
            found = await client.search("smooth sauce")
        (report,) = (each for each in found.stage_reports if each.stage == "reranker")
    assert report.outcome == pb.STAGE_OUTCOME_RAN
    assert report.usage.model_call_count == 1
    assert found.usage.cost == report.usage.cost
    assert (report.usage.cost.currency_code, report.usage.cost.nanos) == ("USD", 2_000_000)


async def test_low_latency_encodes_nothing_but_the_query(tmp_path: Path) -> None:
    async with _served("low-latency", tmp_path, {}) as client:
        found = await client.search("smooth sauce", timeout=20)
    (report,) = (each for each in found.stage_reports if each.stage == "late")
    assert report.outcome == pb.STAGE_OUTCOME_RAN
    assert report.usage.cache_hit_count == len(found.hits) + 1, "the passages' vectors, and the query's from dense"
    assert report.usage.model_call_count == 0
