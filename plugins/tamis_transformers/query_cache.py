"""What a model made of the latest queries: several stages of a search read the same one, and so does the next page."""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Callable, Sequence
from typing import Annotated, Generic, TypeVar

from cachetools import LRUCache
from pydantic import Field

from tamis.context import Call
from tamis.models import TextKind
from tamis_transformers.queued_model import QueuedModelSettings

__all__ = ["ENTRY_BYTES", "CachedQueriesSettings", "QueryCache"]

Result = TypeVar("Result")
ENTRY_BYTES = 600
"""What an entry of a cache takes besides its numbers: its key, its objects, its places in the cache's tables."""


class CachedQueriesSettings(QueuedModelSettings):
    """`query_cache_bytes` bounds what is kept of the latest queries; 0 keeps nothing."""

    query_cache_bytes: Annotated[int, Field(ge=0)] = 8 << 20


class QueryCache(Generic[Result]):
    """Results by query, the latest `most_bytes` of them: `size_of` each, and what its entry takes. Passages pass by:
    nothing of them is kept.

    Safe to use from any thread. Like other caches it has a part for each tenant, and digests in place of texts.
    """

    def __init__(self, most_bytes: int, size_of: Callable[[Result], int]) -> None:
        self._size_of: Callable[[Result], int] = lambda result: ENTRY_BYTES + size_of(result)
        self._results: LRUCache[bytes, Result] = LRUCache(most_bytes, getsizeof=self._size_of)
        self._secret = secrets.token_bytes(32)
        self._changing = threading.Lock()

    def get(self, text: str, kind: TextKind, call: Call) -> Result | None:
        """What is kept of a query, and a cache hit of the call; None of a passage."""
        if kind is not TextKind.QUERY:
            return None
        with self._changing:
            found = self._results.get(self._key(text, call))
        call.usage.cache_hit_count += found is not None
        return found

    def known(self, texts: Sequence[str], kind: TextKind, call: Call) -> tuple[dict[int, Result], list[int]]:
        """What is kept, by position, and the positions of which nothing is."""
        found = {place: self.get(text, kind, call) for place, text in enumerate(texts)}
        known = {place: each for place, each in found.items() if each is not None}
        return known, [place for place in found if place not in known]

    def put(self, text: str, kind: TextKind, call: Call, result: Result) -> None:
        """Keeps what a query gave. Nobody may change it any more."""
        if kind is TextKind.QUERY and self._size_of(result) <= self._results.maxsize:
            with self._changing:
                self._results[self._key(text, call)] = result

    def _key(self, text: str, call: Call) -> bytes:
        said = f"{call.principal.tenant}\0{text}".encode(errors="surrogatepass")
        return hashlib.blake2b(said, digest_size=16, key=self._secret).digest()
