"""Vectors of passages kept by model, so that an index that is built anew need not embed what it had embedded before."""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import structlog

from tamis.context import Call
from tamis.models import Embedder, Float32Array, TextKind

__all__ = ["FILE", "TABLES", "EmbeddingStore", "StoredEmbedder", "stored"]

FILE = Path("embeddings", "embeddings.sqlite")
"""Where vectors are kept below the data directory."""

TABLES = """
CREATE TABLE IF NOT EXISTS embeddings (
    key BLOB PRIMARY KEY, fingerprint TEXT NOT NULL, time INTEGER NOT NULL, vector BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS embeddings_by_time ON embeddings (time);
"""

T = TypeVar("T")
_LOG = structlog.get_logger(__name__)
_AT_ONCE = 500
_SWEEP_AFTER = 4_096  # vectors written between two looks at the size


class EmbeddingStore:
    """One file for all models. Blocks, and is for one thread at a time.

    It can be lost at any time: what is damaged is begun anew, with a warning. A crash of the process loses nothing; one
    of the machine may lose the latest vectors, which are computed again.
    """

    def __init__(self, path: Path, *, most_bytes: int | None = None) -> None:
        """`most_bytes` of vectors are kept; the oldest go."""
        self._path, self._most_bytes, self._since_sweep = path, most_bytes, 0
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._db = _connected(path)
            if damages := [row[0] for row in self._db.execute("PRAGMA quick_check(1)") if row[0] != "ok"]:
                raise sqlite3.DatabaseError(damages[0])
        except sqlite3.DatabaseError as error:
            self._begin_anew(error)

    def read(self, fingerprint: str, texts: Sequence[str]) -> dict[int, Float32Array]:
        """The vectors that are kept, by the place of their text."""
        keys = {_key(fingerprint, text): place for place, text in reversed([*enumerate(texts)])}
        found: dict[bytes, Float32Array] = {}
        try:
            for some in _portions([*keys]):
                query = f"SELECT key, vector FROM embeddings WHERE key IN ({','.join('?' * len(some))})"
                found |= {key: np.frombuffer(vector, np.float32) for key, vector in self._db.execute(query, some)}
        except sqlite3.DatabaseError as error:
            self._begin_anew(error)
            return {}
        return {place: found[key] for place, text in enumerate(texts) if (key := _key(fingerprint, text)) in found}

    def write(self, fingerprint: str, texts: Sequence[str], vectors: Float32Array) -> None:
        """Keeps vectors, all or none of them."""
        exact = np.asarray(vectors, np.float32)
        rows = [
            (_key(fingerprint, text), fingerprint, vector.tobytes()) for text, vector in zip(texts, exact, strict=True)
        ]
        insert = (
            "INSERT INTO embeddings SELECT ?, ?, COALESCE(MAX(time), 0) + 1, ? FROM embeddings WHERE TRUE "
            "ON CONFLICT (key) DO UPDATE SET vector = excluded.vector, time = excluded.time"
        )
        try:
            with self._db:
                self._db.execute("BEGIN IMMEDIATE")
                self._db.executemany(insert, rows)
        except sqlite3.DatabaseError as error:
            self._begin_anew(error)
            return
        self._since_sweep += len(rows)
        if self._most_bytes is not None and self._since_sweep >= min(_SWEEP_AFTER, self._most_bytes // 2_048 + 1):
            self._sweep(self._most_bytes)

    def close(self) -> None:
        """Releases the file."""
        self._db.close()

    def _sweep(self, most_bytes: int) -> None:
        self._since_sweep = 0
        count, size = self._db.execute("SELECT COUNT(*), COALESCE(SUM(LENGTH(vector)), 0) FROM embeddings").fetchone()
        if size > most_bytes:
            surplus = -(-(size - most_bytes) * count // size)
            oldest = "SELECT key FROM embeddings ORDER BY time LIMIT ?"
            self._db.execute(f"DELETE FROM embeddings WHERE key IN ({oldest})", (surplus,))

    def _begin_anew(self, error: sqlite3.Error) -> None:
        _LOG.warning("kept embeddings cannot be read; keeping them anew", reason=str(error), path=str(self._path))
        if hasattr(self, "_db"):
            self._db.close()
        for end in ("", "-wal", "-shm"):
            self._path.with_name(self._path.name + end).unlink(missing_ok=True)
        self._db = _connected(self._path)


class StoredEmbedder(Embedder):
    """An embedder with a store of passage vectors before it. All it can do besides, `stored` gives it, too."""

    def __init__(self, embedder: Embedder, path: Path, most_bytes: int | None) -> None:
        super().__init__(embedder.settings)
        self.capabilities = embedder.capabilities
        self._embedder, self._path, self._most_bytes = embedder, path, most_bytes
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="tamis-embeddings")
        self._store: EmbeddingStore | None = None

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._embedder, name)

    async def open(self) -> None:
        await self._embedder.open()
        self._store = await self._run(lambda: EmbeddingStore(self._path, most_bytes=self._most_bytes))

    async def close(self) -> None:
        await self._embedder.close()
        if self._store is not None:
            await self._run(self._store.close)
        self._executor.shutdown()

    @property
    def dimensions(self) -> int:
        return self._embedder.dimensions

    @property
    def max_tokens(self) -> int:
        return self._embedder.max_tokens

    @property
    def fingerprint(self) -> str:
        return self._embedder.fingerprint

    def facts(self) -> Sequence[str]:
        return self._embedder.facts()

    async def embed(self, texts: Sequence[str], *, kind: TextKind, call: Call) -> Float32Array:
        store = self._store
        if kind is not TextKind.PASSAGE or store is None or not texts:
            return await self._embedder.embed(texts, kind=kind, call=call)
        found = await self._run(lambda: store.read(self.fingerprint, texts))
        found = {place: each for place, each in found.items() if each.shape == (self.dimensions,)}
        call.usage.cache_hit_count += len(found)
        places = [place for place in range(len(texts)) if place not in found]
        vectors = np.empty((len(texts), self.dimensions), np.float32)
        for place, vector in found.items():
            vectors[place] = vector
        if places:
            lacking = [texts[place] for place in places]
            vectors[places] = fresh = await self._embedder.embed(lacking, kind=kind, call=call)
            if np.isfinite(fresh).all():
                await self._run(lambda: store.write(self.fingerprint, lacking, fresh))
        return vectors

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)


def stored(embedder: Embedder, path: Path, *, most_bytes: int | None = None) -> StoredEmbedder:
    """Puts a store at `path` before an embedder. Whatever else that can do, such as token vectors, it still can, and it
    is an instance of the same protocols."""
    names = {name for name in dir(type(embedder)) if not name.startswith("_")} - {*dir(StoredEmbedder)}
    others: Mapping[str, object] = {name: _handed_on(name) for name in names}
    kind = type(f"Stored{type(embedder).__name__}", (StoredEmbedder,), {**others, "Settings": type(embedder).Settings})
    return kind(embedder, path, most_bytes)  # type: ignore[no-any-return]


def _handed_on(name: str) -> property:
    return property(lambda self: getattr(self._embedder, name))


def _connected(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = NORMAL")
    db.executescript(TABLES)
    return db


def _key(fingerprint: str, text: str) -> bytes:
    digest = hashlib.blake2b(fingerprint.encode(), digest_size=20)
    digest.update(b"\0" + text.encode(errors="surrogatepass"))
    return digest.digest()


def _portions(keys: Sequence[bytes]) -> list[Sequence[bytes]]:
    return [keys[start : start + _AT_ONCE] for start in range(0, len(keys), _AT_ONCE)]
