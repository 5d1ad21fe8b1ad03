"""The late-interaction reranker: MaxSim over token vectors, kept with the index or computed as passages come."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from cachetools import LRUCache
from pydantic import Field

from tamis.component import Capabilities, Ref, Settings
from tamis.context import Call
from tamis.errors import ConfigurationError
from tamis.model import Passage, Query, ScoreKind
from tamis.models import Embedder, EmbedsTokens, Float32Array, TextKind
from tamis.stage import Index, PointwiseReranker
from tamis_transformers.late_interaction.compression import Compression, Float16, Int8, Rows
from tamis_transformers.late_interaction.index import TokenIndex, text_hash
from tamis_transformers.late_interaction.kernel import max_sims
from tamis_transformers.query_cache import ENTRY_BYTES

__all__ = ["LateInteractionReranker", "LateInteractionSettings"]

_AT_ONCE = 128  # passages between two looks at whether anybody still waits
_COMPRESSIONS: Mapping[str, Compression] = {"none": Float16(), "int8": Int8()}


class LateInteractionSettings(Settings):
    """`store` keeps the token vectors of a collection's passages with the index, compressed: a query then has only
    itself to encode. `cache_bytes` bounds the token vectors of other passages that are kept for the next query."""

    embedder: Ref[Embedder]
    store: Literal["none", "int8"] = "none"
    cache_bytes: Annotated[int, Field(ge=0)] = 256 << 20


class LateInteractionReranker(PointwiseReranker):
    """Scores a passage by how well each query token finds a like one in it. Khattab and Zaharia, "ColBERT", 2020;
    with the token vectors of a model trained for it, or of a plain bi-encoder, which was not."""

    Settings = LateInteractionSettings
    capabilities = Capabilities(score_kind=ScoreKind.MAX_SIM)

    def __init__(self, settings: LateInteractionSettings) -> None:
        super().__init__(settings)
        self._embedder, self._store = _checked(settings.embedder), settings.store
        self._compression = _COMPRESSIONS[settings.store]
        self._cache: LRUCache[tuple[str, bytes], Rows]
        self._cache = LRUCache(settings.cache_bytes, getsizeof=lambda each: ENTRY_BYTES + each.nbytes)
        self._indexes: dict[tuple[str, int], TokenIndex] = {}
        self._scoring = ThreadPoolExecutor(1, thread_name_prefix="tamis-max-sim")
        self._writing = ThreadPoolExecutor(1, thread_name_prefix="tamis-token-store")

    async def open(self) -> None:
        _checked(self._embedder)  # one on another machine knows by now what it can do

    async def close(self) -> None:
        for index in tuple(self._indexes.values()):
            await index.close()
        self._scoring.shutdown(wait=True)
        self._writing.shutdown(wait=True)

    async def open_index(
        self, collection: str, generation: int, *, directory: Path, language: str = ""
    ) -> Index | None:
        """None unless `store` is on."""
        if self._store == "none":
            return None
        embedder: Any = self._embedder
        index = await TokenIndex.open(
            directory,
            self._embedder,
            self._compression,
            {"store": self._store, "made_by": embedder.fingerprint},
            reading=self._scoring,
            writing=self._writing,
            closed=self._forget,
        )
        self._indexes[collection, generation] = index
        return index

    async def score(self, query: Query, passages: Sequence[Passage], *, call: Call) -> AsyncIterator[tuple[int, float]]:
        """First those whose vectors are kept, then the others as the model gives them."""
        (asked,) = await self._embedder.embed_tokens([query.text], kind=TextKind.QUERY, call=call)
        texts = [passage.full_text for passage in passages]
        hashes = [text_hash(text) for text in texts]
        missing: list[int] = []
        for start in range(0, len(passages), _AT_ONCE):
            call.check()
            some = range(start, min(start + _AT_ONCE, len(passages)))
            wanted = {index: (passages[index].id, hashes[index]) for index in some}
            scores = await self._known_scores(asked, query, wanted, call.principal.tenant)
            missing.extend(index for index in some if index not in scores)
            for index, score in scores.items():
                call.usage.cache_hit_count += 1
                call.usage.pair_count += 1
                yield index, score
        async with aclosing(self._vectors([texts[index] for index in missing], call)) as stream:  # type: ignore[type-var]
            async for place, vectors in stream:
                index = missing[place]
                score = await self._fresh_score(asked, (call.principal.tenant, hashes[index]), vectors)
                call.usage.pair_count += 1
                yield index, score

    async def _known_scores(
        self, asked: Float32Array, query: Query, wanted: Mapping[int, tuple[str, bytes]], tenant: str
    ) -> dict[int, float]:
        """Of the passages that are stored or in the tenant's part of the cache: a hit tells that a text was there."""
        index = self._indexes.get((query.collection, query.generation))
        found = {place: self._cache.get((tenant, key)) for place, (_, key) in wanted.items()}
        cached = {place: rows for place, rows in found.items() if rows is not None}

        def work() -> dict[int, float]:
            asked_for = dict(wanted.values())
            stored = index.read(asked_for) if index is not None else {}
            by_id = {place: stored[id] for place, (id, key) in wanted.items() if id in stored and asked_for[id] == key}
            rows = {**cached, **by_id}
            scores = max_sims(asked, list(rows.values()), self._compression)
            return dict(zip(rows, map(float, scores), strict=True))

        return await asyncio.get_running_loop().run_in_executor(self._scoring, work)

    async def _fresh_score(self, asked: Float32Array, key: tuple[str, bytes], vectors: Float32Array) -> float:
        """By the vectors as they will come back, so that a score does not depend on what was asked before."""
        if not np.isfinite(vectors).all():
            return math.nan

        def work() -> tuple[Rows, float]:
            rows = self._compression.compressed(vectors)
            return rows, float(max_sims(asked, [rows], self._compression)[0])

        rows, score = await asyncio.get_running_loop().run_in_executor(self._scoring, work)
        if self._cache.getsizeof(rows) <= self._cache.maxsize:
            self._cache[key] = rows
        return score

    async def _vectors(self, texts: Sequence[str], call: Call) -> AsyncIterator[tuple[int, Float32Array]]:
        """As they come where the embedder streams, so that a deadline keeps what is done; else all at once."""
        stream = getattr(self._embedder, "stream_tokens", None)
        if stream is not None:
            async with aclosing(stream(texts, kind=TextKind.PASSAGE, call=call)) as each_done:
                async for place, vectors in each_done:
                    yield place, vectors
        elif texts:
            for place, vectors in enumerate(await self._embedder.embed_tokens(texts, kind=TextKind.PASSAGE, call=call)):
                yield place, vectors

    def _forget(self, index: TokenIndex) -> None:
        self._indexes = {key: each for key, each in self._indexes.items() if each is not index}


def _checked(embedder: Any) -> EmbedsTokens:
    if not isinstance(embedder, EmbedsTokens):
        raise ConfigurationError(f"embedder: {type(embedder).__name__} gives no token vectors")
    return embedder
