"""A real server on a free port, a client across the socket, and the fakes it may run."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
from google.rpc import error_details_pb2, status_pb2

from tamis.config import parse
from tamis.rpc.app import running
from tamis.v1 import (
    catalog_service_pb2_grpc,
    filter_pb2,
    index_service_pb2,
    index_service_pb2_grpc,
    passage_pb2,
    search_service_pb2,
    search_service_pb2_grpc,
)

__all__ = ["TEXTS", "CallFailed", "Client", "Servers", "fakes"]

TEXTS = {
    "sieve": "A drum sieve makes a sauce smooth.",
    "knife": "A dull knife is a dangerous knife.",
    "pan": "An iron pan wants oil, not a sauce.",
    "kettle": "The kettle sings when the water boils.",
    "spoon": "A wooden spoon stirs the smooth sauce. Grüße!",
}


class CallFailed(Exception):
    """A status other than OK, unpacked; there is exactly one ErrorInfo in it."""

    def __init__(self, error: grpc.aio.AioRpcError) -> None:
        super().__init__(f"{error.code().name}: {error.details()}")
        self.code = error.code()
        self.message = error.details() or ""
        trailers: dict[str, Any] = dict(error.trailing_metadata() or ())
        status = status_pb2.Status.FromString(trailers["grpc-status-details-bin"])
        assert status.code == error.code().value[0]
        (info,) = self._details(status, error_details_pb2.ErrorInfo)
        assert info.domain == "tamis"
        self.reason: str = info.reason
        self.metadata = dict(info.metadata)
        found = self._details(status, error_details_pb2.BadRequest)
        self.violations = {each.field: each.description for bad in found for each in bad.field_violations}
        self.retries = self._details(status, error_details_pb2.RetryInfo)
        self.raw = trailers["grpc-status-details-bin"] + self.message.encode()

    @staticmethod
    def _details(status: status_pb2.Status, kind: type[Any]) -> list[Any]:
        found = []
        for each in status.details:
            detail = kind()
            if each.Unpack(detail):
                found.append(detail)
        return found


class Client:
    """The stubs, and the calls that most tests make. Raises `CallFailed`."""

    def __init__(self, channel: grpc.aio.Channel, address: str) -> None:
        self.channel, self.address = channel, address
        self.index = index_service_pb2_grpc.IndexServiceStub(channel)
        self.searches = search_service_pb2_grpc.SearchServiceStub(channel)
        self.catalog = catalog_service_pb2_grpc.CatalogServiceStub(channel)

    async def create(self, collection: str = "docs") -> None:
        await self.call(self.index.CreateCollection(index_service_pb2.CreateCollectionRequest(collection=collection)))

    async def write(
        self, *batches: Sequence[passage_pb2.Document], collection: str = "docs"
    ) -> list[index_service_pb2.WriteDocumentsResponse]:
        requests = [index_service_pb2.WriteDocumentsRequest(collection=collection, documents=each) for each in batches]
        return [each async for each in self.stream(self.index.WriteDocuments(iter(requests)))]

    async def fill(self, texts: dict[str, str] | None = None, collection: str = "docs") -> None:
        """Creates a collection, writes documents, waits until they can be found."""
        await self.create(collection)
        found = TEXTS if texts is None else texts
        await self.write(
            [passage_pb2.Document(id=key, text=text) for key, text in found.items()], collection=collection
        )
        await self.wait(collection)

    async def wait(self, collection: str = "docs", sequence: int = 0) -> index_service_pb2.WaitIndexedResponse:
        request = index_service_pb2.WaitIndexedRequest(collection=collection, sequence=sequence)
        found: index_service_pb2.WaitIndexedResponse = await self.call(self.index.WaitIndexed(request, timeout=30))
        return found

    async def search(
        self, query: str, pipeline: str = "", *, timeout: float | None = 20, collection: str = "docs", **fields: Any
    ) -> search_service_pb2.SearchResponse:
        request = search_service_pb2.SearchRequest(collection=collection, query=query, pipeline=pipeline, **fields)
        found: search_service_pb2.SearchResponse = await self.call(self.searches.Search(request, timeout=timeout))
        return found

    async def events(
        self, query: str, pipeline: str = "", *, timeout: float | None = 20, collection: str = "docs", **fields: Any
    ) -> list[search_service_pb2.StreamSearchResponse]:
        request = search_service_pb2.StreamSearchRequest(
            collection=collection, query=query, pipeline=pipeline, **fields
        )
        return [each async for each in self.stream(self.searches.StreamSearch(request, timeout=timeout))]

    async def found(self, query: str, pipeline: str = "", filter: filter_pb2.Filter | None = None) -> set[str]:
        """The documents that a search finds."""
        response = await self.search(query, pipeline, filter=filter, page_size=1_000)
        return {each.passage.document_id for each in response.hits}

    async def call(self, awaited: Any) -> Any:
        try:
            return await awaited
        except grpc.aio.AioRpcError as error:
            raise CallFailed(error) from error

    async def stream(self, call: Any) -> AsyncGenerator[Any, None]:
        try:
            async for each in call:
                yield each
        except grpc.aio.AioRpcError as error:
            raise CallFailed(error) from error


class Servers:
    """Starts servers whose data stays in one folder from one to the next."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @asynccontextmanager
    async def start(self, stages: str, **server: object) -> AsyncIterator[Client]:
        """A server with the given stages and pipelines in TOML, and a client of it.

        Both share this process and its interpreter lock, so the way back is given more time than by default.
        """
        settings = {
            "listen": "127.0.0.1:0",
            "data_directory": str(self.folder),
            "deadline_margin": 0.3,
            **server,
        }
        lines = "\n".join(f"{key} = {value!r}" for key, value in settings.items())
        options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
        async with (
            running(parse(f"[server]\n{lines}\n{stages}")) as server_running,
            grpc.aio.insecure_channel(server_running.address, options=options) as channel,
        ):
            yield Client(channel, server_running.address)


def fakes(pipeline: str = "words % 50 >> rank >> answer", **behaviours: str) -> str:
    """Stages `words`, `more`, `rank`, `pick` and `answer`, each with the settings under its name."""
    plugins = {
        "words": "fake-memory",
        "more": "fake-memory",
        "rank": "fake-words",
        "pick": "fake-first",
        "answer": "fake-quotes",
    }
    tables = [f'[stages.{name}]\nplugin = "{plugin}"\n{behaviours.get(name, "")}\n' for name, plugin in plugins.items()]
    return "\n".join([*tables, f'[pipelines.default]\nexpression = "{pipeline}"\n'])
