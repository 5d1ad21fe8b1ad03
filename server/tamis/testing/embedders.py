"""Embedders for tests: deterministic, instant, without weights."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Annotated

import numpy as np
from pydantic import Field

from tamis.component import Capabilities, Settings
from tamis.context import Call
from tamis.model import ScoreKind
from tamis.models import Embedder, Float32Array, SparseVector, TextKind

__all__ = ["HashEmbedder", "HashEmbedderSettings"]


class HashEmbedderSettings(Settings):
    """`size` is the length of the vectors."""

    size: Annotated[int, Field(ge=2)] = 64


class HashEmbedder(Embedder):
    """Adds up one random direction for each word: texts that share words are near. Also gives token vectors
    and weights of terms."""

    Settings = HashEmbedderSettings
    capabilities = Capabilities(score_kind=ScoreKind.COSINE)

    @property
    def dimensions(self) -> int:
        return int(self.settings.size)

    @property
    def max_tokens(self) -> int:
        return 512

    @property
    def fingerprint(self) -> str:
        return f"hash-{self.dimensions}"

    async def embed(self, texts: Sequence[str], *, kind: TextKind, call: Call) -> Float32Array:
        call.check()
        vectors = [self._words(text).sum(axis=0) for text in texts]
        return np.stack([_unit(each) for each in vectors]) if vectors else np.zeros((0, self.dimensions), np.float32)

    async def embed_tokens(self, texts: Sequence[str], *, kind: TextKind, call: Call) -> list[Float32Array]:
        """Unit vectors, one a word."""
        call.check()
        return [np.stack([_unit(each) for each in self._words(text)]) for text in texts]

    async def embed_sparse(self, texts: Sequence[str], *, kind: TextKind, call: Call) -> list[SparseVector]:
        """One term a word, with weight 1."""
        call.check()
        return [_weights(re.findall(r"\w+", text.lower())[: self.max_tokens]) for text in texts]

    @property
    def extra_tokens(self) -> int:
        return 0

    def token_offsets(self, text: str) -> Sequence[tuple[int, int]]:
        """The words."""
        return [match.span() for match in re.finditer(r"\w+", text)]

    def _words(self, text: str) -> Float32Array:
        words = re.findall(r"\w+", text.lower())[: self.max_tokens] or [""]
        return np.stack([self._direction(word) for word in words])

    def _direction(self, word: str) -> Float32Array:
        seed = int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "big")
        return np.random.default_rng(seed).standard_normal(self.dimensions).astype(np.float32)


def _weights(words: Sequence[str]) -> SparseVector:
    terms = sorted({int.from_bytes(hashlib.blake2b(word.encode(), digest_size=4).digest(), "big") for word in words})
    return SparseVector(np.array(terms, np.uint32), np.ones(len(terms), np.float32))


def _unit(vector: Float32Array) -> Float32Array:
    return np.asarray(vector / np.linalg.norm(vector), dtype=np.float32)
