"""What of a ranking the caller sees, and in which order: thresholds, boosts, sorting, groups, pages."""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, TypeAlias, Union

from tamis.filters import Filter, leaves, matches, order_key
from tamis.model import Contribution, Hit, Passage, ScoreKind, StageScore, Value
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


_SortValue: TypeAlias = Union[tuple[int, object], None]


@dataclass(frozen=True, slots=True)
class _Reading:
    """Of one document: what each boost adds, and the value of each sort key."""

    worths: tuple[float, ...]
    keys: tuple[_SortValue, ...]


class _Boosted(NamedTuple):
    """What boosts made of a hit that was at `prior_rank` and, mapped, worth `base`."""

    total: float
    prior_rank: int
    base: float
    worths: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class _Arranged:
    """Hits by falling boosted score, as the stages left them; what is by passage id is empty without boosts."""

    hits: Ranking
    boosted: Mapping[str, _Boosted]
    ranks: Mapping[str, int]

    def shown(self, hit: Hit) -> Hit:
        """The hit with what boosts made of it. Made only for the page: there may be thousands more."""
        if (found := self.boosted.get(hit.passage.id)) is None:
            return hit
        prior = Contribution("prior", found.prior_rank, found.base)
        added = (Contribution(f"{BOOSTS}[{place}]", 0, worth) for place, worth in enumerate(found.worths))
        rank = self.ranks[hit.passage.id]
        entry = StageScore(BOOSTS, rank, found.total, ScoreKind.NORMALIZED, (prior, *added))
        return replace(hit, score=found.total, kind=entry.kind, stage_scores=(*hit.stage_scores, entry))


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
    _readings: dict[tuple[str, int], _Reading] = field(default_factory=dict, init=False, repr=False, compare=False)

    def page(self, ranking: Ranking) -> Ranking:
        """The hits of the page. Idempotent only for a first page without boosts."""
        if self._is_plain:
            return ranking[self.offset : self.offset + self.limit]
        arranged = self._boosted(self._good_enough(ranking))
        units = self._units(arranged)[self.offset : self.offset + self.limit]
        return tuple(arranged.shown(hit) for unit in units for hit in unit)

    def next_offset(self, ranking: Ranking) -> int | None:
        """Where the next page begins; None when there is none."""
        end = self.offset + self.limit
        if self._is_plain:
            return end if len(ranking) > end else None
        return end if len(self._units(self._boosted(self._good_enough(ranking)))) > end else None

    def read(self, passage: Passage) -> _Reading:
        """What boosts and sort keys make of a passage's document: worked out once, as it costs more than the rest."""
        key = passage.document_id, passage.document_version
        if (known := self._readings.get(key)) is None:
            worths = tuple(each.weight * each.kind.value(passage.metadata, self.now) for each in self.boosts)
            keys = tuple(_sort_value(passage.metadata, each) for each in self.sort_keys)
            known = self._readings[key] = _Reading(worths, keys)
        return known

    @property
    def reads(self) -> bool:
        """Whether boosts or sort keys look at documents at all."""
        return bool(self.boosts or self.sort_keys)

    @property
    def _is_plain(self) -> bool:
        """Whether a page is just a part of the ranking."""
        return not (self.thresholds or self.boosts or self.sort_keys or self.document_limit or self.grouped)

    def _units(self, arranged: _Arranged) -> Sequence[Ranking]:
        """What is paged over: single hits, or the hits of one document."""
        hits = self._limited(self._sorted(arranged.hits))
        if not self.grouped:
            return [(hit,) for hit in hits]
        groups: dict[str, list[Hit]] = {}
        for hit in hits:
            groups.setdefault(hit.passage.document_id, []).append(hit)
        return [tuple(each) for each in groups.values()]

    def _good_enough(self, ranking: Ranking) -> Ranking:
        if not self.thresholds:
            return ranking
        return tuple(hit for hit in ranking if all(_reaches(hit, *each) for each in self.thresholds.items()))

    def _boosted(self, ranking: Ranking) -> _Arranged:
        if not self.boosts:
            return _Arranged(ranking, {}, {})
        boosted = {}
        for rank, (hit, base) in enumerate(zip(ranking, _mapped(ranking), strict=True), 1):
            worths = self.read(hit.passage).worths
            boosted[hit.passage.id] = _Boosted(math.fsum((base, *worths)), rank, base, worths)
        hits = tuple(sorted(ranking, key=lambda hit: -boosted[hit.passage.id].total))
        ranks = {hit.passage.id: rank for rank, hit in enumerate(hits, 1)}
        return _Arranged(hits, boosted, ranks)

    def _sorted(self, ranking: Ranking) -> Ranking:
        hits = list(ranking)
        for place in reversed(range(len(self.sort_keys))):
            found = [(self.read(hit.passage).keys[place], hit) for hit in hits]
            hits = _sorted_by(found, self.sort_keys[place].descending)
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


def _last_stage(hit: Hit) -> Sequence[str]:
    return [each.stage for each in hit.stage_scores[-1:]]


def _mapped(ranking: Ranking) -> Sequence[float]:
    """The final scores from 0 to 1: by their distance where one stage gave them all, else by rank."""
    scores = [hit.score for hit in ranking if hit.score is not None]
    if len(scores) < len(ranking) or len({(hit.kind, *_last_stage(hit)) for hit in ranking}) > 1:
        return [1.0 - place / len(ranking) for place in range(len(ranking))]
    low, width = min(scores, default=0.0), max(scores, default=0.0) / 2 - min(scores, default=0.0) / 2
    return [(each / 2 - low / 2) / width if width else 1.0 for each in scores]


def _sorted_by(found: Sequence[tuple[_SortValue, Hit]], descending: bool) -> list[Hit]:
    """Stable: what has equal values, or none, keeps its order."""
    valued = [(value, hit) for value, hit in found if value is not None]
    valued.sort(key=lambda pair: pair[0], reverse=descending)
    return [*(hit for _, hit in valued), *(hit for value, hit in found if value is None)]


def _sort_value(metadata: Mapping[str, Value], key: SortKey) -> _SortValue:
    choose: Callable[..., tuple[int, object]] = max if key.descending else min
    values = [order_key(each) for each in leaves(metadata, key.path) if each is not None]
    return choose(values) if values else None
