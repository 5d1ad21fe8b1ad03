"""Rerankers that are made of others, in a server."""

from __future__ import annotations

from real_server import TEXTS, Servers

from tamis.v1 import passage_pb2 as pb
from tamis.v1 import search_service_pb2, value_pb2

STAGES = """
[models.hash]
plugin = "fake-hash"
[stages.words]
plugin = "fake-memory"
[stages.rank]
plugin = "fake-words"
[stages.broken]
plugin = "fake-words"
behaviour = "raises"
[stages.diverse]
plugin = "mmr"
embedder = "hash"
[stages.both]
plugin = "ensemble"
rerankers = ["rank", "diverse"]
[stages.half]
plugin = "ensemble"
rerankers = ["rank", "broken"]
method = "mean"
[stages.none]
plugin = "ensemble"
rerankers = ["broken"]
[pipelines.default]
expression = "words >> both"
"""


async def test_a_reranker_works_in_an_ensemble_and_beside_it(servers: Servers) -> None:
    async with servers.start(STAGES) as client:
        await client.fill()
        found = await client.search("smooth sauce", "words >> rank >> both >> diverse")
    assert [each.outcome for each in found.stage_reports] == [pb.STAGE_OUTCOME_RAN] * 4
    _, rank, both, diverse = found.stage_reports
    assert rank.done_count == both.done_count == diverse.done_count == len(found.hits)
    scores = {each.stage: each.score_kind for each in found.hits[0].stage_scores}
    assert scores["both"] == pb.SCORE_KIND_RANK_FUSION


async def test_an_ensemble_tells_who_failed_and_falls_back_only_when_all_have(servers: Servers) -> None:
    async with servers.start(STAGES) as client:
        await client.fill()
        half = await client.search("smooth sauce", "words >> half")
        none = await client.search("smooth sauce", "words >> none")
    assert half.stage_reports[-1].outcome == pb.STAGE_OUTCOME_RAN
    assert list(half.stage_reports[-1].notes) == ["a reranker of the ensemble failed"]
    assert {each.score_kind for each in half.hits} == {pb.SCORE_KIND_PROBABILITY}
    assert none.stage_reports[-1].outcome == pb.STAGE_OUTCOME_FELL_BACK
    assert {each.passage.id for each in none.hits} == {each.passage.id for each in half.hits}
    assert len(none.hits) < len(TEXTS)


async def test_a_request_decides_how_different_its_hits_are(servers: Servers) -> None:
    texts = {"a": "red apple", "b": "red apple pie", "c": "sky"}
    passages = [pb.Passage(id=key, text=text) for key, text in texts.items()]
    async with servers.start(STAGES) as client:
        orders = []
        for diversity in (0.0, 0.9):
            value = value_pb2.Value(double_value=diversity)
            override = search_service_pb2.StageOverride(stage="diverse", setting="diversity", value=value)
            request = search_service_pb2.RerankRequest(
                query="red apple", passages=passages, pipeline="diverse", stage_overrides=[override]
            )
            response = await client.call(client.searches.Rerank(request, timeout=20))
            orders.append([each.passage.id for each in response.hits])
    assert orders == [["a", "b", "c"], ["a", "c", "b"]]
