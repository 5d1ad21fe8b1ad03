"""MaxSim: the sum over a query's tokens of the best match among a passage's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from tamis.models import Float32Array
from tamis_transformers.late_interaction.compression import Compression, Rows

__all__ = ["max_sim", "max_sims"]

_BLOCK = 2_048


def max_sim(query: Float32Array, passage: Float32Array) -> float:
    """The sum over query tokens of the best cosine with a passage token; 0 when either has no token.

    Shapes [query tokens, dimensions] and [passage tokens, dimensions], rows of unit length.
    """
    if not len(query) or not len(passage):
        return 0.0
    return float((query @ passage.T).max(axis=1).sum())


def max_sims(query: Float32Array, passages: Sequence[Rows], compression: Compression) -> Float32Array:
    """`max_sim` of each passage, in their order: one product of matrices for a block of passages.

    No more than a block of some thousand tokens, or one longer passage, is expanded at a time.
    """
    scores = np.zeros(len(passages), dtype=np.float32)
    if len(query):
        for block in _blocks(passages):
            rows = np.concatenate([passages[index] for index in block])
            starts = np.cumsum([0, *(len(passages[index]) for index in block[:-1])])
            matches = query @ compression.expanded(rows).T
            scores[block] = np.maximum.reduceat(matches, starts, axis=1).sum(axis=0)
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
