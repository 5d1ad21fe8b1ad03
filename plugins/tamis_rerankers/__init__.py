"""Rerankers that bring no model of their own: diversity, several rerankers as one, and another's reading cut short."""

from tamis_rerankers.ensemble import EnsembleReranker
from tamis_rerankers.mmr import MmrReranker
from tamis_rerankers.progressive import ProgressiveReranker

__all__ = ["EnsembleReranker", "MmrReranker", "ProgressiveReranker"]
