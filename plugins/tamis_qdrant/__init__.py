"""Retrieval on Qdrant: an embedded engine, or a server or cluster with dense, sparse and token vectors."""

from tamis_qdrant.retriever import QdrantRetriever
from tamis_qdrant.stages import QdrantDense, QdrantLearnedSparse, QdrantSparse, QdrantTokens

__all__ = ["QdrantDense", "QdrantLearnedSparse", "QdrantRetriever", "QdrantSparse", "QdrantTokens"]
