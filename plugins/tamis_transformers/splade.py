"""The embedder that weighs terms: SPLADE."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field

from tamis.component import Capabilities
from tamis.context import Call
from tamis.model import ScoreKind
from tamis.models import Embedder, Float32Array, SparseVector, TextKind
from tamis_transformers.checkpoint import located
from tamis_transformers.query_cache import CachedQueriesSettings, QueryCache
from tamis_transformers.queued_model import QueuedModel

if TYPE_CHECKING:
    from tamis_transformers.term_weigher import TermWeigher, Tokens

__all__ = ["SpladeEmbedder", "SpladeSettings"]


class SpladeSettings(CachedQueriesSettings):
    """`model` is a folder with a masked language model, or a hub id downloaded before. A text keeps the `most_terms`
    that weigh most. `batch_token_count` is a batch's padded size; each token takes a number for every term there is."""

    model: str
    max_tokens: Annotated[int, Field(ge=8)] | None = None
    most_terms: Annotated[int, Field(ge=1)] = 512
    batch_token_count: Annotated[int, Field(ge=64)] = 1_024


class SpladeEmbedder(QueuedModel["TermWeigher", "Tokens", SparseVector], Embedder):
    """Weighs every term of a masked language model's vocabulary. Formal, Piwowarski and Clinchant, "SPLADE", 2021."""

    Settings = SpladeSettings
    capabilities = Capabilities(score_kind=ScoreKind.COSINE)

    def __init__(self, settings: SpladeSettings) -> None:
        super().__init__(settings)
        self._settings = settings
        self._path = located(settings.model)
        self._queries: QueryCache[SparseVector] = QueryCache(settings.query_cache_bytes, _size)

    @property
    def dimensions(self) -> int:
        """As many as there are terms."""
        return self._model.dimensions

    @property
    def max_tokens(self) -> int:
        return self._model.max_tokens

    @property
    def fingerprint(self) -> str:
        return self._model.fingerprint

    async def embed(self, texts: Sequence[str], *, kind: TextKind, call: Call) -> Float32Array:
        """The weights as long vectors of unit length. `embed_sparse` has the same without the zeros."""
        vectors = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        for row, each in enumerate(await self.embed_sparse(texts, kind=kind, call=call)):
            length = float(np.linalg.norm(each.values))
            if length > 0:
                vectors[row, each.indices] = each.values / length
            else:
                vectors[row, 0] = 1.0  # a text without terms needs a direction, too
        return vectors

    async def embed_sparse(self, texts: Sequence[str], *, kind: TextKind, call: Call) -> list[SparseVector]:
        call.check()
        known, left = self._queries.known(texts, kind, call)
        if left:
            wanted = [texts[place] for place in left]
            async with aclosing(self.computed(wanted, self._model.tokenize, len, call)) as stream:
                async for place, vector in stream:
                    self._queries.put(wanted[place], kind, call, vector)
                    known[left[place]] = vector
        return [known[place] for place in range(len(texts))]

    def load(self) -> tuple[TermWeigher, Callable[[Sequence[Tokens]], Sequence[SparseVector]]]:
        from tamis_transformers.term_weigher import TermWeigher

        it = self._settings
        weigher = TermWeigher(
            self._path, device=it.device, dtype=it.dtype, max_tokens=it.max_tokens, most_terms=it.most_terms
        )
        return weigher, weigher.weigh


def _size(vector: SparseVector) -> int:
    return vector.indices.nbytes + vector.values.nbytes
