"""Retrievers by further vectors of a collection on a Qdrant server: words, tokens, other embedders."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any

from pydantic import Field, field_validator

from tamis.component import Capabilities, Ref, Settings
from tamis.context import Call
from tamis.errors import ConfigurationError
from tamis.filters import Operator
from tamis.languages import STEMMERS, stemmer
from tamis.model import Candidate, Query, ScoreKind
from tamis.models import Embedder, EmbedsSparse, EmbedsTokens
from tamis.stage import Retriever
from tamis_qdrant.retriever import QdrantRetriever, SharesIndex
from tamis_qdrant.settings import VectorName
from tamis_qdrant.vectors import DenseVectors, LearnedSparseVectors, NamedVectors, TokenVectors, WordVectors

__all__ = [
    "QdrantDense",
    "QdrantDenseSettings",
    "QdrantLearnedSparse",
    "QdrantLearnedSparseSettings",
    "QdrantSparse",
    "QdrantSparseSettings",
    "QdrantTokens",
    "QdrantTokensSettings",
]


class _Vectors(Retriever, SharesIndex):
    """Searches by vectors that the stage of `index` keeps: it has no index of its own, and never lags behind."""

    def __init__(self, settings: Any) -> None:
        super().__init__(settings)
        self.host: QdrantRetriever = settings.index

    async def open(self) -> None:
        self.host.share(self, await self._vectors())

    async def close(self) -> None:
        self.host.unshare(self)

    async def retrieve(self, query: Query, *, limit: int, call: Call) -> Sequence[Candidate]:
        return await self.host.search(self, query, limit=limit, call=call)

    async def _vectors(self) -> NamedVectors:
        raise NotImplementedError


class QdrantDenseSettings(Settings):
    """`index` names the qdrant stage whose collection also has this embedder's vectors, under the name `vector`."""

    index: Ref[QdrantRetriever]
    embedder: Ref[Embedder]
    vector: VectorName


class QdrantDense(_Vectors):
    """Finds passages by a further embedder's vectors, by cosine."""

    Settings = QdrantDenseSettings
    capabilities = Capabilities(score_kind=ScoreKind.COSINE, filter_operators=frozenset(Operator))

    async def _vectors(self) -> NamedVectors:
        return DenseVectors(self.settings.vector, self.settings.embedder)


class QdrantSparseSettings(Settings):
    """`language` is an ISO 639-1 code and holds for collections that have none. `k1` says how soon more of a word adds
    nothing, `b` how much long passages are held back, `average_length` is how many words a passage has."""

    index: Ref[QdrantRetriever]
    vector: VectorName = "words"
    language: str = "en"
    k1: Annotated[float, Field(gt=0, le=10)] = 1.2
    b: Annotated[float, Field(ge=0, le=1)] = 0.75
    average_length: Annotated[float, Field(gt=0, le=100_000)] = 150.0

    @field_validator("language")
    @classmethod
    def _is_known(cls, language: str) -> str:
        try:
            stemmer(language)
        except ConfigurationError as error:
            raise ValueError(error.message) from None
        return language


class QdrantSparse(_Vectors):
    """Finds passages by their words: BM25 by sparse vectors, with the rarity of a word counted at the server."""

    Settings = QdrantSparseSettings
    capabilities = Capabilities(
        score_kind=ScoreKind.BM25, filter_operators=frozenset(Operator), languages=frozenset(STEMMERS)
    )

    def __init__(self, settings: QdrantSparseSettings) -> None:
        super().__init__(settings)
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="qdrant-words")

    async def close(self) -> None:
        await super().close()
        self._executor.shutdown(wait=True)

    async def _vectors(self) -> NamedVectors:
        it = self.settings
        return WordVectors(it.vector, it.language, it.k1, it.b, it.average_length, self._executor)


class QdrantLearnedSparseSettings(Settings):
    """`embedder` is one that weighs terms."""

    index: Ref[QdrantRetriever]
    embedder: Ref[Embedder]
    vector: VectorName = "learned-sparse"


class QdrantLearnedSparse(_Vectors):
    """Finds passages by weights of terms that a model gives: SPLADE (Formal et al., 2021) and its like."""

    Settings = QdrantLearnedSparseSettings
    capabilities = Capabilities(score_kind=ScoreKind.LOGIT, filter_operators=frozenset(Operator))

    def __init__(self, settings: QdrantLearnedSparseSettings) -> None:
        super().__init__(settings)
        if not isinstance(settings.embedder, EmbedsSparse):
            raise ConfigurationError("embedder names a model that weighs no terms")

    async def open(self) -> None:
        if not isinstance(self.settings.embedder, EmbedsSparse):  # one on another machine knows by now what it can do
            raise ConfigurationError("embedder names a model that weighs no terms")
        await super().open()

    async def _vectors(self) -> NamedVectors:
        return LearnedSparseVectors(self.settings.vector, self.settings.embedder)


class QdrantTokensSettings(Settings):
    """`embedder` is one that gives a vector for each token."""

    index: Ref[QdrantRetriever]
    embedder: Ref[Embedder]
    vector: VectorName = "tokens"


class QdrantTokens(_Vectors):
    """Finds passages by the vectors of their tokens, by late interaction: ColBERT (Khattab and Zaharia, 2020)."""

    Settings = QdrantTokensSettings
    capabilities = Capabilities(score_kind=ScoreKind.MAX_SIM, filter_operators=frozenset(Operator))

    def __init__(self, settings: QdrantTokensSettings) -> None:
        super().__init__(settings)
        if not isinstance(settings.embedder, EmbedsTokens):
            raise ConfigurationError("embedder names a model that gives no token vectors")

    async def open(self) -> None:
        if not isinstance(self.settings.embedder, EmbedsTokens):  # one on another machine knows by now what it can do
            raise ConfigurationError("embedder names a model that gives no token vectors")
        await super().open()

    async def _vectors(self) -> NamedVectors:
        return await TokenVectors.of(self.settings.vector, self.settings.embedder)
