"""Maximal marginal relevance: the next passage is the one most relevant for how little it repeats those chosen."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tamis.models import Float32Array

__all__ = ["Selection"]

_DECIMALS = 6  # rows that are alike must not be told apart by the order in which a processor adds them up


class Selection:
    """Greedy choice of rows by (1 - diversity) x relevance - diversity x the largest cosine with a row chosen before.

    `vectors` has shape [rows, dimensions], rows of unit length or zero; `relevance` and `names`, by which rows are
    told, have shape [rows]. Ties go to the earlier row; the first choice is the most relevant one at any diversity.

    Carbonell and Goldstein, "The Use of MMR, Diversity-Based Reranking for Reordering Documents and Producing
    Summaries", SIGIR 1998; their lambda is 1 - diversity. Each choice costs one product of the vectors with it.
    """

    def __init__(self, vectors: Float32Array, relevance: NDArray[Any], diversity: float, names: NDArray[Any]) -> None:
        self._vectors, self._diversity, self._names = vectors, diversity, names
        self._relevance = np.round(relevance.astype(np.float64), _DECIMALS)
        self._repeated = np.full(len(vectors), -np.inf)
        self._left = np.ones(len(vectors), dtype=bool)
        self.chosen: list[int] = []
        """The names of the rows chosen so far, best first."""

    def block(self, work: int) -> int:
        """How many choices cost about so many multiplications; at least 1."""
        return max(1, work // max(1, self._vectors.size))

    def extend(self, count: int) -> None:
        """Chooses until `count` rows are chosen, or all. Blocks."""
        while len(self.chosen) < min(count, len(self._vectors)):
            row = int(np.argmax(np.where(self._left, self._gain(), -np.inf)))
            self.chosen.append(int(self._names[row]))
            self._left[row] = False
            if self._diversity:
                cosines = np.round(self._vectors @ self._vectors[row], _DECIMALS)
                np.maximum(self._repeated, cosines, out=self._repeated)

    def _gain(self) -> NDArray[Any]:
        if not self.chosen or not self._diversity:
            return self._relevance
        return (1.0 - self._diversity) * self._relevance - self._diversity * self._repeated
