"""The embedder plugin for ColBERT checkpoints: a vector for each token, as their authors made them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field

from tamis.component import Capabilities
from tamis.context import Call
from tamis.model import ScoreKind
from tamis.models import Embedder, Float32Array, TextKind
from tamis_transformers.checkpoint import located
from tamis_transformers.query_cache import CachedQueriesSettings, QueryCache
from tamis_transformers.queued_model import QueuedModel

if TYPE_CHECKING:
    from tamis_transformers.colbert_encoder import ColBertEncoder, Reading

__all__ = ["ColBertEmbedder", "ColBertSettings"]


class ColBertSettings(CachedQueriesSettings):
    """`model` is a folder as colbert-ai, PyLate or sentence-transformers saves it, or a hub id downloaded before.

    `max_tokens` and `query_tokens` replace the lengths of passages and queries that the checkpoint names, up to its
    positions. `batch_token_count` is the padded size of a batch.
    """

    model: str
    max_tokens: Annotated[int, Field(ge=8)] | None = None
    query_tokens: Annotated[int, Field(ge=8)] | None = None


class ColBertEmbedder(QueuedModel["ColBertEncoder", "Reading", Float32Array], Embedder):
    """Khattab and Zaharia, "ColBERT", 2020: projected vectors of tokens, queries filled up with [MASK], passages
    without those of punctuation. Special tokens and markers have vectors too: the model was trained to match them."""

    Settings = ColBertSettings
    capabilities = Capabilities(score_kind=ScoreKind.COSINE)

    def __init__(self, settings: ColBertSettings) -> None:
        super().__init__(settings)
        self._settings = settings
        self._path = located(settings.model)
        self._queries: QueryCache[Float32Array] = QueryCache(settings.query_cache_bytes, lambda each: each.nbytes)

    @property
    def dimensions(self) -> int:
        return self._model.dimensions

    @property
    def max_tokens(self) -> int:
        return self._model.max_tokens

    @property
    def fingerprint(self) -> str:
        return self._model.fingerprint

    async def embed(self, texts: Sequence[str], *, kind: TextKind, call: Call) -> Float32Array:
        """The mean of the token vectors, at unit length. Not what the model was trained for."""
        vectors = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        async with aclosing(self.stream_tokens(texts, kind=kind, call=call)) as stream:
            async for position, found in stream:
                vectors[position] = _mean(found)
        return vectors

    async def embed_tokens(self, texts: Sequence[str], *, kind: TextKind, call: Call) -> list[Float32Array]:
        found = {position: vectors async for position, vectors in self.stream_tokens(texts, kind=kind, call=call)}
        return [found[position] for position in range(len(texts))]

    async def stream_tokens(
        self, texts: Sequence[str], *, kind: TextKind, call: Call
    ) -> AsyncGenerator[tuple[int, Float32Array], None]:
        """Position and token vectors of each text as its batch is done; shape [its tokens, dimensions]."""
        call.check()
        known, left = self._queries.known(texts, kind, call)
        for position, vectors in known.items():
            yield position, vectors
        if not left:
            return
        tokenized = partial(self._model.tokenize, kind=kind)
        wanted = [texts[each] for each in left]
        async with aclosing(self.computed(wanted, tokenized, lambda reading: len(reading.tokens), call)) as stream:
            async for place, vectors in stream:
                self._queries.put(texts[left[place]], kind, call, vectors)
                yield left[place], vectors

    @property
    def extra_tokens(self) -> int:
        return self._model.extra_tokens

    def token_offsets(self, text: str) -> Sequence[tuple[int, int]]:
        return self._model.offsets(text)

    def load(self) -> tuple[ColBertEncoder, Callable[[Sequence[Reading]], Sequence[Float32Array]]]:
        from tamis_transformers.colbert_encoder import ColBertEncoder

        it = self._settings
        encoder = ColBertEncoder(
            self._path, device=it.device, dtype=it.dtype, max_tokens=it.max_tokens, query_tokens=it.query_tokens
        )
        return encoder, encoder.encode


def _mean(vectors: Float32Array) -> Float32Array:
    """At unit length; vectors that cancel out have no direction, so the first one gives it."""
    mean = vectors.mean(axis=0)
    length = float(np.linalg.norm(mean))
    return vectors[0] if length < 1e-6 else np.asarray(mean / length, dtype=np.float32)
