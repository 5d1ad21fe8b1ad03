"""What of a ranking the caller sees, and in which order: thresholds, boosts, sorting, groups, pages."""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TypeAlias, Union

from tamis.filters import Filter, leaves, matches, order_key
from tamis.model import Contribution, Hit, ScoreKind, StageScore, Value
from tamis.ranking import Ranking

__all__ = ["BOOSTS", "Boost", "Condition", "Presentation", "Recency", "SortKey"]

BOOSTS = "boosts"
"""The name under which boosts stand among a hit's stage scores."""


@dataclass(frozen=True, slots=True)
class Condition:
    """Worth 1 where the filter holds, else 0."""

    filter: Filter

    def value(self, metadata: Mapping[str, Value], now: datetime) -> float:
        """From 0 to 1."""
        return 1.0 if matches(self.filter, metadata) else 0.0


@dataclass(frozen=True, slots=True)
class Recency:
    """Worth 1 now or in the future, half as much after each half-life; 0 without a timestamp at `path`."""

    path: tuple[str, ...]
    half_life: timedelta

    def value(self, metadata: Mapping[str, Value], now: datetime) -> float:
        """From 0 to 1."""
        instants = [each for each in leaves(metadata, self.path) if isinstance(each, datetime)]
        if not instants:
            return 0.0
        age = max(timedelta(), now - max(instants))
        return float(0.5 ** min(age / self.half_life, 1_000.0))


BoostKind: TypeAlias = Union[Condition, Recency]


@dataclass(frozen=True, slots=True)
class Boost:
    """Adds `weight` times its value to a score that was mapped to 0..1."""

    weight: float
    kind: BoostKind


@dataclass(frozen=True, slots=True)
class SortKey:
    """Orders by the value at `path`; of several the least counts, or the greatest when descending."""

    path: tuple[str, ...]
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Presentation:
    """How one request wants its hits. A pure function of the ranking: the same for every revision of it.

    `limit` and `offset` count hits, or documents when `grouped`. `document_limit` 0 is any number of hits a document.
    """

    limit: int = sys.maxsize
    offset: int = 0
    document_limit: int = 0
    grouped: bool = False
    thresholds: Mapping[ScoreKind, float] = field(default_factory=dict)
    boosts: tuple[Boost, ...] = ()
    sort_keys: tuple[SortKey, ...] = ()
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def page(self, ranking: Ranking) -> Ranking:
        """The hits of the page. Idempotent only for a first page without boosts."""
        units = self._units(ranking)[self.offset : self.offset + self.limit]
        return tuple(hit for unit in units for hit in unit)

    def next_offset(self, ranking: Ranking) -> int | None:
        """Where the next page begins; None when there is none."""
        end = self.offset + self.limit
        return end if len(self._units(ranking)) > end else None

    def _units(self, ranking: Ranking) -> Sequence[Ranking]:
        """What is paged over: single hits, or the hits of one document."""
        arranged = self._limited(self._sorted(self._boosted(self._good_enough(ranking))))
        if not self.grouped:
            return [(hit,) for hit in arranged]
        groups: dict[str, list[Hit]] = {}
        for hit in arranged:
            groups.setdefault(hit.passage.document_id, []).append(hit)
        return [tuple(each) for each in groups.values()]

    def _good_enough(self, ranking: Ranking) -> Ranking:
        if not self.thresholds:
            return ranking
        return tuple(hit for hit in ranking if all(_reaches(hit, *each) for each in self.thresholds.items()))

    def _boosted(self, ranking: Ranking) -> Ranking:
        if not self.boosts:
            return ranking
        boosted = [
            self._with_boosts(hit, rank, base)
            for rank, (hit, base) in enumerate(zip(ranking, _mapped(ranking), strict=True), 1)
        ]
        boosted.sort(key=lambda hit: -(hit.score or 0.0))
        return tuple(
            replace(hit, stage_scores=(*hit.stage_scores[:-1], replace(hit.stage_scores[-1], rank=rank)))
            for rank, hit in enumerate(boosted, 1)
        )

    def _with_boosts(self, hit: Hit, rank: int, base: float) -> Hit:
        parts = [Contribution("prior", rank, base)]
        for place, boost in enumerate(self.boosts):
            worth = boost.weight * boost.kind.value(hit.passage.metadata, self.now)
            parts.append(Contribution(f"{BOOSTS}[{place}]", 0, worth))
        score = math.fsum(each.value for each in parts)
        entry = StageScore(BOOSTS, 0, score, ScoreKind.NORMALIZED, tuple(parts))
        return replace(hit, score=score, kind=ScoreKind.NORMALIZED, stage_scores=(*hit.stage_scores, entry))

    def _sorted(self, ranking: Ranking) -> Ranking:
        hits = list(ranking)
        for key in reversed(self.sort_keys):
            hits = _sorted_by(hits, key)
        return tuple(hits)

    def _limited(self, ranking: Ranking) -> Ranking:
        if not self.document_limit:
            return ranking
        counts: Counter[str] = Counter()
        kept = []
        for hit in ranking:
            counts[hit.passage.document_id] += 1
            if counts[hit.passage.document_id] <= self.document_limit:
                kept.append(hit)
        return tuple(kept)


def _reaches(hit: Hit, kind: ScoreKind, least: float) -> bool:
    """A hit that no stage gave a score of the kind does; else the last such stage decides."""
    scores = [each.score for each in hit.stage_scores if each.kind is kind and each.score is not None]
    return not scores or scores[-1] >= least


def _mapped(ranking: Ranking) -> Sequence[float]:
    """The final scores from 0 to 1: by their distance where all are of one kind, else by rank."""
    scores = [hit.score for hit in ranking if hit.score is not None]
    if len(scores) < len(ranking) or len({hit.kind for hit in ranking}) > 1:
        return [1.0 - place / len(ranking) for place in range(len(ranking))]
    low, width = min(scores, default=0.0), max(scores, default=0.0) / 2 - min(scores, default=0.0) / 2
    return [(each / 2 - low / 2) / width if width else 1.0 for each in scores]


def _sorted_by(hits: Sequence[Hit], key: SortKey) -> list[Hit]:
    """Stable: what has equal values, or none, keeps its order."""
    choose: Callable[..., tuple[int, object]] = max if key.descending else min
    found = [[order_key(each) for each in leaves(hit.passage.metadata, key.path) if each is not None] for hit in hits]
    valued = [(choose(values), hit) for values, hit in zip(found, hits, strict=True) if values]
    valued.sort(key=lambda pair: pair[0], reverse=key.descending)
    return [*(hit for _, hit in valued), *(hit for values, hit in zip(found, hits, strict=True) if not values)]
