"""BM25 retrieval on Tantivy."""

from tamis_tantivy.retriever import TantivyRetriever

__all__ = ["TantivyRetriever"]
