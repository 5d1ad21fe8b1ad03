"""Passage vectors that are kept on the disk are those that the model gave."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from tamis.config import parse
from tamis.context import Call
from tamis.embeddings import EmbeddingStore, stored
from tamis.errors import ConfigurationError
from tamis.models import EmbedsSparse, EmbedsTokens, Float32Array, TextKind, Tokenizes
from tamis.plugins import build
from tamis.testing.embedders import HashEmbedder, HashEmbedderSettings


class Counting(HashEmbedder):
    """Counts what it embeds."""

    count = 0

    async def embed(self, texts: Sequence[str], *, kind: TextKind, call: Call) -> Float32Array:
        self.count += len(texts)
        return await super().embed(texts, kind=kind, call=call)


async def _embedded(
    path: Path, texts: Sequence[str], kind: TextKind = TextKind.PASSAGE
) -> tuple[Float32Array, int, int]:
    """The vectors, how many texts the model had to read, and how many vectors were kept."""
    inner = Counting(HashEmbedderSettings())
    embedder, call = stored(inner, path), Call()
    await embedder.open()
    try:
        return await embedder.embed(texts, kind=kind, call=call), inner.count, call.usage.cache_hit_count
    finally:
        await embedder.close()


async def test_what_was_embedded_once_is_read_from_the_disk_after_that_bit_by_bit(tmp_path: Path) -> None:
    path = tmp_path / "kept.sqlite"
    first, *counts = await _embedded(path, ["a b", "c", "a b"])
    assert counts == [3, 0]
    again, *counts = await _embedded(path, ["c", "new", "a b"])
    assert counts == [1, 2]
    assert np.array_equal(again[[2, 0]], first[:2])
    plain = await HashEmbedder(HashEmbedderSettings()).embed(["c", "new", "a b"], kind=TextKind.PASSAGE, call=Call())
    assert np.array_equal(again, plain)


async def test_queries_are_not_kept(tmp_path: Path) -> None:
    for _ in range(2):
        assert (await _embedded(tmp_path / "kept.sqlite", ["a"], TextKind.QUERY))[1:] == (1, 0)


async def test_models_do_not_read_each_others_vectors(tmp_path: Path) -> None:
    store = EmbeddingStore(tmp_path / "kept.sqlite")
    store.write("one", ["a"], np.ones((1, 4), np.float32))
    assert store.read("other", ["a"]) == {}
    assert list(store.read("one", ["b", "a"])) == [1]
    store.close()


@pytest.mark.parametrize("damage", [b"no database", b"SQLite format 3\0" + b"\xff" * 5_000])
async def test_a_file_that_is_damaged_is_begun_anew(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "kept.sqlite"
    await _embedded(path, ["a"])
    path.write_bytes(damage)
    assert (await _embedded(path, ["a"]))[1:] == (1, 0)
    assert (await _embedded(path, ["a"]))[1:] == (0, 1)


def test_the_oldest_vectors_make_room(tmp_path: Path) -> None:
    store = EmbeddingStore(tmp_path / "kept.sqlite", most_bytes=40_960)
    for number in range(200):
        store.write("m", [f"t{number}"], np.full((1, 256), number, np.float32))
    kept = store.read("m", [f"t{number}" for number in range(200)])
    store.close()
    assert 30 <= len(kept) <= 61
    assert min(kept) == 200 - len(kept)


def test_what_an_embedder_can_do_besides_it_still_can(tmp_path: Path) -> None:
    rich = stored(HashEmbedder(HashEmbedderSettings()), tmp_path / "kept.sqlite")
    assert isinstance(rich, EmbedsTokens)
    assert isinstance(rich, EmbedsSparse)
    assert isinstance(rich, Tokenizes)
    assert rich.extra_tokens == 0
    assert list(rich.token_offsets("a b")) == [(0, 1), (2, 3)]
    assert rich.fingerprint == "hash-64"


def test_only_embedders_can_be_stored() -> None:
    with pytest.raises(ConfigurationError, match="stored is for embedders"):
        build(parse('[stages.bm25]\nplugin = "tantivy"\nstored = true\n'))
