"""Models on PyTorch: bi-encoder and ColBERT embedders, late-interaction and cross-encoder rerankers, the causal LM."""

from tamis_transformers.causal_lm import CausalLm
from tamis_transformers.colbert import ColBertEmbedder
from tamis_transformers.cross_encoder import CrossEncoderReranker
from tamis_transformers.embedder import SentenceTransformersEmbedder
from tamis_transformers.late_interaction import LateInteractionReranker

__all__ = [
    "CausalLm",
    "ColBertEmbedder",
    "CrossEncoderReranker",
    "LateInteractionReranker",
    "SentenceTransformersEmbedder",
]
