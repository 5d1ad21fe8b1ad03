"""The tantivy retriever keeps the contract."""

from __future__ import annotations

from tamis.testing.contract import RetrieverContract
from tamis_tantivy import TantivyRetriever


class TestTantivy(RetrieverContract):
    def component(self) -> TantivyRetriever:
        return TantivyRetriever(TantivyRetriever.Settings())


class TestTantivyWithoutSnippets(RetrieverContract):
    def component(self) -> TantivyRetriever:
        return TantivyRetriever(TantivyRetriever.Settings(language="de", snippet_length=0))
