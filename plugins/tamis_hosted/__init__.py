"""Rerankers behind an API: Cohere, Jina, Voyage, Mixedbread, Text Embeddings Inference, Infinity and vLLM."""

from tamis_hosted.cohere_api import CohereReranker
from tamis_hosted.infinity_api import InfinityReranker
from tamis_hosted.jina_api import JinaReranker
from tamis_hosted.mixedbread_api import MixedbreadReranker
from tamis_hosted.reranker import HostedReranker
from tamis_hosted.tei_api import TeiReranker
from tamis_hosted.vllm_api import VllmReranker
from tamis_hosted.voyage_api import VoyageReranker

__all__ = [
    "CohereReranker",
    "HostedReranker",
    "InfinityReranker",
    "JinaReranker",
    "MixedbreadReranker",
    "TeiReranker",
    "VllmReranker",
    "VoyageReranker",
]
