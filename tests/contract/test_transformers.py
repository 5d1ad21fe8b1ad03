"""The transformers plugins keep the contract, on their bundled weights, on made-up ones and on the fake embedder."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import pytest
from checkpoints.colbert import save_pylate, save_stanford

from tamis.testing.contract import EmbedderContract, RerankerContract
from tamis.testing.embedders import HashEmbedder
from tamis_transformers import ColBertEmbedder, LateInteractionReranker, SentenceTransformersEmbedder


class TestHashEmbedder(EmbedderContract):
    def component(self) -> HashEmbedder:
        return HashEmbedder(HashEmbedder.Settings())


class TestSentenceTransformers(EmbedderContract):
    def component(self) -> SentenceTransformersEmbedder:
        return SentenceTransformersEmbedder(SentenceTransformersEmbedder.Settings())


class TestLateInteraction(RerankerContract):
    def component(self) -> LateInteractionReranker:
        embedder = SentenceTransformersEmbedder(SentenceTransformersEmbedder.Settings())
        return LateInteractionReranker(LateInteractionReranker.Settings(embedder=embedder))


class TestLateInteractionWithoutCacheOrStream(RerankerContract):
    def component(self) -> LateInteractionReranker:
        embedder = HashEmbedder(HashEmbedder.Settings())
        return LateInteractionReranker(LateInteractionReranker.Settings(embedder=embedder, cache_bytes=0))


@cache
def stanford() -> Path:
    return save_stanford(Path(mkdtemp()))


@cache
def pylate() -> Path:
    return save_pylate(Path(mkdtemp()))


class TestColBertOfStanford(EmbedderContract):
    def component(self) -> ColBertEmbedder:
        return ColBertEmbedder(ColBertEmbedder.Settings(model=str(stanford()), device="cpu", dtype="float32"))


@pytest.mark.long
class TestColBertOfPyLate(EmbedderContract):
    def component(self) -> ColBertEmbedder:
        return ColBertEmbedder(ColBertEmbedder.Settings(model=str(pylate()), device="cpu", dtype="float32"))


class TestLateInteractionWithColBert(RerankerContract):
    def component(self) -> LateInteractionReranker:
        embedder = ColBertEmbedder(ColBertEmbedder.Settings(model=str(stanford()), device="cpu", dtype="float32"))
        return LateInteractionReranker(LateInteractionReranker.Settings(embedder=embedder))


class TestLateInteractionWithAStore(RerankerContract):
    def component(self) -> LateInteractionReranker:
        embedder = HashEmbedder(HashEmbedder.Settings())
        return LateInteractionReranker(LateInteractionReranker.Settings(embedder=embedder, store="int8"))
