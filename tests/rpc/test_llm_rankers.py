"""Rerankers over a language model behind an endpoint, across the socket: what they reach, and what is said of it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from real_server import Servers
from scripted_endpoint import Endpoint, Reply, endpoint_running, openai_reply

from tamis.v1 import passage_pb2 as pb
from tamis.v1 import search_service_pb2
from tamis_llm_rankers import notes

TEXTS = {
    "pan": "The pan and the kettle want oil, says the cook of the kettle.",
    "shop": "A kettle may be bought.",
    "kettle": "The kettle sings when water boils.",
    "tea": "Tea is made with a kettle.",
}
USAGE = {"prompt_tokens": 10, "completion_tokens": 1, "total_tokens": 11}
WITHOUT = {"choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "A"}}]}


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with endpoint_running() as running:
        yield running


def _reply(body: dict[str, Any]) -> Reply:
    """No log-probabilities; in words the label of the passage that sings."""
    if body.get("logprobs"):
        base = {"id": "1", "object": "chat.completion", "created": 0, "model": "m", "usage": USAGE}
        return Reply([json.dumps(base | WITHOUT).encode()], headers={"Content-Type": "application/json"})
    asked = body["messages"][-1]["content"]
    labels = re.findall(r"^(?:Passage (\w):|\[(\d)\])(.*)$", asked, re.MULTILINE)
    best = next(((letter or f"[{number}]") for letter, number, text in labels if "sings" in text), "A")
    return openai_reply([best])


async def _ranked(
    servers: Servers, endpoint: Endpoint, stage: str, timeout: float = 20
) -> tuple[list[str], pb.StageReport, search_service_pb2.SearchResponse]:
    config = f"""
[models.remote]
plugin = "openai"
base_url = "{endpoint.url}/v1"
model = "m"
max_retries = 0
[stages.words]
plugin = "fake-memory"
[stages.best]
{stage}
llm = "remote"
[pipelines.default]
expression = "words >> best"
"""
    async with servers.start(config) as client:
        await client.fill(TEXTS)
        found = await client.search("When does the kettle sing?", timeout=timeout)
    (report,) = [each for each in found.stage_reports if each.stage == "best"]
    return [hit.passage.document_id for hit in found.hits], report, found


@pytest.mark.parametrize("plugin", ["listwise", "pairwise", "setwise"])
async def test_the_best_passage_comes_first(servers: Servers, endpoint: Endpoint, plugin: str) -> None:
    endpoint.replies = [_reply]
    order, report, found = await _ranked(servers, endpoint, f'plugin = "{plugin}"')
    assert order[0] == "kettle"
    assert sorted(order) == sorted(TEXTS)
    assert report.outcome == pb.STAGE_OUTCOME_RAN
    assert report.usage.model_call_count == len(endpoint.requests) > 0
    assert report.usage.pair_count > 0
    assert list(report.notes) == ([notes.MISSING] if plugin == "listwise" else [notes.IN_WORDS])
    assert not found.hits[0].HasField("score")


async def test_an_endpoint_without_log_probabilities_cannot_rank_by_the_query(
    servers: Servers, endpoint: Endpoint
) -> None:
    endpoint.replies = [_reply]
    order, report, _ = await _ranked(servers, endpoint, 'plugin = "query-likelihood"')
    assert report.outcome == pb.STAGE_OUTCOME_FELL_BACK
    assert notes.INEXACT in report.notes
    assert sorted(order) == sorted(TEXTS)


async def test_what_was_sorted_before_the_deadline_stands(servers: Servers, endpoint: Endpoint) -> None:
    endpoint.replies = [openai_reply(["[2] > [1]"]), Reply(ending="hanging")]
    stage = 'plugin = "listwise"\nwindow = 2\nstride = 1'
    order, report, found = await _ranked(servers, endpoint, stage, timeout=3)
    assert report.outcome == pb.STAGE_OUTCOME_PARTIAL
    prior = {hit.passage.document_id: hit.stage_scores[0].rank for hit in found.hits}
    assert [prior[each] for each in order] == [1, 2, 4, 3]
