"""A connection to a server."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any, Self

import grpc

from tamis.client.errors import typed_errors
from tamis.client.writing import Writing
from tamis.v1 import (
    catalog_service_pb2_grpc,
    filter_pb2,
    index_service_pb2,
    index_service_pb2_grpc,
    passage_pb2,
    search_service_pb2,
    search_service_pb2_grpc,
)

__all__ = ["Client"]

_BATCH_BYTES = 4 << 20


class Client:
    """The stubs of all services on one channel, as `search`, `index` and `catalog`, and the calls that need more.

    The methods of this class raise `CallError`; the stubs themselves raise `grpc.RpcError`. Thread-safe.
    """

    def __init__(self, address: str) -> None:
        """`address` is `HOST:PORT`. Connects when first used."""
        options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
        self._channel = grpc.insecure_channel(address, options=options)
        self.search = search_service_pb2_grpc.SearchServiceStub(self._channel)
        self.index = index_service_pb2_grpc.IndexServiceStub(self._channel)
        self.catalog = catalog_service_pb2_grpc.CatalogServiceStub(self._channel)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the calls under way and the connection."""
        self._channel.close()

    def stream_search(
        self,
        collection: str,
        query: str,
        *,
        pipeline: str = "",
        page_size: int = 0,
        document_hit_limit: int = 0,
        filter: filter_pb2.Filter | None = None,
        timeout: float | None = None,
        **fields: Any,
    ) -> Iterator[search_service_pb2.StreamSearchResponse]:
        """The events of a search as they come. `timeout`, in seconds, is the budget that the server spends.

        `fields` are further fields of `StreamSearchRequest`: `page_token`, `facet_specs`, `boosts` and so on. Closing
        the iterator, or leaving it to be collected, cancels the search.
        """
        request = search_service_pb2.StreamSearchRequest(
            collection=collection,
            query=query,
            pipeline=pipeline,
            page_size=page_size,
            document_hit_limit=document_hit_limit,
            filter=filter,
            **fields,
        )
        with typed_errors():
            call = self.search.StreamSearch(request, timeout=timeout)
            try:
                yield from call
            finally:
                call.cancel()

    def stream_rerank(
        self,
        query: str,
        passages: Iterable[passage_pb2.Passage],
        *,
        pipeline: str = "",
        page_size: int = 0,
        timeout: float | None = None,
        **fields: Any,
    ) -> Iterator[search_service_pb2.StreamRerankResponse]:
        """The events of a reranking as they come; hits carry the passages' ids alone. `timeout` as in `stream_search`.

        `fields` are further fields of `StreamRerankRequest`. Closing the iterator cancels the call.
        """
        request = search_service_pb2.StreamRerankRequest(
            query=query, passages=passages, pipeline=pipeline, page_size=page_size, **fields
        )
        with typed_errors():
            call = self.search.StreamRerank(request, timeout=timeout)
            try:
                yield from call
            finally:
                call.cancel()

    def batch_search(
        self, requests: Sequence[search_service_pb2.SearchRequest], *, timeout: float | None = None
    ) -> Iterator[tuple[int, search_service_pb2.SearchResponse | search_service_pb2.SearchFailure]]:
        """Several searches side by side: the place of each among the requests and what became of it, as it is done.

        Closing the iterator, or leaving it to be collected, cancels what still runs.
        """
        request = search_service_pb2.BatchSearchRequest(requests=requests)
        with typed_errors():
            call = self.search.BatchSearch(request, timeout=timeout)
            try:
                for each in call:
                    yield each.request_index, each.response if each.HasField("response") else each.failure
            finally:
                call.cancel()

    def write(
        self, collection: str, documents: Iterable[passage_pb2.Document], *, batch_size: int = 64
    ) -> Iterator[index_service_pb2.WriteDocumentsResponse]:
        """Writes documents in batches and yields each acknowledgement; what it covers is durable.

        When the server goes away, the batches that it has not acknowledged are sent again, for about a minute; each
        has a request id, so that one it had written is not written twice.
        """
        writing = Writing(collection, _batches(documents, batch_size))
        yield from writing.run(self.index.WriteDocuments)

    def wait_indexed(self, collection: str, sequence: int = 0, *, timeout: float | None = None) -> None:
        """Returns once everything up to `sequence` can be found; 0 stands for everything written so far."""
        request = index_service_pb2.WaitIndexedRequest(collection=collection, sequence=sequence)
        with typed_errors():
            self.index.WaitIndexed(request, timeout=timeout)


def _batches(documents: Iterable[passage_pb2.Document], size: int) -> Iterator[list[passage_pb2.Document]]:
    batch: list[passage_pb2.Document] = []
    byte_count = 0
    for each in documents:
        if batch and (len(batch) == size or byte_count + each.ByteSize() > _BATCH_BYTES):
            yield batch
            batch, byte_count = [], 0
        batch.append(each)
        byte_count += each.ByteSize()
    if batch:
        yield batch
