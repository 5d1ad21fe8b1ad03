"""The late-interaction reranker: MaxSim over token vectors."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any

import numpy as np
from cachetools import LRUCache
from numpy.typing import NDArray
from pydantic import Field

from tamis.component import Capabilities, Ref, Settings
from tamis.context import Call
from tamis.errors import ConfigurationError
from tamis.model import Passage, Query, ScoreKind
from tamis.models import Embedder, EmbedsTokens, Float32Array, TextKind
from tamis.stage import PointwiseReranker

__all__ = ["LateInteractionReranker", "LateInteractionSettings", "max_sim"]

Float16Array = NDArray[np.float16]


class LateInteractionSettings(Settings):
    """`cache_bytes` bounds the token vectors of passages that are kept for the next query."""

    embedder: Ref[Embedder]
    cache_bytes: Annotated[int, Field(ge=0)] = 256 << 20


class LateInteractionReranker(PointwiseReranker):
    """Scores a passage by how well each query token finds a like one in it. Khattab and Zaharia, "ColBERT", 2020;
    with the token vectors of a plain bi-encoder, which was not trained for it."""

    Settings = LateInteractionSettings
    capabilities = Capabilities(score_kind=ScoreKind.MAX_SIM)

    def __init__(self, settings: LateInteractionSettings) -> None:
        super().__init__(settings)
        embedder: Any = settings.embedder
        if not isinstance(embedder, EmbedsTokens):
            raise ConfigurationError(f"embedder: {type(embedder).__name__} gives no token vectors")
        self._embedder = embedder
        self._cache: LRUCache[bytes, Float16Array] = LRUCache(settings.cache_bytes, getsizeof=lambda each: each.nbytes)

    async def score(self, query: Query, passages: Sequence[Passage], *, call: Call) -> AsyncIterator[tuple[int, float]]:
        (asked,) = await self._embedder.embed_tokens([query.text], kind=TextKind.QUERY, call=call)
        texts = [passage.full_text for passage in passages]
        keys = [hashlib.blake2b(text.encode(), digest_size=16).digest() for text in texts]
        missing = []
        for index, key in enumerate(keys):
            known = self._cache.get(key)
            if known is None:
                missing.append(index)
                continue
            call.usage.cache_hit_count += 1
            call.usage.pair_count += 1
            yield index, max_sim(asked, known.astype(np.float32))
        async for place, vectors in self._vectors([texts[index] for index in missing], call):
            index = missing[place]
            call.usage.pair_count += 1
            yield index, max_sim(asked, self._remembered(keys[index], vectors))

    async def _vectors(self, texts: Sequence[str], call: Call) -> AsyncIterator[tuple[int, Float32Array]]:
        """As they come where the embedder streams, so that a deadline keeps what is done; else all at once."""
        stream = getattr(self._embedder, "stream_tokens", None)
        if stream is not None:
            async for place, vectors in stream(texts, kind=TextKind.PASSAGE, call=call):
                yield place, vectors
        elif texts:
            for place, vectors in enumerate(await self._embedder.embed_tokens(texts, kind=TextKind.PASSAGE, call=call)):
                yield place, vectors

    def _remembered(self, key: bytes, vectors: Float32Array) -> Float32Array:
        """As they will come back from the cache, so that a score does not depend on what was asked before."""
        kept = vectors.astype(np.float16)
        if kept.nbytes <= self._cache.maxsize:
            self._cache[key] = kept
        return kept.astype(np.float32)


def max_sim(query: Float32Array, passage: Float32Array) -> float:
    """The sum over query tokens of the best cosine with a passage token; 0 when either has no token.

    Shapes [query tokens, dimensions] and [passage tokens, dimensions], rows of unit length.
    """
    if not len(query) or not len(passage):
        return 0.0
    return float((query @ passage.T).max(axis=1).sum())
