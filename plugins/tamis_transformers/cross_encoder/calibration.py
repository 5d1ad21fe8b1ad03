"""Fits the temperature at which a cross-encoder's scores are probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["fit_temperature"]

_COLDEST, _HOTTEST = 1e-3, 1e3
_Floats: TypeAlias = NDArray[np.float64]


def fit_temperature(logits: Sequence[float], labels: Sequence[float]) -> float:
    """The temperature at which sigmoid(logit / temperature) is likeliest to have given the labels.

    `logits` are scores of judged pairs, `labels` their relevance: 0 or 1, or a probability between. The order of
    scores does not change. Guo et al., "On Calibration of Modern Neural Networks", 2017. Between 0.001 and 1000;
    raises `ValueError` for other input, and for pairs that none fits: logits that do not rise with the labels, or that
    separate them without an error, which any colder one would fit better.
    """
    x, y = np.asarray(logits, dtype=np.float64), np.asarray(labels, dtype=np.float64)
    if x.ndim != 1 or x.shape != y.shape or not x.size:
        raise ValueError("as many labels as logits, and at least one")
    if not np.isfinite(x).all() or not ((y >= 0) & (y <= 1)).all():
        raise ValueError("logits are finite, and labels between 0 and 1")
    low, high = 1 / _HOTTEST, 1 / _COLDEST
    if _slope(low, x, y) >= 0:
        raise ValueError("the logits do not rise with the labels")
    if _slope(high, x, y) <= 0:
        raise ValueError("the logits separate the labels without an error; more pairs are needed")
    for _ in range(200):  # the loss is convex in the temperature's inverse
        middle = (low * high) ** 0.5
        low, high = (middle, high) if _slope(middle, x, y) < 0 else (low, middle)
    return float(1 / (low * high) ** 0.5)


def _slope(inverse: float, x: _Floats, y: _Floats) -> float:
    """Of the cross-entropy, by the temperature's inverse."""
    return float(np.sum((0.5 * (1 + np.tanh(inverse * x / 2)) - y) * x))
