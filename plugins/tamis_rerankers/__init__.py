"""Rerankers that bring no model of their own: diversity, and several rerankers as one."""

from tamis_rerankers.ensemble import EnsembleReranker
from tamis_rerankers.mmr import MmrReranker

__all__ = ["EnsembleReranker", "MmrReranker"]
