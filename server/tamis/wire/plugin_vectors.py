"""Weights of terms and vectors of tokens, as remote embedders send them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from tamis.models import Float32Array, SparseVector
from tamis.v1 import plugin_service_pb2 as pb
from tamis.wire.portions import portions

__all__ = ["sparse_responses", "to_sparse", "to_tokens", "token_responses"]


def sparse_responses(vectors: Iterable[SparseVector]) -> Iterator[pb.EmbedSparseResponse]:
    """Messages that hold all of them."""
    written = (
        pb.SparseEmbedding(terms=_bytes(each.indices, "<u4"), weights=_bytes(each.values, "<f4")) for each in vectors
    )
    for group in portions((each, each.ByteSize()) for each in written):
        yield pb.EmbedSparseResponse(embeddings=group)


def token_responses(vectors: Iterable[Float32Array]) -> Iterator[pb.EmbedTokensResponse]:
    """Messages that hold all of them."""
    for group in portions((each, 4 * each.size) for each in vectors):
        yield pb.EmbedTokensResponse(
            token_dimension_count=group[0].shape[1],
            embeddings=[pb.TokenEmbeddings(vectors=_bytes(each, "<f4")) for each in group],
        )


def to_sparse(message: pb.SparseEmbedding) -> SparseVector:
    """The weights of a text. Raises `ValueError` for what can be none."""
    terms, weights = np.frombuffer(message.terms, "<u4"), np.frombuffer(message.weights, "<f4")
    if len(terms) != len(weights):
        raise ValueError("as many terms as weights are needed")
    if not (np.diff(terms.astype(np.int64)) > 0).all():
        raise ValueError("terms must rise")
    return SparseVector(terms.astype(np.uint32), _finite(weights))


def to_tokens(message: pb.TokenEmbeddings, dimensions: int) -> Float32Array:
    """The vectors of a text's tokens. Raises `ValueError` for what can be none."""
    if dimensions < 1:
        raise ValueError("vectors have a length")
    return _finite(np.frombuffer(message.vectors, "<f4")).reshape(-1, dimensions)


def _bytes(array: NDArray[np.generic], kind: str) -> bytes:
    return np.ascontiguousarray(array, dtype=kind).tobytes()


def _finite(values: NDArray[np.generic]) -> Float32Array:
    found = values.astype(np.float32)
    if not np.isfinite(found).all():
        raise ValueError("numbers must be finite")
    return found
