"""The index of a late-interaction reranker: the token vectors of a collection's passages, computed as they come."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import Executor
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np

from tamis.context import Call
from tamis.errors import Unusable
from tamis.model import Change, Passage
from tamis.models import EmbedsTokens, Float32Array, TextKind
from tamis_transformers.late_interaction.compression import Compression, Rows
from tamis_transformers.late_interaction.store import Stored, TokenStore

__all__ = ["TokenIndex", "text_hash"]

T = TypeVar("T")
_FORMAT = 1
_AT_ONCE = 64  # passages whose vectors are in memory before they are compressed
_PAGE = 10_000  # ids read at a time


def text_hash(text: str) -> bytes:
    """Names a text: of equal hashes the vectors are equal."""
    return hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=16).digest()


class TokenIndex:
    """Implements `tamis.stage.Index`. A rewritten document's passages whose text is the same are not encoded again,
    nor are those that a later change of the same batch replaces."""

    def __init__(
        self,
        store: TokenStore,
        directory: Path,
        embedder: EmbedsTokens,
        compression: Compression,
        *,
        reading: Executor,
        writing: Executor,
        closed: Callable[[TokenIndex], None],
    ) -> None:
        """Calls `closed` when it closes."""
        self._store, self._directory, self._embedder, self._compression = store, directory, embedder, compression
        self._reading, self._writing, self._closed = reading, writing, closed
        self._is_open = True

    @classmethod
    async def open(
        cls,
        directory: Path,
        embedder: EmbedsTokens,
        compression: Compression,
        made_with: Mapping[str, object],
        *,
        reading: Executor,
        writing: Executor,
        closed: Callable[[TokenIndex], None],
    ) -> TokenIndex:
        """Opens or creates. Raises `ConfigurationError` when what is there was made with something else."""
        made = {"format": _FORMAT, **made_with}
        loop = asyncio.get_running_loop()
        store = await loop.run_in_executor(writing, lambda: TokenStore(directory, compression, made))
        return cls(store, directory, embedder, compression, reading=reading, writing=writing, closed=closed)

    async def apply(self, changes: Sequence[Change], *, upto: int) -> None:
        reached = await self.checkpoint()
        # A batch that ends here may be one that mends what was lost; an older one was overtaken by what came after it.
        first = 0 if upto >= reached else reached + 1
        latest = {each.document_id: each.passages for each in changes if each.sequence >= first}
        known = await self._run(self._writing, lambda: self._store.known(latest))
        hashed = {name: [(each, text_hash(each.full_text)) for each in passages] for name, passages in latest.items()}
        missing = {key: each for pairs in hashed.values() for each, key in pairs if key not in known}
        known |= await self._encoded(missing)
        documents = {name: [_stored(each, key, known[key]) for each, key in pairs] for name, pairs in hashed.items()}
        await self._run(self._writing, lambda: self._store.write(documents, max(upto, reached)))

    async def checkpoint(self) -> int:
        return await self._run(self._writing, self._store.checkpoint)

    async def ids(self) -> AsyncIterator[tuple[str, int]]:
        after = ""
        while page := await self._run(self._reading, partial(self._store.ids, after, _PAGE)):
            for each in page:
                yield each
            after = page[-1][0]

    async def close(self) -> None:
        if not self._is_open:
            return
        self._is_open = False
        self._closed(self)
        await self._run(self._reading, lambda: None)  # whatever reads ends first
        await self._run(self._writing, self._store.close)

    async def drop(self) -> None:
        await self.close()
        await self._run(self._writing, lambda: shutil.rmtree(self._directory, ignore_errors=True))

    def read(self, wanted: Mapping[str, bytes]) -> dict[str, Rows]:
        """The rows of passages by id, of those that are kept and whose text has this hash. Blocks: to be called on
        the executor that reads. Nothing once the index is closed."""
        return self._store.read(wanted) if self._is_open else {}

    async def _encoded(self, passages: Mapping[bytes, Passage]) -> dict[bytes, Rows]:
        """Nobody waits for an index by a deadline, so whoever searches goes first in the model's queue."""
        keys, found = list(passages), dict[bytes, Rows]()
        for start in range(0, len(keys), _AT_ONCE):
            some = keys[start : start + _AT_ONCE]
            wanted = [passages[key] for key in some]
            texts = [each.full_text for each in wanted]
            vectors = await self._embedder.embed_tokens(texts, kind=TextKind.PASSAGE, call=Call())
            rows = await self._run(self._writing, partial(self._compressed, wanted, vectors))
            found |= zip(some, rows, strict=True)
        return found

    def _compressed(self, passages: Sequence[Passage], vectors: Sequence[Float32Array]) -> list[Rows]:
        for passage, each in zip(passages, vectors, strict=True):
            if not np.isfinite(each).all():
                raise Unusable(passage.document_id, "the embedder makes vectors of it that are not finite")
        return [self._compression.compressed(each) for each in vectors]

    async def _run(self, executor: Executor, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(executor, work)


def _stored(passage: Passage, key: bytes, rows: Rows) -> Stored:
    return Stored(passage.id, passage.document_version, key, rows)
