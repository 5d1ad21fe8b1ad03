"""The cross-encoder reranker: one pass over query and passage together."""

from tamis_transformers.cross_encoder.reranker import CrossEncoderReranker, CrossEncoderSettings

__all__ = ["CrossEncoderReranker", "CrossEncoderSettings"]
