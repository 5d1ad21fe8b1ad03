"""The BM25 retriever."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, cast

from pydantic import Field

from tamis.component import Capabilities, Settings, overridable
from tamis.context import Call
from tamis.errors import NotFound
from tamis.filters import Operator
from tamis.languages import STEMMERS
from tamis.model import Candidate, Query, ScoreKind
from tamis.stage import Index, Retriever
from tamis_tantivy.analysis import analyzer
from tamis_tantivy.index import TantivyIndex

__all__ = ["TantivyRetriever", "TantivySettings"]

_SNIPPETS_SHARE = 0.25
"""Of the time that is left: for a long question fifty snippets take ten times what finding the passages takes."""


class TantivySettings(Settings):
    """`language` is an ISO 639-1 code, for collections without one; `snippet_length` counts characters, 0 for none."""

    language: str = "en"
    title_boost: Annotated[float, Field(gt=0, le=100, json_schema_extra=overridable())] = 2.0
    snippet_length: Annotated[int, Field(ge=0, le=10_000, json_schema_extra=overridable())] = 240
    writer_memory_bytes: Annotated[int, Field(ge=15_000_000, le=4 << 30)] = 64_000_000


class TantivyRetriever(Retriever):
    """Finds passages by their words: BM25 over text and title. Robertson and Zaragoza, "The Probabilistic Relevance
    Framework: BM25 and Beyond", 2009. Filters are pushed down, exactly or as a superset. It suggests words."""

    Settings = TantivySettings
    capabilities = Capabilities(
        score_kind=ScoreKind.BM25, filter_operators=frozenset(Operator), languages=frozenset(STEMMERS)
    )

    def __init__(self, settings: TantivySettings) -> None:
        super().__init__(settings)
        self._settings = settings
        analyzer(settings.language)  # refuses an unknown language at start
        self._indexes: dict[tuple[str, int], TantivyIndex] = {}
        self._reading = ThreadPoolExecutor(2, thread_name_prefix="tantivy-read")
        self._writing = ThreadPoolExecutor(1, thread_name_prefix="tantivy-write")

    async def close(self) -> None:
        for index in tuple(self._indexes.values()):
            await index.close()
        self._reading.shutdown(wait=False, cancel_futures=True)
        self._writing.shutdown(wait=True)

    async def open_index(self, collection: str, generation: int, *, directory: Path, language: str = "") -> Index:
        index = TantivyIndex(
            directory,
            language=language or self._settings.language,
            memory_bytes=self._settings.writer_memory_bytes,
            reading=self._reading,
            writing=self._writing,
            closed=self._forget,
        )
        self._indexes[collection, generation] = index
        return index

    async def retrieve(self, query: Query, *, limit: int, call: Call) -> Sequence[Candidate]:
        index = self._index(query)
        call.check()
        title_boost = call.options.get("title_boost", self._settings.title_boost)
        snippet_length = call.options.get("snippet_length", self._settings.snippet_length)
        return await index.search(
            query.text,
            query.filter,
            limit=limit,
            title_boost=cast(float, title_boost),
            snippet_length=cast(int, snippet_length),
            snippets_until=call.deadline.within(_SNIPPETS_SHARE * call.deadline.remaining).at,
        )

    async def suggest(self, query: Query, *, call: Call) -> str:
        index = self._index(query)
        call.check()
        return await index.suggest(query.text, check=call.check)

    def _index(self, query: Query) -> TantivyIndex:
        index = self._indexes.get((query.collection, query.generation))
        if index is None:
            raise NotFound("collection", query.collection)
        return index

    def _forget(self, closed: TantivyIndex) -> None:
        self._indexes = {key: index for key, index in self._indexes.items() if index is not closed}
