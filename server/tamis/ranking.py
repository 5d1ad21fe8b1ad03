"""Hits in order, and how a reranking or a fusion turns some into others without losing where they came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from tamis.fusion import Fusion, Side
from tamis.model import Candidate, Hit, Passage, ScoreKind, StageScore
from tamis.stage import Reranking

__all__ = ["Ranking", "from_candidates", "from_passages", "fused", "reranked"]

Ranking: TypeAlias = tuple[Hit, ...]
"""Hits, best first, each passage once."""


def from_candidates(stage: str, candidates: Sequence[Candidate], passages: Mapping[str, Passage]) -> Ranking:
    """The hits of a retriever. Candidates whose passage is not in `passages` are left out; ranks stay dense."""
    found = [candidate for candidate in candidates if candidate.passage_id in passages]
    return tuple(
        Hit(
            passages[each.passage_id],
            each.score,
            each.kind,
            (StageScore(stage, rank, each.score, each.kind),),
            each.snippet,
            each.highlights,
        )
        for rank, each in enumerate(found, 1)
    )


def from_passages(passages: Sequence[Passage]) -> Ranking:
    """Passages in the order they came, as hits that no stage has seen."""
    return tuple(Hit(passage, None, ScoreKind.NONE) for passage in passages)


def reranked(stage: str, prior: Ranking, reranking: Reranking, kind: ScoreKind) -> Ranking:
    """`prior` in its new order. What stands behind all that the stage ranked keeps the score it had.

    What the stage has not looked at but left among those it has is there by no score at all.
    """
    hits = [prior[index] for index in reranking.order]
    ranked = reranking.ranked
    rank = 0
    for place, index in enumerate(reranking.order):
        if rank == len(ranked):
            break
        hit = hits[place]
        if index not in ranked:
            hits[place] = Hit(hit.passage, None, ScoreKind.NONE, hit.stage_scores, hit.snippet, hit.highlights)
            continue
        rank += 1
        score = reranking.scores[index]
        hit_kind = ScoreKind.NONE if score is None else kind
        scores = (*hit.stage_scores, StageScore(stage, place + 1, score, hit_kind))
        hits[place] = Hit(hit.passage, score, hit_kind, scores, hit.snippet, hit.highlights)
    return tuple(hits)


def fused(stage: str, sides: Mapping[str, Ranking], fusion: Fusion) -> Ranking:
    """All hits of all sides in the fused order, each with every stage score any side knew and its contributions."""
    merged: dict[str, Hit] = {}
    for ranking in sides.values():
        for hit in ranking:
            known = merged.get(hit.passage.id)
            merged[hit.passage.id] = hit if known is None else _merge(known, hit)
    hits = []
    for rank, each in enumerate(fusion.fuse([Side(name, _scores(ranking)) for name, ranking in sides.items()]), 1):
        hit = merged[each.passage_id]
        scores = (*hit.stage_scores, StageScore(stage, rank, each.score, fusion.kind, each.contributions))
        hits.append(Hit(hit.passage, each.score, fusion.kind, scores, hit.snippet, hit.highlights))
    return tuple(hits)


def _scores(ranking: Ranking) -> list[tuple[str, float | None]]:
    """Ids with scores of one kind: what a partial reranking left behind has a score of another kind, so none here."""
    return [(hit.passage.id, hit.score if hit.kind is ranking[0].kind else None) for hit in ranking]


def _merge(known: Hit, other: Hit) -> Hit:
    stages = {score.stage: score for score in (*known.stage_scores, *other.stage_scores)}
    excerpt = known if known.snippet else other
    return replace(known, stage_scores=tuple(stages.values()), snippet=excerpt.snippet, highlights=excerpt.highlights)
