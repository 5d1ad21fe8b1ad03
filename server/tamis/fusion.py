"""Merges several orders into one, and says what each added."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from tamis.model import Contribution, ScoreKind

__all__ = ["Fused", "Fusion", "FusionSettings", "NormalizedFusion", "ReciprocalRankFusion", "Side"]


@dataclass(frozen=True, slots=True)
class Side:
    """One order to be merged: passage ids, best first, each once, with the side's own scores where it has any."""

    name: str
    ranking: Sequence[tuple[str, float | None]]


@dataclass(frozen=True, slots=True)
class Fused:
    """A passage's fused score: the sum of its contributions."""

    passage_id: str
    score: float
    contributions: tuple[Contribution, ...]


@dataclass(frozen=True, slots=True)
class Fusion(ABC):
    """Merges by adding up what each side contributes. A side without a weight weighs 1.

    Every passage of every side comes out once, best first; ties go to the better best rank, then to the smaller id, so
    that the order of the sides never matters.
    """

    kind: ClassVar[ScoreKind]
    weights: Mapping[str, float] = field(default_factory=dict)

    @abstractmethod
    def values(self, side: Side) -> Sequence[float]:
        """What each passage of a side is worth before the side's weight, falling with the rank."""

    @abstractmethod
    def describe(self) -> str:
        """The fusion in words: `rrf k=60`."""

    def fuse(self, sides: Sequence[Side]) -> list[Fused]:
        """All passages of all sides, by falling score."""
        found: dict[str, list[Contribution]] = {}
        for side in sorted(sides, key=lambda each: each.name):
            weight = self.weights.get(side.name, 1.0)
            for rank, ((passage_id, _), value) in enumerate(zip(side.ranking, self.values(side), strict=True), 1):
                found.setdefault(passage_id, []).append(Contribution(side.name, rank, weight * value))
        fused = [Fused(key, math.fsum(each.value for each in parts), tuple(parts)) for key, parts in found.items()]
        return sorted(fused, key=lambda each: (-each.score, min(c.rank for c in each.contributions), each.passage_id))

    def _weights_in_words(self) -> str:
        return "".join(f" {name}={weight:g}" for name, weight in sorted(self.weights.items()))


@dataclass(frozen=True, slots=True)
class ReciprocalRankFusion(Fusion):
    """Adds up weight / (k + rank). Cormack, Clarke and Büttcher, "Reciprocal Rank Fusion", SIGIR 2009."""

    kind = ScoreKind.RANK_FUSION
    k: float = 60.0

    def values(self, side: Side) -> Sequence[float]:
        return [1.0 / (self.k + rank) for rank in range(1, len(side.ranking) + 1)]

    def describe(self) -> str:
        return f"rrf k={self.k:g}{self._weights_in_words()}"


@dataclass(frozen=True, slots=True)
class NormalizedFusion(Fusion):
    """Adds up weighted scores, each side first brought to one scale; what a side did not find adds nothing.

    `min_max` maps a side's scores to 0..1 (Fox and Shaw, "Combination of Multiple Searches", TREC-2, 1994). `z_score`
    counts standard deviations above the side's lowest score, so that it is never negative either. A passage without a
    score stands below all scored ones of its side and is worth 0; a side without any score counts by rank instead.
    """

    kind = ScoreKind.NORMALIZED
    method: Literal["min_max", "z_score"] = "min_max"

    def values(self, side: Side) -> Sequence[float]:
        scores = [score for _, score in side.ranking if score is not None]
        if not scores:
            count = len(side.ranking)
            return [1.0 - rank / count for rank in range(count)]
        low, width = min(scores), max(scores) / 2 - min(scores) / 2  # halved, so that the widest does not overflow
        if not width:
            return [0.0 if score is None else 1.0 for _, score in side.ranking]
        placed = [None if score is None else (score / 2 - low / 2) / width for _, score in side.ranking]
        scale = self._scale([each for each in placed if each is not None])
        return [0.0 if each is None else each / scale for each in placed]

    def describe(self) -> str:
        return f"{self.method}{self._weights_in_words()}"

    def _scale(self, scores: Sequence[float]) -> float:
        """What a score from 0 to 1 is divided by."""
        if self.method == "min_max":
            return 1.0
        mean = math.fsum(scores) / len(scores)
        return math.sqrt(math.fsum((score - mean) ** 2 for score in scores) / len(scores))


class FusionSettings(BaseModel):
    """The table `[pipelines.NAME.fusion]`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["rrf", "min_max", "z_score"] = "rrf"
    k: Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)] = 60.0
    weights: dict[str, Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)]] = {}

    def build(self) -> Fusion:
        """The fusion these settings describe."""
        if self.kind == "rrf":
            return ReciprocalRankFusion(self.weights, self.k)
        return NormalizedFusion(self.weights, self.kind)
