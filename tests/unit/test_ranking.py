"""Rankings keep where their hits come from."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tamis.fusion import ReciprocalRankFusion
from tamis.model import Candidate, Passage, ScoreKind
from tamis.ranking import Ranking, from_candidates, from_passages, fused, reranked
from tamis.stage import Reranking


def _passages(count: int) -> list[Passage]:
    return [Passage(f"p{number}", f"d{number}", 1, f"text {number}") for number in range(count)]


def _retrieved(stage: str, ids: list[str]) -> Ranking:
    candidates = [Candidate(each, 1, float(len(ids) - place), ScoreKind.BM25) for place, each in enumerate(ids)]
    return from_candidates(stage, candidates, {each: Passage(each, each, 1, each) for each in ids})


def test_candidates_without_their_passage_are_left_out_and_ranks_stay_dense() -> None:
    candidates = [Candidate(each, 1, 1.0, ScoreKind.COSINE) for each in ("gone", "p0", "p1")]
    hits = from_candidates("dense", candidates, {each.id: each for each in _passages(2)})
    assert [(hit.passage.id, hit.stage_scores[0].rank) for hit in hits] == [("p0", 1), ("p1", 2)]


@given(st.lists(st.one_of(st.none(), st.floats(-5, 5)), max_size=8))
def test_a_reranking_keeps_every_hit_scored_ones_first(scores: list[float | None]) -> None:
    prior = from_passages(_passages(len(scores)))
    count = sum(score is not None for score in scores)
    ranking = reranked("late", prior, Reranking(tuple(scores), count), ScoreKind.MAX_SIM)
    assert sorted(hit.passage.id for hit in ranking) == sorted(hit.passage.id for hit in prior)
    ranked = [hit.score for hit in ranking[:count]]
    assert ranked == sorted((score for score in scores if score is not None), reverse=True)
    left = [hit.passage.id for hit in ranking[count:]]
    assert left == [hit.passage.id for hit, score in zip(prior, scores, strict=True) if score is None]


def test_what_a_window_from_the_back_has_not_reached_has_no_score_of_another_kind() -> None:
    prior = _retrieved("bm25", ["a", "b", "c", "d"])
    window = Reranking((None,) * 4, 2, (0, 2, 1, 3), frozenset({1, 2}))
    ranking = reranked("llm", prior, window, ScoreKind.NONE)
    assert [(hit.passage.id, hit.score, hit.kind) for hit in ranking] == [
        ("a", None, ScoreKind.NONE),
        ("c", None, ScoreKind.NONE),
        ("b", None, ScoreKind.NONE),
        ("d", 1.0, ScoreKind.BM25),
    ]
    ranks = [[(each.stage, each.rank) for each in hit.stage_scores] for hit in ranking]
    assert ranks == [[("bm25", 1)], [("bm25", 3), ("llm", 2)], [("bm25", 2), ("llm", 3)], [("bm25", 4)]]


def test_what_a_reranker_did_not_rank_keeps_its_score_and_kind() -> None:
    prior = _retrieved("bm25", ["a", "b"])
    ranking = reranked("late", prior, Reranking((None, 0.5), 1), ScoreKind.MAX_SIM)
    assert [(hit.passage.id, hit.score, hit.kind) for hit in ranking] == [
        ("b", 0.5, ScoreKind.MAX_SIM),
        ("a", 2.0, ScoreKind.BM25),
    ]
    assert [score.stage for score in ranking[0].stage_scores] == ["bm25", "late"]
    assert [score.stage for score in ranking[1].stage_scores] == ["bm25"]


def test_a_listwise_reranking_gives_ranks_without_scores() -> None:
    ranking = reranked("llm", _retrieved("bm25", ["a", "b"]), Reranking((None, None), 2, (1, 0)), ScoreKind.NONE)
    assert [(hit.passage.id, hit.score, hit.stage_scores[-1].rank) for hit in ranking] == [
        ("b", None, 1),
        ("a", None, 2),
    ]


@given(st.lists(st.sampled_from("abcdef"), unique=True), st.lists(st.sampled_from("abcdef"), unique=True))
def test_a_fused_hit_knows_what_every_side_made_of_it(first: list[str], second: list[str]) -> None:
    sides = {"x": _retrieved("x", first), "y": _retrieved("y", second)}
    for rank, hit in enumerate(fused("x | y", sides, ReciprocalRankFusion()), 1):
        ranks = {score.stage: score.rank for score in hit.stage_scores}
        assert ranks.get("x") == (first.index(hit.passage.id) + 1 if hit.passage.id in first else None)
        assert ranks.get("y") == (second.index(hit.passage.id) + 1 if hit.passage.id in second else None)
        assert ranks["x | y"] == rank
        assert sum(part.value for part in hit.stage_scores[-1].contributions) == pytest.approx(hit.score)
