"""Probabilities: a sigmoid, and the temperature that judged pairs ask for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tamis_transformers.cross_encoder.calibration import fit_temperature


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-logits))


@given(temperature=st.floats(0.05, 50), seed=st.integers(0, 1_000))
def test_a_temperature_is_found_again_from_the_probabilities_it_makes(temperature: float, seed: int) -> None:
    logits = np.random.default_rng(seed).normal(0, 3, 50)
    found = fit_temperature(logits.tolist(), _sigmoid(logits / temperature).tolist())
    assert found == pytest.approx(temperature, rel=1e-3)


def test_a_temperature_is_found_again_from_judgments() -> None:
    random = np.random.default_rng(1)
    logits = random.normal(0, 6, 20_000)
    judged = random.random(20_000) < _sigmoid(logits / 2.5)
    assert fit_temperature(logits.tolist(), judged.tolist()) == pytest.approx(2.5, rel=0.05)


@given(st.lists(st.tuples(st.floats(-20, 20), st.booleans()), min_size=1, max_size=30))
def test_no_other_temperature_is_likelier(pairs: list[tuple[float, bool]]) -> None:
    logits, labels = [pair[0] for pair in pairs], [float(pair[1]) for pair in pairs]
    try:
        found = fit_temperature(logits, labels)
    except ValueError:
        return

    def loss(temperature: float) -> float:
        scaled = np.asarray(logits) / temperature
        return float(np.sum(np.logaddexp(0, scaled) - np.asarray(labels) * scaled))

    assert all(loss(found) <= loss(found * other) + 1e-6 for other in (0.8, 0.99, 1.01, 1.25))


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        ([], [], "at least one"),
        ([1.0], [1.0, 0.0], "as many"),
        ([float("nan")], [1.0], "finite"),
        ([1.0], [2.0], "between"),
        ([1.0, -1.0], [0.0, 1.0], "do not rise"),
        ([1.0, -1.0], [1.0, 0.0], "more pairs"),
    ],
)
def test_pairs_that_tell_no_temperature_are_refused(logits: list[float], labels: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fit_temperature(logits, labels)
