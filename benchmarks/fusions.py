"""The fusions that are compared: those of the server, those of the literature, and some that adapt to the query."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from leaves import DEPTH, Leaves

from tamis.fusion import Fused, Fusion, FusionSettings, Side
from tamis.model import ScoreKind

__all__ = ["DEFAULT", "SINGLES", "Variant", "variants"]

Shape = Callable[[Sequence[float]], list[float]]
"""What each of a side's scores, best first, is worth."""


@dataclass(frozen=True, slots=True)
class Variant:
    """A way to order the hits of one question. `family` groups variants that differ by a number only."""

    name: str
    family: str
    order: Callable[[Leaves], list[str]]


@dataclass(frozen=True, slots=True)
class Shaped(Fusion):
    """Adds up what a shape makes of each side's scores."""

    kind = ScoreKind.NORMALIZED
    shape: Shape = list
    confidence: Callable[[Sequence[float]], float] | None = None
    agreement: float = 0.0

    def values(self, side: Side) -> list[float]:
        scores = [0.0 if score is None else score for _, score in side.ranking]
        factor = self.confidence(scores) if self.confidence and scores else 1.0
        return [factor * each for each in self.shape(scores)] if scores else []

    def fuse(self, sides: Sequence[Side]) -> list[Fused]:
        fusion = self
        if self.agreement:
            weights = {
                each.name: self.weights.get(each.name, 1.0) * _agreement(each, sides) ** self.agreement
                for each in sides
            }
            fusion = replace(self, weights=weights)
        return Fusion.fuse(fusion, sides)

    def describe(self) -> str:
        return "shaped"


def z_score(scores: Sequence[float], floor: float | None = None) -> list[float]:
    """Standard deviations above the lowest, or above `floor` deviations from the mean."""
    mean, deviation = _moments(scores)
    if not deviation:
        return [1.0] * len(scores)
    low = min(scores) if floor is None else mean + floor * deviation
    return [max(0.0, (each - low) / deviation) for each in scores]


def min_max(scores: Sequence[float]) -> list[float]:
    """Fox and Shaw, 1994."""
    low, high = min(scores), max(scores)
    return [(each - low) / (high - low) if high > low else 1.0 for each in scores]


def of_the_best(scores: Sequence[float]) -> list[float]:
    """Relative to the best: the theoretical least score is 0 (TM2C2: Bruch, Gai and Ingber, 2023)."""
    return [max(0.0, each / scores[0]) if scores[0] > 0 else 1.0 for each in scores]


def fall(scores: Sequence[float]) -> list[float]:
    """How far above the lowest, relative to the best: a side whose scores hardly fall has little to say."""
    return [(each - min(scores)) / scores[0] if scores[0] > 0 else 1.0 for each in scores]


def inverse_square(scores: Sequence[float]) -> list[float]:
    """ISR: Mourão et al., 2014."""
    return [1 / rank**2 for rank in range(1, len(scores) + 1)]


def power(exponent: float) -> Shape:
    """z-scores raised: above 1 the top counts more."""
    return lambda scores: [each**exponent for each in z_score(scores)]


def gap(scores: Sequence[float]) -> float:
    """How many deviations the best stands above the tenth."""
    _, deviation = _moments(scores)
    return (scores[0] - scores[min(9, len(scores) - 1)]) / deviation if deviation else 0.0


def spread(scores: Sequence[float]) -> float:
    """NQC without its constant: deviation over mean (Shtok, Kurland and Carmel, 2009)."""
    mean, deviation = _moments(scores)
    return deviation / mean if mean > 0 else 0.0


def evenness(scores: Sequence[float]) -> float:
    """1 less the entropy of the min-max scores over the most it can be: 0 when all are alike."""
    parts = [each for each in min_max(scores) if each > 0]
    total = sum(parts)
    entropy = -sum(each / total * math.log(each / total) for each in parts)
    return 1.0 - entropy / math.log(len(scores)) if len(scores) > 1 else 0.0


def raised(measure: Callable[[Sequence[float]], float], exponent: float) -> Callable[[Sequence[float]], float]:
    """A softened confidence; never nothing."""
    return lambda scores: (0.05 + max(0.0, measure(scores))) ** exponent


def variants() -> Iterator[Variant]:
    """All of them."""
    yield from SINGLES
    for k in (10, 60):
        yield from _both("rrf", f"rrf k={k}", FusionSettings(kind="rrf", k=k).build())
    for kind in ("min_max", "z_score"):
        for dense in (0.7, 1.0, 1.4, 2.0):
            weights = {} if dense == 1.0 else {"dense": dense}
            name = f"{kind} dense={dense:g}" if weights else kind
            yield from _both(kind, name, FusionSettings(kind=kind, weights=weights).build())
    for late in (0.5, 2.0):
        fusion = FusionSettings(kind="z_score", weights={"late": late}).build()
        yield Variant(f"z_score late={late:g} » blend", "z_score, late weighted", _blend(fusion))
    for dense in (1.0, 1.4):
        weights = {"dense": dense}
        for name, shape in _SHAPES.items():
            yield from _both(name, f"{name} dense={dense:g}", Shaped(weights, shape))
    for name, measure in _CONFIDENCES.items():
        for exponent in (0.5, 1.0):
            for dense in _CONFIDENCE_WEIGHTS[name]:
                fusion = Shaped({"dense": dense}, z_score, raised(measure, exponent))
                yield from _both(f"by {name}", f"z by {name}^{exponent:g} dense={dense:g}", fusion)
    for exponent in (0.5, 1.0):
        yield from _both("by agreement", f"z by agreement^{exponent:g}", Shaped({}, z_score, agreement=exponent))
        yield Variant(f"z by late^{exponent:g} » blend", "by late", _judged_by_late(exponent))
    for exponent in (0.5, 1.0):
        yield Variant(f"three, agreeing^{exponent:g} » blend", "three sides", _three(exponent))
    yield Variant("three sides » blend", "three sides", _three(0.0))


def _both(family: str, name: str, fusion: Fusion) -> Iterator[Variant]:
    """Retrievers alone, and late interaction blended in, or in their place."""
    yield Variant(name, family, lambda leaves: _ids(_first(fusion, leaves)))
    yield Variant(f"{name} » blend", f"{family} » blend", _blend(fusion))
    if name in ("rrf k=60", "z_score"):
        yield Variant(f"{name} » late", f"{family} » late", lambda leaves: _ids_of(leaves.side("late")))


def _first(fusion: Fusion, leaves: Leaves) -> list[Fused]:
    return fusion.fuse([leaves.side("bm25"), leaves.side("dense")])[: 2 * DEPTH]


def _blend(fusion: Fusion) -> Callable[[Leaves], list[str]]:
    def order(leaves: Leaves) -> list[str]:
        prior = Side("prior", [(each.passage_id, each.score) for each in _first(fusion, leaves)])
        return _ids(fusion.fuse([prior, leaves.side("late")]))

    return order


def _judged_by_late(exponent: float) -> Callable[[Leaves], list[str]]:
    """Retrievers weighted by how well late interaction likes their top ten."""

    def order(leaves: Leaves) -> list[str]:
        late = dict(leaves.scores.get("late", []))
        base = Shaped({}, z_score)
        standing = dict(zip(late, z_score(list(late.values())), strict=True)) if late else {}
        weights = {}
        for name in ("bm25", "dense"):
            top = [standing.get(id, 0.0) for id, _ in leaves.scores.get(name, [])[:10]]
            weights[name] = (0.05 + sum(top) / len(top)) ** exponent if top else 1.0
        return _blend_of(replace(base, weights=weights), base, leaves)

    return order


def _blend_of(first: Fusion, second: Fusion, leaves: Leaves) -> list[str]:
    prior = Side("prior", [(each.passage_id, each.score) for each in _first(first, leaves)])
    return _ids(second.fuse([prior, leaves.side("late")]))


def _three(exponent: float) -> Callable[[Leaves], list[str]]:
    fusion = Shaped({}, z_score, agreement=exponent)
    return lambda leaves: _ids(fusion.fuse([leaves.side(each) for each in ("bm25", "dense", "late")]))


def _agreement(side: Side, sides: Sequence[Side]) -> float:
    """The share of a side's first ten that the first ten of the others have, with one more of each."""
    top = {id for id, _ in side.ranking[:10]}
    others = [{id for id, _ in each.ranking[:10]} for each in sides if each.name != side.name]
    shared = sum(len(top & each) for each in others) / len(others) if others else 0.0
    return (1.0 + shared) / 11.0


def _moments(scores: Sequence[float]) -> tuple[float, float]:
    mean = math.fsum(scores) / len(scores)
    return mean, math.sqrt(math.fsum((each - mean) ** 2 for each in scores) / len(scores))


def _ids(fused: Sequence[Fused]) -> list[str]:
    return [each.passage_id for each in fused]


def _ids_of(side: Side) -> list[str]:
    return [id for id, _ in side.ranking]


_SHAPES: dict[str, Shape] = {
    "dbsf": lambda scores: z_score(scores, -3.0),
    "z above 0": lambda scores: z_score(scores, 0.0),
    "z^1.5": power(1.5),
    "tm2c2": of_the_best,
    "fall": fall,
    "isr": inverse_square,
}
_CONFIDENCES: dict[str, Callable[[Sequence[float]], float]] = {"gap": gap, "spread": spread, "evenness": evenness}
_CONFIDENCE_WEIGHTS = {"gap": (1.0,), "spread": (1.0, 2.0), "evenness": (1.0,)}
DEFAULT = "z_score dense=1.4 » blend"
"""What the others are compared with: the pipeline `default` as it is."""
SINGLES = tuple(
    Variant(name, "alone", lambda leaves, name=name: _ids_of(leaves.side(name)))  # type: ignore[misc]
    for name in ("bm25", "dense")
)
