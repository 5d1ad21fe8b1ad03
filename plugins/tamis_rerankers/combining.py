"""Several orders of the same passages as one: by reciprocal ranks, or by the mean of calibrated scores."""

from __future__ import annotations

import math
from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tamis.fusion import ReciprocalRankFusion, Side
from tamis.model import ScoreKind
from tamis.stage import Reranking

__all__ = ["Vote", "by_mean", "by_rank", "calibrated"]


@dataclass(frozen=True, slots=True)
class Vote:
    """What one reranker says, and what that counts. Only the passages it has ranked count."""

    name: str
    weight: float
    kind: ScoreKind
    reranking: Reranking

    def ranking(self, among: Set[int]) -> list[int]:
        """The passages of `among` that it has ranked, best first."""
        ranked = self.reranking.ranked
        return [index for index in self.reranking.order if index in ranked and index in among]


def by_rank(votes: Sequence[Vote], among: Set[int], *, k: float) -> list[tuple[int, float]]:
    """Passages with the weighted sum of their 1 / (k + rank), best first; who has not ranked a passage adds nothing.

    The order of the votes does not matter. Ties go to the better best rank, then to the smaller index.
    """
    fusion = ReciprocalRankFusion({vote.name: vote.weight for vote in votes}, k)
    sides = [Side(vote.name, [(f"{index:08d}", None) for index in vote.ranking(among)]) for vote in votes]
    return [(int(each.passage_id), each.score) for each in fusion.fuse(sides)]


def by_mean(votes: Sequence[Vote], among: Set[int]) -> list[tuple[int, float]]:
    """Passages with the weighted mean of their calibrated scores, from 0 to 1, over those who ranked them; best first.

    The order of the votes does not matter. Ties go to the smaller index.
    """
    values: dict[int, list[tuple[float, float]]] = {}
    for vote in votes:
        ranking = vote.ranking(among)
        scores = [vote.reranking.scores[index] for index in ranking]
        for index, value in zip(ranking, calibrated(scores, vote.kind), strict=True):
            values.setdefault(index, []).append((vote.weight * value, vote.weight))
    means = [
        (index, math.fsum(value for value, _ in parts) / math.fsum(weight for _, weight in parts))
        for index, parts in values.items()
    ]
    return sorted(means, key=lambda each: (-each[1], each[0]))


def calibrated(scores: Sequence[float | None], kind: ScoreKind) -> list[float]:
    """Scores of a list, best first, brought to 0 to 1.

    Probabilities stay, logits go through a sigmoid. Other kinds are standardised within the list, then go through it,
    too, so that the list's mean becomes 0.5. Without scores the ranks count, from nearly 1 falling evenly to nearly 0.
    """
    known = [each for each in scores if each is not None]
    if not known or len(known) < len(scores):
        return [1.0 - (place + 0.5) / len(scores) for place in range(len(scores))]
    if kind is ScoreKind.PROBABILITY:
        return known
    values = np.asarray(known, np.float64)
    return list(map(float, _sigmoid(values if kind is ScoreKind.LOGIT else _standardised(values))))


def _standardised(values: NDArray[Any]) -> NDArray[Any]:
    scaled = values / max(float(np.abs(values).max()), np.finfo(np.float64).tiny)  # the largest squares do not overflow
    spread = float(scaled.std())
    return np.zeros_like(scaled) if spread < 1e-12 else (scaled - scaled.mean()) / spread


def _sigmoid(values: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(0.5 * (1.0 + np.tanh(values / 2)))
