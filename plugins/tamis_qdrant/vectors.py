"""The named vectors of a Qdrant collection: how texts become each of them."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, ClassVar, TypeAlias

import numpy as np

from tamis.context import Call
from tamis.model import ScoreKind
from tamis.models import Embedder, EmbedsSparse, EmbedsTokens, Float32Array, SparseVector, TextKind
from tamis_qdrant.words import Analyzer

__all__ = ["DenseVectors", "LearnedSparseVectors", "NamedVectors", "NotFinite", "TokenVectors", "Vector", "WordVectors"]

Vector: TypeAlias = Float32Array | SparseVector
"""Of one text: [dimensions], or [tokens, dimensions], or weights of terms."""

_BATCH = 64  # texts between two looks at whether anybody still waits


class NotFinite(ValueError):
    """The embedder returned a vector that is not finite, for the text at `place`."""

    def __init__(self, place: int) -> None:
        super().__init__("the embedder returned a vector that is not finite")
        self.place = place


@dataclass(frozen=True)
class NamedVectors(ABC):
    """One vector that every passage of a collection has, under `name`. Equal ones make comparable vectors."""

    name: str
    score_kind: ClassVar[ScoreKind]

    @property
    @abstractmethod
    def definition(self) -> Mapping[str, Any]:
        """What they are made with, as JSON: vectors of equal definitions are comparable."""

    @abstractmethod
    async def encode(
        self, texts: Sequence[str], *, kind: TextKind, language: str, call: Call
    ) -> Sequence[Vector | None]:
        """The vector of each text, None for a text without any. `language` is the collection's, or empty.

        Raises `NotFinite`.
        """


@dataclass(frozen=True)
class DenseVectors(NamedVectors):
    """One vector a text, compared by cosine."""

    embedder: Embedder
    score_kind: ClassVar[ScoreKind] = ScoreKind.COSINE

    @property
    def definition(self) -> Mapping[str, Any]:
        return {"kind": "dense", "size": self.embedder.dimensions, "made_by": self.embedder.fingerprint}

    async def encode(
        self, texts: Sequence[str], *, kind: TextKind, language: str, call: Call
    ) -> Sequence[Vector | None]:
        return _finite(list(await self.embedder.embed(texts, kind=kind, call=call)))


@dataclass(frozen=True)
class TokenVectors(NamedVectors):
    """One vector a token, compared by the sum of the best cosine for each of the query's."""

    embedder: Embedder
    size: int
    score_kind: ClassVar[ScoreKind] = ScoreKind.MAX_SIM

    @classmethod
    async def of(cls, name: str, embedder: Embedder) -> TokenVectors:
        """Asks the embedder once, for how long its vectors are."""
        (probe,) = await _tokens(embedder).embed_tokens(["word"], kind=TextKind.PASSAGE, call=Call())
        return cls(name, embedder, int(probe.shape[1]))

    @property
    def definition(self) -> Mapping[str, Any]:
        return {"kind": "tokens", "size": self.size, "made_by": self.embedder.fingerprint}

    async def encode(
        self, texts: Sequence[str], *, kind: TextKind, language: str, call: Call
    ) -> Sequence[Vector | None]:
        found = _finite(await _tokens(self.embedder).embed_tokens(texts, kind=kind, call=call))
        return [each if len(each) else None for each in found]


@dataclass(frozen=True)
class LearnedSparseVectors(NamedVectors):
    """Weights of terms as a model gives them."""

    embedder: Embedder
    score_kind: ClassVar[ScoreKind] = ScoreKind.LOGIT

    @property
    def definition(self) -> Mapping[str, Any]:
        return {"kind": "learned-sparse", "made_by": self.embedder.fingerprint}

    async def encode(
        self, texts: Sequence[str], *, kind: TextKind, language: str, call: Call
    ) -> Sequence[Vector | None]:
        if not isinstance(self.embedder, EmbedsSparse):
            raise TypeError("the embedder weighs no terms")
        found = await self.embedder.embed_sparse(texts, kind=kind, call=call)
        _finite([each.values for each in found])
        return [each if len(each.indices) else None for each in found]


@dataclass(frozen=True)
class WordVectors(NamedVectors):
    """Weights of words by BM25: saturated frequencies here, the rarity of a word at the server, which knows it.

    Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009. `language` holds for
    collections that have none.
    """

    language: str
    k1: float
    b: float
    average_length: float
    executor: Executor = field(compare=False)
    score_kind: ClassVar[ScoreKind] = ScoreKind.BM25

    @property
    def definition(self) -> Mapping[str, Any]:
        fields = ("language", "k1", "b", "average_length")
        return {"kind": "words", "analysis": 1, **{name: getattr(self, name) for name in fields}}

    async def encode(
        self, texts: Sequence[str], *, kind: TextKind, language: str, call: Call
    ) -> Sequence[Vector | None]:
        loop, found = asyncio.get_running_loop(), list[SparseVector]()
        for start in range(0, len(texts), _BATCH):
            call.check()
            batch = texts[start : start + _BATCH]
            found += await loop.run_in_executor(self.executor, self._weights, batch, kind, language or self.language)
        return [each if len(each.indices) else None for each in found]

    def _weights(self, texts: Sequence[str], kind: TextKind, language: str) -> list[SparseVector]:
        analyzer = _analyzer(language)
        if kind is TextKind.QUERY:
            return [analyzer.query(each) for each in texts]
        k1, b, average = self.k1, self.b, self.average_length
        return [analyzer.passage(each, k1=k1, b=b, average_length=average) for each in texts]


_analyzer = lru_cache(32)(Analyzer)


def _tokens(embedder: Embedder) -> EmbedsTokens:
    if not isinstance(embedder, EmbedsTokens):
        raise TypeError("the embedder gives no token vectors")
    return embedder


def _finite(vectors: list[Float32Array]) -> list[Float32Array]:
    for place, each in enumerate(vectors):
        if not np.isfinite(each).all():
            raise NotFinite(place)
    return vectors
