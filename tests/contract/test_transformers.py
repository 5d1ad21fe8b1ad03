"""The transformers plugins keep the contract, on their bundled weights and on the fake embedder."""

from __future__ import annotations

from tamis.testing.contract import EmbedderContract, RerankerContract
from tamis.testing.embedders import HashEmbedder
from tamis_transformers import LateInteractionReranker, SentenceTransformersEmbedder


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
