"""MaxSim: the sum over a query's tokens of the best match among a passage's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from tamis.models import Float32Array
from tamis_transformers.late_interaction.compression import Compression, Rows, lengths

__all__ = ["max_sim", "max_sims"]

_BLOCK = 512


def max_sim(query: Float32Array, passage: Float32Array) -> float:
    """The sum over query tokens of the best cosine with a passage token; 0 when either has no token.

    Shapes [query tokens, dimensions] and [passage tokens, dimensions], rows of unit length.
    """
    if not len(query) or not len(passage):
        return 0.0
    return float((query @ passage.T).max(axis=1).sum())


def max_sims(query: Float32Array, passages: Sequence[Rows], compression: Compression) -> Float32Array:
    """`max_sim` of each passage, in their order: one product of matrices for a block of passages.

    No more than some hundred tokens, or one longer passage, are expanded at a time, always in the same memory.
    """
    scores = np.zeros(len(passages), dtype=np.float32)
    if not len(query) or not passages:
        return scores
    buffer = np.empty((max(_BLOCK, *map(len, passages)), query.shape[1]), dtype=np.float32)
    turned = np.ascontiguousarray(query.T)
    for block in _blocks(passages):
        starts = np.cumsum([0, *(len(passages[index]) for index in block)])
        vectors = buffer[: starts[-1]]
        for index, start in zip(block, starts, strict=False):
            vectors[start : start + len(passages[index])] = passages[index]
        matches = vectors @ turned
        if not compression.is_unit:  # cheaper here than for the vectors, which are longer than the query
            matches /= lengths(vectors)[:, np.newaxis]
        scores[block] = np.maximum.reduceat(matches, starts[:-1], axis=0).sum(axis=1)
    return scores


def _blocks(passages: Sequence[Rows]) -> Iterator[list[int]]:
    """Indices of passages with about `_BLOCK` tokens together; those without any, whose score is 0, are left out."""
    block: list[int] = []
    count = 0
    for index, passage in enumerate(passages):
        if block and count + len(passage) > _BLOCK:
            yield block
            block, count = [], 0
        if len(passage):
            block.append(index)
            count += len(passage)
    if block:
        yield block
