"""Token vectors in fewer bytes: a matrix with a row for each token, smaller than the vectors it stands for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from tamis.models import Float32Array

__all__ = ["Compression", "Float16", "Int8", "Rows", "lengths"]

Rows = NDArray[Any]
"""Shape [tokens, row width]."""


class Compression(ABC):
    """How unit vectors are kept. Rows are vectors of nearly the same direction, of `dtype`; where `is_unit`, of unit
    length, too."""

    dtype: ClassVar[np.dtype[Any]]
    is_unit: ClassVar[bool]

    @abstractmethod
    def compressed(self, vectors: Float32Array) -> Rows:
        """The rows of vectors of shape [tokens, dimensions]."""

    def expanded(self, rows: Rows) -> Float32Array:
        """The unit vectors that rows stand for, near enough."""
        vectors = rows.astype(np.float32)
        return vectors if self.is_unit else vectors / lengths(vectors)[:, np.newaxis]


class Float16(Compression):
    """Two bytes a dimension, exact to three digits."""

    dtype, is_unit = np.dtype(np.float16), True

    def compressed(self, vectors: Float32Array) -> Rows:
        return vectors.astype(np.float16)


class Int8(Compression):
    """One byte a dimension: each vector stretched until its largest number is 127, then rounded.

    No scale is kept, since only the direction matters.
    """

    dtype, is_unit = np.dtype(np.int8), False

    def compressed(self, vectors: Float32Array) -> Rows:
        largest = np.abs(vectors).max(axis=1, keepdims=True, initial=1e-30)
        rows: Rows = np.rint(vectors * (127 / largest)).astype(np.int8)
        return rows


def lengths(vectors: Float32Array) -> Float32Array:
    """Of each row, never quite 0."""
    return np.asarray(np.maximum(np.sqrt(np.einsum("td,td->t", vectors, vectors)), 1e-30), dtype=np.float32)
