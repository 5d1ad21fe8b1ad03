"""Dense retrieval on an embedded Qdrant engine."""

from tamis_qdrant.retriever import QdrantRetriever

__all__ = ["QdrantRetriever"]
