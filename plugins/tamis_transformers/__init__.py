"""Encoders on transformers: a sentence-transformers embedder and late-interaction reranking."""

from tamis_transformers.embedder import SentenceTransformersEmbedder
from tamis_transformers.late_interaction import LateInteractionReranker

__all__ = ["LateInteractionReranker", "SentenceTransformersEmbedder"]
