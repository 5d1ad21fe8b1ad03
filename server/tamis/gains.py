"""How much better an order becomes the more candidates a reranker is given."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

__all__ = ["GainCurve"]

_HALF = 10  # candidates


@dataclass(frozen=True, slots=True)
class GainCurve:
    """A gain in nDCG@10 by depth, straight between the measured `points` and flat beyond them.

    Without points it is assumed to diminish: half of all that there is to gain comes from the first ten candidates,
    half of the rest from the next ten, and so on. A depth at which less was gained than at a smaller one counts as that
    one: noise, or a stage that has nothing more to give.
    """

    points: tuple[tuple[int, float], ...] = ()

    @classmethod
    def through(cls, points: Sequence[tuple[int, float]]) -> GainCurve:
        """By measured points. Raises `ValueError` unless depths rise from 0 or more."""
        if not points or points[0][0] < 0 or any(one >= other for (one, _), (other, _) in pairwise(points)):
            raise ValueError("gains are [depth, gain] pairs whose depths rise")
        best = accumulate((gain for _, gain in points), max)
        return cls(tuple((depth, gain) for (depth, _), gain in zip(points, best, strict=True)))

    def at(self, depth: int) -> float:
        """The gain over leaving the stage out; never falls with the depth."""
        if not self.points:
            return 0.03 * (1 - math.pow(2, -depth / _HALF))
        if depth <= 0:
            return 0.0
        below = (0, 0.0)
        for above in self.points:
            if depth <= above[0]:
                share = (depth - below[0]) / max(1, above[0] - below[0])
                return max(0.0, below[1] + share * (above[1] - below[1]))
            below = above
        return max(0.0, below[1])
