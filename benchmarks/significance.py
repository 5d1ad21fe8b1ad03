"""Whether one order is really better than another: paired resampling, and leaving one collection out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["chosen_elsewhere", "p_value"]

Scores = NDArray[np.float64]


def p_value(differences: Sequence[Scores], samples: int = 2_000) -> float:
    """How often a mean of means at least as far from 0 comes up when each difference's sign is a coin's toss.

    One array of per-question differences for each collection, each collection weighing the same: a paired
    randomisation test (Smucker, Allan and Carterette, CIKM 2007), two-sided, with a fixed seed.
    """
    random = np.random.default_rng(0)
    observed = abs(np.mean([each.mean() for each in differences]))
    total = np.zeros(samples)
    for each in differences:
        signs = random.choice(np.array([-1.0, 1.0]), size=(samples, len(each)))
        total += signs @ each / len(each)
    return float((np.sum(np.abs(total / len(differences)) >= observed - 1e-12) + 1) / (samples + 1))


def chosen_elsewhere(family: Mapping[str, Sequence[float]], held_out: int) -> str:
    """The variant with the best mean over all collections but one; ties go to the one named first."""
    return max(family, key=lambda name: sum(each for place, each in enumerate(family[name]) if place != held_out))
