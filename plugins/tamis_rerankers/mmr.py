"""The reranker for diversity: maximal marginal relevance over any embedder."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
from cachetools import LRUCache
from numpy.typing import NDArray
from pydantic import Field

from tamis.component import Capabilities, Ref, Settings, overridable
from tamis.context import Call
from tamis.model import Passage, Query
from tamis.models import Embedder, Float32Array, TextKind
from tamis.pauses import Pauses
from tamis.stage import ListwiseReranker, Order
from tamis_rerankers.selection import Selection

__all__ = ["MmrReranker", "MmrSettings"]

_PART = 64  # passages embedded at a time, so that a deadline keeps what is done
_GROWTH = 1.5  # a new choice when so many times as many passages are known: all of them cost three of the last
_EARLY = 256  # choices while passages are still being embedded
_BLOCK_WORK = 1 << 25  # multiplications between two looks at whether somebody still waits

T = TypeVar("T")


class MmrSettings(Settings):
    """`diversity` is what a passage loses for being like a better one: 0 is pure relevance, at 1 nothing but difference
    counts after the first. `relevance` is the cosine with the query, or the place in the prior order. `cache_bytes`
    bounds the vectors of passages that are kept for the next query."""

    embedder: Ref[Embedder]
    diversity: Annotated[float, Field(ge=0, le=1, json_schema_extra=overridable())] = 0.3
    relevance: Annotated[Literal["cosine", "prior"], Field(json_schema_extra=overridable())] = "cosine"
    cache_bytes: Annotated[int, Field(ge=0)] = 64 << 20


class MmrReranker(ListwiseReranker):
    """Chooses `top_n` passages that are relevant and unlike each other; the rest follows in the prior order."""

    Settings = MmrSettings
    capabilities = Capabilities(cross_document=True)

    def __init__(self, settings: MmrSettings) -> None:
        super().__init__(settings)
        self._embedder: Embedder = settings.embedder
        self._cache: LRUCache[tuple[str, bytes], Float32Array]
        self._cache = LRUCache(settings.cache_bytes, getsizeof=lambda each: each.nbytes)
        self._work = ThreadPoolExecutor(1, thread_name_prefix="mmr")

    async def close(self) -> None:
        self._work.shutdown(wait=True, cancel_futures=True)

    async def order(self, query: Query, passages: Sequence[Passage], *, top_n: int, call: Call) -> AsyncIterator[Order]:
        diversity: Any = call.options.get("diversity", self.settings.diversity)
        asked = await self._asked(query, call)
        vectors = np.zeros((len(passages), self._embedder.dimensions), np.float32)
        standing = list(range(len(passages)))
        ranked: frozenset[int] = frozenset()
        async for known in self._embedded(passages, vectors, call):
            if len(known) < min(_GROWTH * len(ranked), len(passages)):
                continue
            ranked = frozenset(known)
            selection = await self._apart(call, _selection, vectors, asked, sorted(known), diversity)
            is_last = len(known) == len(passages)
            wanted = min(top_n, len(known), len(known) if is_last else _EARLY)
            async for _ in self._chosen(selection, wanted, call):
                standing = _led(selection.chosen, standing)
                if is_last:
                    yield Order(standing, ranked)
            standing = _led(selection.chosen, range(len(passages)))
            yield Order(standing, ranked)

    async def _asked(self, query: Query, call: Call) -> Float32Array | None:
        """The query's vector; None where the prior order says what is relevant."""
        if call.options.get("relevance", self.settings.relevance) == "prior":
            return None
        (asked,) = _finite(await self._embedder.embed([query.text], kind=TextKind.QUERY, call=call), call)
        return np.asarray(asked)

    async def _embedded(
        self, passages: Sequence[Passage], vectors: Float32Array, call: Call
    ) -> AsyncIterator[list[int]]:
        """Writes each passage's vector to its row of `vectors`; the rows written so far, as they grow.

        Each text is embedded once, those that stand first in the prior order first. Vectors are kept for each tenant
        apart: one that is there already tells that a text was.
        """
        texts = [passage.full_text for passage in passages]
        rows: dict[bytes, list[int]] = {}
        for row, key in enumerate(await self._apart(call, _keys, texts)):
            rows.setdefault(key, []).append(row)
        known: list[int] = []
        missing: list[bytes] = []
        pauses = Pauses()
        for key, places in rows.items():
            await pauses.take()
            kept = self._cache.get((call.principal.tenant, key))
            if kept is None:
                missing.append(key)
                continue
            vectors[places] = kept
            known += places
            call.usage.cache_hit_count += len(places)
            call.usage.pair_count += len(places)
        if known:
            yield known
        for start in range(0, len(missing), _PART):
            part = missing[start : start + _PART]
            found = await self._embed([texts[rows[key][0]] for key in part], call)
            for key, vector in zip(part, found, strict=True):
                vectors[rows[key]] = vector
                known += rows[key]
                call.usage.pair_count += len(rows[key])
                if vector.nbytes <= self._cache.maxsize and vector.any():
                    self._cache[call.principal.tenant, key] = vector.copy()
            yield known

    async def _embed(self, texts: Sequence[str], call: Call) -> Float32Array:
        call.check()
        return _finite(await self._embedder.embed(texts, kind=TextKind.PASSAGE, call=call), call)

    async def _chosen(self, selection: Selection, count: int, call: Call) -> AsyncIterator[None]:
        """Chooses `count`; comes back each time as many are chosen as twice before, and at the end."""
        told = 0
        while told < count:
            await self._apart(call, selection.extend, min(count, len(selection.chosen) + selection.block(_BLOCK_WORK)))
            if len(selection.chosen) >= min(count, max(1, 2 * told)):
                told = len(selection.chosen)
                yield

    async def _apart(self, call: Call, work: Callable[..., T], *arguments: Any) -> T:
        """Runs `work` in the reranker's own thread, unless the call is over. Raises `CallEnded`."""
        call.check()
        return await call.wait(asyncio.get_running_loop().run_in_executor(self._work, work, *arguments))


def _selection(vectors: Float32Array, asked: Float32Array | None, known: Sequence[int], diversity: float) -> Selection:
    rows = np.asarray(known)
    relevance: NDArray[Any] = 1.0 - rows / len(vectors) if asked is None else vectors[rows] @ asked
    return Selection(vectors[rows], relevance, diversity, rows)


def _led(chosen: Sequence[int], others: Sequence[int]) -> list[int]:
    """`chosen` in front, the others behind as they stand."""
    leading = set(chosen)
    return [*chosen, *(each for each in others if each not in leading)]


def _keys(texts: Sequence[str]) -> list[bytes]:
    return [hashlib.blake2b(text.encode(), digest_size=16).digest() for text in texts]


def _finite(vectors: Float32Array, call: Call) -> Float32Array:
    """A vector that is not finite is like nothing."""
    good = np.isfinite(vectors).all(axis=1, keepdims=True)
    if good.all():
        return vectors
    call.note("vector that is not finite dropped")
    return np.where(good, vectors, np.float32(0))
