"""Every hit says what every stage made of it, and the figures add up."""

from __future__ import annotations

import math

import pytest
from real_server import Servers, fakes

from tamis.v1 import passage_pb2 as pb


async def test_contributions_add_up_to_the_fused_score_and_ranks_are_positions(servers: Servers) -> None:
    async with servers.start(fakes()) as client:
        await client.fill()
        found = await client.search("a smooth sauce and a knife", "words | more >> (prior | rank)")
    assert len(found.hits) == 4
    for rank, hit in enumerate(found.hits, 1):
        scores = {each.stage: each for each in hit.stage_scores}
        assert list(scores) == ["words", "more", "words | more", "rank", "prior | rank"]
        for fusion in ("words | more", "prior | rank"):
            assert math.fsum(each.value for each in scores[fusion].contributions) == scores[fusion].score
            assert scores[fusion].score_kind == pb.SCORE_KIND_RANK_FUSION
        sides = {each.stage: each for each in scores["prior | rank"].contributions}
        assert sides["prior"].rank == scores["words | more"].rank
        assert sides["rank"].rank == scores["rank"].rank
        assert sides["rank"].value == 1 / (60 + scores["rank"].rank)
        assert scores["prior | rank"].rank == rank
        assert (hit.score, hit.score_kind) == (scores["prior | rank"].score, pb.SCORE_KIND_RANK_FUSION)


async def test_ranks_of_each_stage_are_dense(servers: Servers) -> None:
    async with servers.start(fakes()) as client:
        await client.fill()
        found = await client.search("a smooth sauce and a knife", "words >> rank")
    for stage in ("words", "rank"):
        ranks = [score.rank for hit in found.hits for score in hit.stage_scores if score.stage == stage]
        assert sorted(ranks) == list(range(1, len(found.hits) + 1))


async def test_replacing_scores_by_the_reranker_alone_and_blending_by_both(servers: Servers) -> None:
    async with servers.start(fakes()) as client:
        await client.fill()
        replaced = await client.search("a smooth sauce", "words >> rank")
        blended = await client.search("a smooth sauce", "words >> (prior | rank)")
    assert all(hit.score_kind == pb.SCORE_KIND_LOGIT for hit in replaced.hits)
    assert [hit.score for hit in replaced.hits] == sorted((hit.score for hit in replaced.hits), reverse=True)
    assert all(hit.score_kind == pb.SCORE_KIND_RANK_FUSION for hit in blended.hits)


async def test_a_side_that_did_not_find_a_hit_contributes_nothing(servers: Servers) -> None:
    async with servers.start(fakes()) as client:
        await client.fill()
        found = await client.search("knife sauce", "words % 1 | more % 4")
    contributions = [[each.stage for each in hit.stage_scores[-1].contributions] for hit in found.hits]
    assert sorted(contributions, key=len)[-1] == ["more", "words"]
    assert contributions.count(["more"]) == len(found.hits) - 1


async def test_weights_of_the_pipeline_are_the_weights_of_the_contributions(servers: Servers) -> None:
    weighted = '[pipelines.weighted]\nexpression = "words | more"\nfusion = { weights = { more = 0.25 } }\n'
    async with servers.start(fakes() + weighted) as client:
        await client.fill()
        found = await client.search("sauce", "weighted")
    (first, second) = found.hits[0].stage_scores[-1].contributions
    assert (first.stage, second.stage) == ("more", "words")
    assert first.value == pytest.approx(0.25 * second.value)


async def test_usage_of_the_stages_adds_up(servers: Servers) -> None:
    async with servers.start(fakes()) as client:
        await client.fill()
        found = await client.search("a smooth sauce", "words >> rank")
    assert found.usage.pair_count == sum(each.usage.pair_count for each in found.stage_reports)


async def test_while_a_reranker_runs_only_hits_that_it_has_ranked_are_shown(servers: Servers) -> None:
    texts = {f"d{number:02}": f"sauce {'smooth' if number % 7 == 0 else 'rough'} {number}" for number in range(40)}
    async with servers.start(fakes(rank="seconds = 0.01")) as client:
        await client.fill(texts)
        events = await client.events("smooth sauce of the day 39", "words % 40 >> rank", page_size=5)
    revisions = [each.hits_revised for each in events if each.hits_revised.stage == "rank"]
    assert revisions
    for revised in revisions:
        assert all("rank" in {score.stage for score in hit.stage_scores} for hit in revised.hits)
