"""What providers bill, from the endpoint's answer to the money in the last event."""

from __future__ import annotations

from hosted_endpoint import base_url, reranking_endpoint
from real_server import Servers
from scripted_endpoint import endpoint_running, openai_reply

from tamis.v1 import passage_pb2 as pb

TEXTS = {"kettle": "The kettle sings when the water boils.", "pan": "An iron pan wants oil, says the kettle."}


def _nanos(usage: pb.Usage) -> int:
    assert usage.cost.currency_code == "USD"
    return int(usage.cost.units * 10**9 + usage.cost.nanos)


async def test_the_total_is_the_sum_of_what_the_stages_cost(servers: Servers) -> None:
    with reranking_endpoint("cohere") as reranker, endpoint_running() as writer:
        writer.replies = [openai_reply(["The ket", "tle sings ", "[1", "]."])]
        stages = f"""
[models.remote]
plugin = "openai"
base_url = "{writer.url}/v1"
model = "m"
product = "openai/gpt-4.1-mini"
[stages.words]
plugin = "fake-memory"
[stages.better]
plugin = "cohere"
base_url = "{base_url("cohere", reranker)}"
product = "cohere/rerank-v3.5"
[stages.answer]
plugin = "llm"
llm = "remote"
[pipelines.default]
expression = "words % 50 >> better >> answer"
"""
        async with servers.start(stages) as client:
            await client.fill(TEXTS)
            events = await client.events("When does the kettle sing?")
    completed = events[-1].completed
    costs = {each.stage: _nanos(each.usage) for each in completed.stage_reports if each.usage.HasField("cost")}
    assert costs == {"better": 2_000_000, "answer": 10 * 400 + 4 * 1_600}
    assert _nanos(completed.usage) == sum(costs.values())
    assert completed.usage.HasField("model_duration")


async def test_an_endpoint_of_ones_own_costs_no_money(servers: Servers) -> None:
    with reranking_endpoint("tei") as reranker:
        stages = f"""
[stages.words]
plugin = "fake-memory"
[stages.better]
plugin = "tei"
base_url = "{reranker.url}"
[pipelines.default]
expression = "words % 50 >> better"
"""
        async with servers.start(stages) as client:
            await client.fill(TEXTS)
            found = await client.search("When does the kettle sing?")
    assert found.hits[0].passage.document_id == "kettle"
    assert found.usage.pair_count == 2
    assert not found.usage.HasField("cost")
