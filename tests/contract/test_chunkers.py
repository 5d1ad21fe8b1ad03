"""The chunker keeps the contract, by estimate and with an embedder's tokens."""

from __future__ import annotations

from tamis.ingest.passages import SentencesChunker
from tamis.testing.contract import ChunkerContract
from tamis.testing.embedders import HashEmbedder


class TestSentences(ChunkerContract):
    def component(self) -> SentencesChunker:
        return SentencesChunker(SentencesChunker.Settings())


class TestSentencesOfAnEmbedder(ChunkerContract):
    def component(self) -> SentencesChunker:
        embedder = HashEmbedder(HashEmbedder.Settings())
        return SentencesChunker(SentencesChunker.Settings(embedder=embedder, max_tokens=40, overlap_tokens=10))
