"""The kernel against the plain loop, and vectors in fewer bytes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tamis_transformers.late_interaction import max_sim, max_sims
from tamis_transformers.late_interaction.compression import Compression, Float16, Int8

COMPRESSIONS = [Float16(), Int8()]


def unit_vectors(count: int, dimensions: int, seed: int) -> np.ndarray:
    vectors = np.random.default_rng(seed).standard_normal((count, dimensions)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.mark.parametrize("compression", COMPRESSIONS)
@settings(max_examples=40)
@given(
    lengths=st.lists(st.integers(0, 3_000) | st.integers(0, 9), max_size=8),
    query_length=st.integers(0, 5),
    seed=st.integers(0, 99),
)
def test_the_kernel_equals_the_plain_loop(
    compression: Compression, lengths: list[int], query_length: int, seed: int
) -> None:
    query = unit_vectors(query_length, 4, seed)
    rows = [compression.compressed(unit_vectors(length, 4, seed + number)) for number, length in enumerate(lengths)]
    expected = [max_sim(query, compression.expanded(each)) for each in rows]
    assert np.allclose(max_sims(query, rows, compression), expected, atol=1e-4)


@pytest.mark.parametrize(("compression", "least", "width"), [(Float16(), 0.9998, 256), (Int8(), 0.9999, 128)])
def test_compressed_vectors_keep_their_direction_and_their_length(
    compression: Compression, least: float, width: int
) -> None:
    vectors = unit_vectors(500, 128, 0)
    rows = compression.compressed(vectors)
    found = compression.expanded(rows)
    assert rows.nbytes == 500 * width
    assert ((vectors * found).sum(axis=1) > least).all()
    assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-3)


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_no_vectors_and_vectors_of_nothing_stay_finite(compression: Compression) -> None:
    none, zero = np.zeros((0, 4), np.float32), np.zeros((2, 4), np.float32)
    assert compression.expanded(compression.compressed(none)).shape == (0, 4)
    assert np.isfinite(compression.expanded(compression.compressed(zero))).all()
