"""The dense retriever."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated

from pydantic import Field

from tamis.component import Capabilities, Ref, Settings
from tamis.context import Call
from tamis.errors import NotFound
from tamis.filters import Operator
from tamis.model import Candidate, Query, ScoreKind
from tamis.models import Embedder, TextKind
from tamis.stage import Index, Retriever
from tamis_qdrant.index import QdrantIndex

__all__ = ["QdrantRetriever", "QdrantSettings"]


class QdrantSettings(Settings):
    """`index_from` is the number of vectors outside the graph from which a new one is built; below it the exact
    search is as fast."""

    embedder: Ref[Embedder]
    index_from: Annotated[int, Field(ge=100)] = 10_000


class QdrantRetriever(Retriever):
    """Finds passages whose vectors are nearest to the query's, by cosine: exactly for few, by an HNSW graph for many
    (Malkov and Yashunin, 2016). Filters are pushed down, exactly or as a superset. One process per collection."""

    Settings = QdrantSettings
    capabilities = Capabilities(score_kind=ScoreKind.COSINE, filter_operators=frozenset(Operator))

    def __init__(self, settings: QdrantSettings) -> None:
        super().__init__(settings)
        self._settings = settings
        self._embedder: Embedder = settings.embedder
        self._indexes: dict[str, QdrantIndex] = {}
        self._files = ThreadPoolExecutor(1, thread_name_prefix="qdrant-files")

    async def close(self) -> None:
        for index in self._indexes.values():
            await index.close()
        self._files.shutdown(wait=True)

    async def open_index(self, collection: str, generation: int, *, directory: Path, language: str = "") -> Index:
        index = await QdrantIndex.open(
            directory,
            self._embedder,
            index_from=self._settings.index_from,
            files=self._files,
            closed=self._forget,
        )
        self._indexes[collection] = index
        return index

    async def retrieve(self, query: Query, *, limit: int, call: Call) -> Sequence[Candidate]:
        index = self._indexes.get(query.collection)
        if index is None:
            raise NotFound("collection", query.collection)
        (vector,) = await self._embedder.embed([query.text], kind=TextKind.QUERY, call=call)
        return await index.search(vector, query.filter, limit=limit, deadline=call.deadline)

    def _forget(self, closed: QdrantIndex) -> None:
        self._indexes = {name: index for name, index in self._indexes.items() if index is not closed}
