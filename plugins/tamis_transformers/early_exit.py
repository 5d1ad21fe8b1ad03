"""Which passages go on to deeper layers, and how all stand meanwhile: laws of scores that come layer by layer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from tamis.stage import Reranking

__all__ = ["Standing", "spread", "staying"]


def staying(scores: Mapping[int, float], top_n: int, margin: float) -> list[int]:
    """Those that can still reach the top: all but who has at least `top_n` others more than `margin` above itself.

    With a margin of `spread(shallow, deep)` or more, nobody leaves who would be among the first `top_n` by the deeper
    scores; with an infinite one nobody leaves at all. Best first; ties go to who came first.
    """
    best_first = sorted(scores, key=lambda index: (-scores[index], index))
    if len(best_first) <= top_n:
        return best_first
    least = scores[best_first[max(top_n, 1) - 1]] - margin
    return [index for index in best_first if scores[index] >= least]


def spread(shallow: Sequence[float], deep: Sequence[float]) -> float:
    """How far two passages' scores can move apart from one layer to another: the widest difference of their changes."""
    changes = [after - before for before, after in zip(shallow, deep, strict=True)]
    return max(changes) - min(changes) if changes else 0.0


class Standing:
    """The order of passages while one layer after the other scores those that are still in.

    Scores of two layers are never compared. At the first layer, whoever has a score stands in front, by falling score.
    At a deeper one, those that have its score by now change places among themselves and nobody else moves; once the
    layer is settled, who went there stands before who left. A passage whose score is lost keeps its place. Ties go to
    who came first.
    """

    def __init__(self, count: int) -> None:
        self._first: list[float | None] = [None] * count
        self._none = (None,) * count
        self._settled: Reranking | None = None
        self._arrived: list[tuple[int, float]] = []
        self.scores: dict[int, float] = {}
        """Those of the last settled layer."""

    def add(self, index: int, score: float) -> Reranking | None:
        """The order after a passage's score at this layer has come; None when the score is not finite."""
        if not math.isfinite(score):
            return None
        self._arrived.append((index, score))
        if self._settled is None:
            self._first[index] = score
            return Reranking(tuple(self._first), len(self._arrived))
        return _Moving(self._none, self._settled, self._arrived)

    def settle(self) -> Reranking | None:
        """The order after a whole layer, with that layer's scores and no others; None when it has given no score."""
        if not self._arrived:
            self.scores = {}
            return None
        scores: list[float | None] = list(self._none)
        for index, score in self._arrived:
            scores[index] = score
        if self._settled is None:
            self._settled = Reranking(tuple(scores), len(self._arrived))
        else:
            moved = _Moving(self._none, self._settled, self._arrived)
            self._settled = Reranking(tuple(scores), moved.ranked_count, moved.order)
        self.scores, self._arrived = dict(self._arrived), []
        return self._settled


class _Moving(Reranking):
    """An order in which those that have arrived have changed places. No scores: they would be of two layers."""

    __slots__ = ("_arrived", "_before", "_count")

    def __init__(self, none: tuple[None, ...], before: Reranking, arrived: list[tuple[int, float]]) -> None:
        super().__init__(none, before.ranked_count)
        self._before, self._arrived, self._count = before, arrived, len(arrived)

    @property
    def order(self) -> tuple[int, ...]:
        if self._order is None:
            order = list(self._before.order)
            places = {index: place for place, index in enumerate(order)}
            arrived = sorted(self._arrived[: self._count], key=lambda each: (-each[1], each[0]))
            for place, (index, _) in zip(sorted(places[index] for index, _ in arrived), arrived, strict=True):
                order[place] = index
            self._order = tuple(order)
        return self._order
