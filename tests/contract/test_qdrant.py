"""The qdrant retriever keeps the contract."""

from __future__ import annotations

from tamis.testing.contract import RetrieverContract
from tamis.testing.embedders import HashEmbedder
from tamis_qdrant import QdrantRetriever


class TestQdrant(RetrieverContract):
    def component(self) -> QdrantRetriever:
        return QdrantRetriever(QdrantRetriever.Settings(embedder=HashEmbedder(HashEmbedder.Settings())))
