"""When the rest of a ranking need not be read: how many of it are still expected among the first."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["Calibration", "looks", "newcomers"]

_Floats = NDArray[np.float64]
_LIMITS = np.concatenate([np.geomspace(30.0, 1e-6, 60), [-1.0]])  # at the last one everything is read


def looks(count: int, top_n: int, step: int) -> Iterator[int]:
    """After how many passages of `count` to ask whether to go on: `step` at a time at first, later a quarter more."""
    reached = max(step, top_n)
    while reached < count:
        yield reached
        reached += max(step, reached // 4)
    yield count


def newcomers(scores: Sequence[float], count: int, top_n: int) -> float:
    """How many of the passages not read yet are expected to have a score above the `top_n`-th best so far.

    `scores` are those of the passages read, in the prior order, `count` is of all. Scores are taken to fall with the
    logarithm of the prior rank, and to scatter about that line as they have done so far (a logistic distribution).
    """
    read = np.asarray(scores, dtype=np.float64)
    if len(read) >= count:
        return 0.0
    if len(read) < max(top_n, 3):
        return math.inf
    least = np.partition(read, -top_n)[-top_n]
    ranks = np.log(np.arange(1, count + 1))
    seen, left = ranks[: len(read)] - ranks[: len(read)].mean(), ranks[len(read) :] - ranks[: len(read)].mean()
    slope = min(float(seen @ read / (seen @ seen)), 0.0)  # a prior order that says nothing is one without a slope
    deviation = float(np.std(read - slope * seen)) or 1e-9
    away = (least - read.mean() - slope * left) / deviation
    return float(np.sum(1 / (1 + np.exp(np.clip(1.702 * away, -500, 500)))))


class Calibration:
    """Learns from queries of which everything was read at how many expected newcomers to stop.

    Angelopoulos, Bates, Fisch, Lei and Schuster, "Conformal Risk Control", 2024: if the queries to come are like those
    learnt from, of the first `top_n` by the reranker's own order no greater share is missing on average than the risk.
    The latest `most` queries count, each once.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._losses: OrderedDict[bytes, _Floats] = OrderedDict()
        self._sum = np.zeros(len(_LIMITS))

    def __len__(self) -> int:
        return len(self._losses)

    def add(self, query: bytes, scores: Sequence[float], top_n: int, step: int) -> None:
        """Learns from the scores of all passages of a query, in the prior order; `query` names it."""
        if (former := self._losses.pop(query, None)) is not None:
            self._sum -= former
        losses = _losses(scores, top_n, step)
        self._losses[query] = losses
        self._sum += losses
        if len(self._losses) > self._most:
            self._sum -= self._losses.popitem(last=False)[1]

    def limit(self, risk: float) -> float:
        """At how many expected newcomers, or fewer, not to read on; negative as long as everything has to be read."""
        bounds = (self._sum + 1.0) / (len(self) + 1)
        return float(_LIMITS[np.argmax(bounds <= risk)]) if (bounds <= risk).any() else -1.0


def _losses(scores: Sequence[float], top_n: int, step: int) -> _Floats:
    """The share of the first `top_n` that each limit would have missed."""
    count = len(scores)
    best = np.argsort(-np.asarray(scores), kind="stable")[:top_n]
    reached = list(looks(count, top_n, step))
    expected = [newcomers(scores[:each], count, top_n) for each in reached]
    missed = [float(np.mean(best >= each)) for each in reached]
    least = np.minimum.accumulate(expected)
    return np.array([missed[int(np.argmax(least <= limit))] if limit >= 0 else 0.0 for limit in _LIMITS])
