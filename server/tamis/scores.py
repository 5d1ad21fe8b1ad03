"""Scores kept in memory, so that a reranker reads no passage twice for the same query."""

from __future__ import annotations

import hashlib
import math
import secrets
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Sequence
from contextlib import aclosing
from typing import Annotated

from cachetools import Cache, LRUCache, TTLCache
from pydantic import Field

from tamis.component import Settings
from tamis.context import Call
from tamis.pauses import Pauses

__all__ = ["CachedScoresSettings", "ScoreCache"]


class CachedScoresSettings(Settings):
    """Of a reranker whose score of a passage depends on nothing but these settings, the options of the request, the
    query's text and the passage's (`text_of`).

    `cached_scores` are kept, some 300 bytes each, 0 for none; none longer than `cached_score_seconds`.
    """

    cached_scores: Annotated[int, Field(ge=0)] = 100_000
    cached_score_seconds: Annotated[float, Field(gt=0)] = math.inf


class ScoreCache:
    """The latest scores of one reranker. Safe to use from any thread.

    It lives as long as the reranker whose model gave them, so no score can be of other weights or settings. Texts are
    not kept, only digests under a key that nobody has. Each tenant has its own part: neither time nor a count tells one
    that another asked the same. Scores that are not finite are not kept.
    """

    def __init__(self, most: int, seconds: float = math.inf, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._scores: Cache[bytes, float]
        self._scores = LRUCache(most) if math.isinf(seconds) else TTLCache(most, seconds, timer=clock)
        self._secret = secrets.token_bytes(32)
        self._changing = threading.Lock()

    @classmethod
    def of(cls, settings: object) -> ScoreCache | None:
        """What these settings ask for; None where they keep none."""
        if not isinstance(settings, CachedScoresSettings) or not settings.cached_scores:
            return None
        return cls(settings.cached_scores, settings.cached_score_seconds)

    def __len__(self) -> int:
        return len(self._scores)

    async def keys(self, query: str, texts: Iterable[str], call: Call, *about: object) -> list[bytes]:
        """What the score of each text is kept under. `about` is what else it depends on, of a stable `repr`.

        Raises `CallEnded`.
        """
        pauses, found = Pauses(), list[bytes]()
        known = (call.principal.tenant, query, sorted(call.options.items()), about)
        asked = hashlib.blake2b(_bytes(repr(known)), digest_size=16, key=self._secret)
        for text in texts:
            await pauses.take()
            call.check()
            each = asked.copy()
            each.update(_bytes("\0" + text))
            found.append(each.digest())
        return found

    def get(self, key: bytes) -> float | None:
        """The score kept under a key."""
        with self._changing:
            return self._scores.get(key)

    def put(self, key: bytes, score: float) -> None:
        """Keeps a score, unless it is not finite; the one that was asked for least recently goes."""
        if math.isfinite(score):
            with self._changing:
                self._scores[key] = float(score)

    async def scored(
        self, keys: Sequence[bytes], score: Callable[[list[int]], AsyncIterator[tuple[int, float]]], call: Call
    ) -> AsyncGenerator[tuple[int, float], None]:
        """Index and score of each key: first those that are kept, each a cache hit of the call, then what `score`
        gives for the others.

        `score` gets one index for each key that is not kept, and yields places in that list, each once. What it yields
        beyond them comes with the index -1. Once it fails or is closed nothing more is kept.
        """
        pauses = Pauses()
        missing: dict[bytes, list[int]] = {}
        for index, key in enumerate(keys):
            await pauses.take()
            if (kept := self.get(key)) is None:
                missing.setdefault(key, []).append(index)
            else:
                call.usage.cache_hit_count += 1
                yield index, kept
        waiting = dict(enumerate(missing.items()))
        if not waiting:
            return
        async with aclosing(score([indices[0] for indices in missing.values()])) as stream:  # type: ignore[type-var]
            async for place, value in stream:
                key, indices = waiting.pop(place, (b"", [-1]))
                if key:
                    self.put(key, value)
                    call.usage.cache_hit_count += len(indices) - 1
                for index in indices:
                    yield index, value


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogatepass")
