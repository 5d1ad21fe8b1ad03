"""Token vectors in fewer bytes: a matrix with a row for each token, smaller than the vectors it stands for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from tamis.models import Float32Array

__all__ = ["Compression", "Float16", "Int8", "Rows"]

Rows = NDArray[Any]
"""Shape [tokens, row width]."""


class Compression(ABC):
    """How unit vectors are kept. What `expanded` gives back has unit length and nearly the same direction."""

    dtype: ClassVar[np.dtype[Any]]

    @abstractmethod
    def compressed(self, vectors: Float32Array) -> Rows:
        """The rows of vectors of shape [tokens, dimensions]."""

    @abstractmethod
    def expanded(self, rows: Rows) -> Float32Array:
        """The vectors of rows, near enough."""


class Float16(Compression):
    """Two bytes a dimension, exact to three digits."""

    dtype = np.dtype(np.float16)

    def compressed(self, vectors: Float32Array) -> Rows:
        return vectors.astype(np.float16)

    def expanded(self, rows: Rows) -> Float32Array:
        return rows.astype(np.float32)


class Int8(Compression):
    """One byte a dimension: each vector stretched until its largest number is 127, then rounded.

    No scale is kept, since only the direction matters: `expanded` brings each row back to unit length.
    """

    dtype = np.dtype(np.int8)

    def compressed(self, vectors: Float32Array) -> Rows:
        largest = np.abs(vectors).max(axis=1, keepdims=True, initial=1e-30)
        rows: Rows = np.rint(vectors * (127 / largest)).astype(np.int8)
        return rows

    def expanded(self, rows: Rows) -> Float32Array:
        vectors = rows.astype(np.float32)
        lengths = np.sqrt(np.einsum("td,td->t", vectors, vectors))
        vectors /= np.maximum(lengths, 1e-30)[:, np.newaxis]
        return vectors
