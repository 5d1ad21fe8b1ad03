"""Rerankers that ask a language model: for an order, for the better of two, for the best of a few, or for the query."""

from tamis_llm_rankers.listwise import ListwiseLlmReranker
from tamis_llm_rankers.pairwise import PairwiseReranker
from tamis_llm_rankers.query_likelihood import QueryLikelihoodReranker
from tamis_llm_rankers.setwise import SetwiseReranker

__all__ = ["ListwiseLlmReranker", "PairwiseReranker", "QueryLikelihoodReranker", "SetwiseReranker"]
