"""The qdrant retriever: dense vectors in the embedded engine or on a server, and the collection that others share."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from tamis.component import Capabilities
from tamis.context import Call
from tamis.errors import ConfigurationError, NotFound, Overloaded, Unavailable
from tamis.filters import Operator
from tamis.model import Candidate, Query, ScoreKind
from tamis.models import TextKind
from tamis.stage import Index, Retriever
from tamis_qdrant.address import Address
from tamis_qdrant.embedded.index import EmbeddedIndex
from tamis_qdrant.embedded.process import ShardShape
from tamis_qdrant.naming import collection_name
from tamis_qdrant.settings import QdrantSettings
from tamis_qdrant.vectors import DenseVectors, NamedVectors

if TYPE_CHECKING:
    from tamis_qdrant.server.connection import Connection
    from tamis_qdrant.server.index import ServerIndex

__all__ = ["QdrantRetriever", "SharesIndex"]

_LOG = structlog.get_logger(__name__)
_LONGEST_PAUSE = 30.0


class SharesIndex:
    """A stage that searches the collections of a `QdrantRetriever`; `host` is that one."""

    host: QdrantRetriever


class QdrantRetriever(Retriever, SharesIndex):
    """Finds passages whose vectors are nearest to the query's, by cosine: exactly for few, by an HNSW graph for many
    (Malkov and Yashunin, 2016). Filters are pushed down, exactly or as a superset."""

    Settings = QdrantSettings
    capabilities = Capabilities(score_kind=ScoreKind.COSINE, filter_operators=frozenset(Operator))

    def __init__(self, settings: QdrantSettings) -> None:
        super().__init__(settings)
        self._settings, self._embedder, self.host = settings, settings.embedder, self
        self._key = _key(settings)
        self._vectors = DenseVectors(settings.vector, settings.embedder)
        self._shared: dict[object, NamedVectors] = {self: self._vectors}
        self._embedded: dict[tuple[str, int], EmbeddedIndex] = {}
        self._on_server: dict[tuple[str, int], ServerIndex] = {}
        self._leftovers: dict[str, asyncio.Task[None]] = {}
        self._connection: Connection | None = None
        self._work = ThreadPoolExecutor(1, thread_name_prefix="qdrant-work")

    async def open(self) -> None:
        if self._settings.url:
            from tamis_qdrant.server.connection import Connection  # takes seconds, which the embedded engine need not

            self._connection = Connection(Address.parse(self._settings.url), self._key, self._settings.ca_file)

    async def close(self) -> None:
        indexes: list[EmbeddedIndex | ServerIndex] = [*self._embedded.values(), *self._on_server.values()]
        for index in indexes:
            await index.close()
        for leftover in self._leftovers.values():
            leftover.cancel()
        await asyncio.gather(*self._leftovers.values(), return_exceptions=True)
        if self._connection is not None:
            await self._connection.close()
        self._work.shutdown(wait=True)

    def share(self, stage: object, vectors: NamedVectors) -> None:
        """Keeps these vectors of every passage, too, in collections opened from now on, for `stage`.

        Raises `ConfigurationError` when the name is taken by other vectors, or the engine is embedded.
        """
        if not self._settings.url:
            raise ConfigurationError("only a Qdrant server keeps these vectors; give the stage of `index` a url")
        for each in self._shared.values():
            if each.name == vectors.name and each.definition != vectors.definition:
                raise ConfigurationError(f"other vectors are named {vectors.name!r}; choose another `vector`")
        self._shared[stage] = vectors

    def unshare(self, stage: object) -> None:
        """Takes back what `share` did. Idempotent."""
        self._shared.pop(stage, None)

    async def open_index(self, collection: str, generation: int, *, directory: Path, language: str = "") -> Index:
        """On a server that is away the index opens all the same, and is made or checked once it is back."""
        key = (collection, generation)
        if self._connection is None:
            self._embedded[key] = await self._open_embedded(directory)
            return self._embedded[key]
        name = collection_name(self._settings.prefix, collection, generation, directory)
        self._on_server[key] = await self._open_on_server(self._connection, name, language)
        return self._on_server[key]

    async def retrieve(self, query: Query, *, limit: int, call: Call) -> Sequence[Candidate]:
        index = self._embedded.get((query.collection, query.generation))
        if index is None:
            return await self.search(self, query, limit=limit, call=call)
        (vector,) = await self._embedder.embed([query.text], kind=TextKind.QUERY, call=call)
        return await index.search(vector, query.filter, limit=limit, deadline=call.deadline)

    async def search(self, stage: object, query: Query, *, limit: int, call: Call) -> Sequence[Candidate]:
        """What a stage finds by the vectors it shares. Goes to the server in one request with those of its companions.

        Raises `NotFound` for a collection or generation that has no index there.
        """
        index = self._on_server.get((query.collection, query.generation))
        if index is None:
            raise NotFound("collection", query.collection)
        found = call.companions.components
        among = frozenset(each for each in found if isinstance(each, SharesIndex) and each.host is self)
        vectors = self._shared[stage]
        return await index.search(vectors, query, limit=limit, call=call, stage=stage, among=among)

    async def _open_embedded(self, directory: Path) -> EmbeddedIndex:
        return await EmbeddedIndex.open(
            directory,
            self._embedder,
            shape=ShardShape(
                self._embedder.dimensions,
                self._settings.index_from,
                self._settings.quantization,
                self._settings.on_disk,
            ),
            files=self._work,
            closed=self._forget,
        )

    async def _open_on_server(self, connection: Connection, name: str, language: str) -> ServerIndex:
        from tamis_qdrant.server.index import ServerIndex

        distinct = {each.name: each for each in self._shared.values()}
        vectors = [*distinct.values()]
        if (leftover := self._leftovers.pop(name, None)) is not None:
            leftover.cancel()
        index = ServerIndex(
            connection, name, vectors, language, self._settings, self._work, self._forget, self._delete_later
        )
        try:
            await index.prepare()
        except (Unavailable, Overloaded) as error:
            _LOG.warning("qdrant server is away; the index waits for it", collection=name, reason=error.message)
        return index

    def _delete_later(self, index: ServerIndex) -> None:
        """Goes on trying until the server is back, or Tamis ends."""

        async def delete() -> None:
            for turn in count():
                await asyncio.sleep(min(_LONGEST_PAUSE, 0.1 * 2 ** min(turn, 10)))
                with suppress(Unavailable, Overloaded):
                    await index.delete()
                    return

        self._leftovers[index.name] = asyncio.create_task(delete())

    def _forget(self, closed: EmbeddedIndex | ServerIndex) -> None:
        self._embedded = {key: index for key, index in self._embedded.items() if index is not closed}
        self._on_server = {key: index for key, index in self._on_server.items() if index is not closed}


def _key(settings: QdrantSettings) -> str:
    key = settings.api_key.get_secret_value()
    if settings.api_key_file is not None:
        try:
            key = settings.api_key_file.expanduser().read_text().strip()
        except OSError as error:
            raise ConfigurationError(f"api_key_file: {settings.api_key_file}: {error.strerror}") from error
    if not (key.isascii() and (key.isprintable() or not key)):
        raise ConfigurationError("the key holds characters that no key has")
    return key
