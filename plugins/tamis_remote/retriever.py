"""Retrievers that run elsewhere, with or without an index to keep in step."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing, suppress
from pathlib import Path

from tamis.context import Call
from tamis.errors import ConfigurationError, NotFound, Unavailable
from tamis.hosting.description import PluginRole
from tamis.model import Candidate, Query
from tamis.stage import Index, Retriever
from tamis.v1 import plugin_service_pb2 as pb
from tamis.wire.plugin_calls import add_report
from tamis.wire.plugin_values import to_candidate
from tamis.wire.server_filters import from_filter
from tamis_remote.index import RemoteIndex, key_of
from tamis_remote.remote import Remote
from tamis_remote.settings import RemoteSettings

__all__ = ["RemoteRetriever"]


class RemoteRetriever(Remote, Retriever):
    """Finds candidates on another machine. An index that it keeps there is at one address."""

    role = PluginRole.RETRIEVER

    def __init__(self, settings: RemoteSettings) -> None:
        super().__init__(settings)
        self._indexes: dict[tuple[str, int], RemoteIndex] = {}

    async def open(self) -> None:
        await super().open()
        if self.described.keeps_index and len(self.settings.addresses) > 1:
            raise ConfigurationError(f"{self.connection.where} keeps an index, which is at one address: name that one")

    async def open_index(
        self, collection: str, generation: int, *, directory: Path, language: str = ""
    ) -> Index | None:
        """While the other machine is away the index opens all the same, and is made or checked once it is back."""
        if not self.described.keeps_index:
            return None
        reference = pb.IndexReference(key=key_of(collection, generation, directory), language=language)
        index = RemoteIndex(self, reference, self._forget)
        with suppress(Unavailable):
            await index.checkpoint()
        self._indexes[collection, generation] = index
        return index

    async def retrieve(self, query: Query, *, limit: int, call: Call) -> Sequence[Candidate]:
        request = pb.PluginServiceRetrieveRequest(
            call=self.calling(call), query=query.text, collection=query.collection, candidate_limit=limit
        )
        if self.described.keeps_index:
            index = self._indexes.get((query.collection, query.generation))
            if index is None:
                raise NotFound("collection", query.collection)
            request.index.CopyFrom(index.reference)
        if query.filter is not None:
            request.filter.CopyFrom(from_filter(query.filter))
        try:
            return await self._candidates(request, call)
        except NotFound:
            if self.described.keeps_index:
                raise Unavailable(f"{self.connection.where} has no index of this collection") from None
            raise

    async def _candidates(self, request: pb.PluginServiceRetrieveRequest, call: Call) -> list[Candidate]:
        found: list[Candidate] = []
        connection = self.connection
        async with aclosing(connection.many(connection.stub.Retrieve, request, call)) as responses:
            async for response in responses:
                add_report(call, response.report)
                for each in map(to_candidate, response.candidates):
                    if each is None:
                        call.note("score that is not finite dropped")
                    else:
                        found.append(each)
        return found[: request.candidate_limit]

    def _forget(self, closed: RemoteIndex) -> None:
        self._indexes = {key: index for key, index in self._indexes.items() if index is not closed}
