"""A client that blocks: for scripts, notebooks and threads."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Self, TypeVar, Unpack

from tamis.client import calls
from tamis.client.calls import Call, Pages
from tamis.client.connection import TENANT_HEADER, Connection, Stamped, Stubs, Tls, Token
from tamis.client.documents import (
    Collection,
    DeadLetter,
    Deleted,
    Document,
    IndexState,
    MetadataPatch,
    Patched,
    Pipeline,
    Plugin,
    Retried,
    ServerInfo,
    Written,
)
from tamis.client.errors import CallError, typed_errors
from tamis.client.filters import Filter
from tamis.client.hits import Passage
from tamis.client.options import SearchOptions
from tamis.client.results import GenerateEvent, RerankEvent, SearchEvent, SearchResult
from tamis.client.retries import Attempts, RetryBudget, RetryPolicy
from tamis.client.values import Value
from tamis.client.writing import AnyDocument, Outbox, Writing, batched
from tamis.v1 import search_service_pb2

__all__ = ["Client"]

T = TypeVar("T")

_NO_OVERRIDES: Mapping[str, Mapping[str, Value]] = {}


class Client:
    """A connection to a server. Thread-safe; its methods raise `CallError`.

    Every call has a deadline: `timeout` seconds, that of the method or else that of the client. Of a search it is the
    budget that the server spends. A call that meets no server (UNAVAILABLE) is sent again within its deadline by
    `retries`, unless that could do a thing twice. Streams are generators: closing one cancels its call.
    """

    def __init__(
        self,
        address: str,
        *,
        timeout: float = 10.0,
        tls: Tls | bool = False,
        token: Token = "",
        tenant: str = "",
        tenant_header: str = TENANT_HEADER,
        metadata: Mapping[str, str] | None = None,
        retries: RetryPolicy = RetryPolicy(),  # noqa: B008
    ) -> None:
        """`address` is `HOST:PORT`. Connects when first used.

        `tls=True` trusts the public authorities. `token` is sent as `authorization: Bearer …`, `metadata` as it is, for
        what stands before the server; `tenant` as a proxy would, for a server that takes it from `tenant_header`.
        """
        self._connection = Connection.of(address, tls, token, tenant, tenant_header, metadata or {})
        self._timeout, self._retries, self._budget = timeout, retries, RetryBudget(retries)
        self._channel = self._connection.channel()
        self._closed = threading.Event()
        self.stubs = Stubs(Stamped(self._channel, self._connection.stamps))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Client({self._connection.address!r})"

    def close(self) -> None:
        """Ends the calls under way, which raise `Cancelled`, and the connection. May be called twice."""
        self._closed.set()
        self._channel.close()

    def search(
        self, collection: str, query: str = "", *, timeout: float | None = None, **options: Unpack[SearchOptions]
    ) -> SearchResult:
        """Runs a whole pipeline: hits and, where it has a generator, an answer."""
        return self._one(calls.search(collection, query, options), timeout)

    def retrieve(
        self, collection: str, query: str = "", *, timeout: float | None = None, **options: Unpack[SearchOptions]
    ) -> SearchResult:
        """Runs the retrieving part of a pipeline."""
        return self._one(calls.retrieve(collection, query, options), timeout)

    def pages(
        self, collection: str, query: str = "", *, timeout: float | None = None, **options: Unpack[SearchOptions]
    ) -> Iterator[SearchResult]:
        """Retrieves one page after another, to the end of what the pipeline finds. `timeout` is that of each page."""
        while True:
            page = self.retrieve(collection, query, timeout=timeout, **options)
            yield page
            if not page.next_page_token:
                return
            options["page_token"] = page.next_page_token

    def stream_search(
        self, collection: str, query: str = "", *, timeout: float | None = None, **options: Unpack[SearchOptions]
    ) -> Generator[SearchEvent, None, None]:
        """The events of a search as they come."""
        return self._many(calls.stream_search(collection, query, options), timeout)

    def batch_search(
        self, requests: Sequence[search_service_pb2.SearchRequest], *, timeout: float | None = None
    ) -> Generator[tuple[int, SearchResult | CallError], None, None]:
        """Several `search_request`s, at most 100, side by side: the place of each and what became of it, once done."""
        return self._many(calls.batch_search(requests), timeout)

    def rerank(
        self,
        query: str,
        passages: Iterable[Passage],
        *,
        pipeline: str = "",
        page_size: int = 0,
        stage_overrides: Mapping[str, Mapping[str, Value]] = _NO_OVERRIDES,
        timeout: float | None = None,
    ) -> SearchResult:
        """Orders passages of yours by the rerankers of a pipeline."""
        return self._one(calls.rerank(query, tuple(passages), pipeline, page_size, stage_overrides), timeout)

    def stream_rerank(
        self,
        query: str,
        passages: Iterable[Passage],
        *,
        pipeline: str = "",
        page_size: int = 0,
        stage_overrides: Mapping[str, Mapping[str, Value]] = _NO_OVERRIDES,
        timeout: float | None = None,
    ) -> Generator[RerankEvent, None, None]:
        """The events of a reranking as they come."""
        call = calls.stream_rerank(query, tuple(passages), pipeline, page_size, stage_overrides)
        return self._many(call, timeout)

    def generate(
        self,
        query: str,
        passages: Iterable[Passage],
        *,
        pipeline: str = "",
        stage_overrides: Mapping[str, Mapping[str, Value]] = _NO_OVERRIDES,
        timeout: float | None = None,
    ) -> Generator[GenerateEvent, None, None]:
        """An answer from passages of yours, best first, as it is written."""
        return self._many(calls.generate(query, tuple(passages), pipeline, stage_overrides), timeout)

    def write(
        self, collection: str, documents: Iterable[AnyDocument], *, batch_size: int = 64, timeout: float = 60.0
    ) -> Written:
        """Writes documents and returns once all are durable. As `stream_write`, in sum."""
        return sum(self.stream_write(collection, documents, batch_size=batch_size, timeout=timeout), Written())

    def stream_write(
        self, collection: str, documents: Iterable[AnyDocument], *, batch_size: int = 64, timeout: float = 60.0
    ) -> Generator[Written, None, None]:
        """Writes documents in batches while the acknowledgements are taken; what one covers is durable.

        When the server goes away, what it has not acknowledged is sent again, for about a minute; each batch has a
        request id, so that one it had written is not written twice. A server that acknowledges nothing for `timeout`
        seconds, or at most twice that, is given up. Documents are taken on a thread of their own.
        """
        outbox = Outbox(collection, is_patient=self._retries.most_attempts > 1)
        writing = Writing(outbox, batched(documents, batch_size), self._closed.wait)
        self._open()
        return writing.run(lambda requests: self.stubs.index.WriteDocuments(requests, timeout=timeout))

    def wait_indexed(self, collection: str, sequence: int = 0, *, timeout: float = 60.0) -> tuple[IndexState, ...]:
        """Returns once everything up to `sequence` can be found; 0 stands for everything written so far."""
        return self._one(calls.wait_indexed(collection, sequence), timeout)

    def create_collection(
        self, collection: str, *, language: str = "", tenant_partitioned: bool = False, timeout: float | None = None
    ) -> Collection:
        """Raises `AlreadyExists`. Not sent again."""
        return self._one(calls.create_collection(collection, language, tenant_partitioned), timeout)

    def collection(self, collection: str, *, timeout: float | None = None) -> Collection:
        """Raises `NotFound`."""
        return self._one(calls.collection(collection), timeout)

    def collections(self, *, timeout: float | None = None) -> Iterator[Collection]:
        """All of them, by id."""
        return self._all(calls.collections(), timeout)

    def delete_collection(self, collection: str, *, timeout: float | None = None) -> None:
        """With all that is in it. Raises `NotFound`. Not sent again."""
        self._one(calls.delete_collection(collection), timeout)

    def document(self, collection: str, document_id: str, *, timeout: float | None = None) -> Document:
        """Raises `NotFound`."""
        return self._one(calls.document(collection, document_id), timeout)

    def documents(self, collection: str, *, page_size: int = 100, timeout: float | None = None) -> Iterator[Document]:
        """All of them, by id, without their texts; asked for page by page as they are needed."""
        return self._all(calls.documents(collection, page_size), timeout)

    def delete_documents(
        self,
        collection: str,
        document_ids: Iterable[str] = (),
        *,
        filter: Filter | None = None,
        request_id: str = "",
        timeout: float | None = None,
    ) -> Deleted:
        """Deletes by ids, at most 1,000, or by a filter, all or none. Sent again under its `request_id`."""
        return self._one(calls.delete_documents(collection, document_ids, filter, request_id), timeout)

    def patch_metadata(
        self, collection: str, patches: Iterable[MetadataPatch], *, request_id: str = "", timeout: float | None = None
    ) -> Patched:
        """Changes metadata, at most 1,000 documents, all or none. Sent again under its `request_id`."""
        return self._one(calls.patch_metadata(collection, patches, request_id), timeout)

    def dead_letters(
        self, collection: str, *, page_size: int = 100, timeout: float | None = None
    ) -> Iterator[DeadLetter]:
        """The documents that an index could not take."""
        return self._all(calls.dead_letters(collection, page_size), timeout)

    def retry_dead_letters(
        self, collection: str, document_ids: Iterable[str] = (), *, timeout: float | None = None
    ) -> Retried:
        """Has the indexes try again; all dead letters without ids. Not sent again."""
        return self._one(calls.retry_dead_letters(collection, document_ids), timeout)

    def pipelines(self, *, timeout: float | None = None) -> Iterator[Pipeline]:
        """The configured ones, by name."""
        return self._all(calls.pipelines(), timeout)

    def plugins(self, *, timeout: float | None = None) -> Iterator[Plugin]:
        """The installed ones, by group and name."""
        return self._all(calls.plugins(), timeout)

    def server_info(self, *, timeout: float | None = None) -> ServerInfo:
        """The server's version and limits."""
        return self._one(calls.server_info(), timeout)

    def _one(self, call: Call[T], timeout: float | None) -> T:
        attempts = self._attempts(call, timeout)
        while True:
            self._open()
            try:
                with typed_errors():
                    response = call.of(self.stubs)(call.request, timeout=attempts.remaining)
            except CallError as error:
                pause = attempts.pause_after(error)
                if pause is None or self._closed.wait(pause):
                    raise
            else:
                attempts.succeeded()
                return call.read(response)

    def _many(self, call: Call[T | None], timeout: float | None) -> Generator[T, None, None]:
        attempts, has_begun = self._attempts(call, timeout), False
        while True:
            self._open()
            stream = call.of(self.stubs)(call.request, timeout=attempts.remaining)
            try:
                with typed_errors():
                    for response in stream:
                        has_begun = True
                        if (event := call.read(response)) is not None:
                            yield event
                attempts.succeeded()
                return
            except CallError as error:
                pause = attempts.pause_after(error, has_begun=has_begun)
                if pause is None or self._closed.wait(pause):
                    raise
            finally:
                stream.cancel()

    def _all(self, pages: Pages[T], timeout: float | None) -> Iterator[T]:
        token = ""
        while True:
            items, token = self._one(pages.page(token), timeout)
            yield from items
            if not token:
                return

    def _attempts(self, call: Call[T], timeout: float | None) -> Attempts:
        seconds = self._timeout if timeout is None else timeout
        return Attempts(self._retries, self._budget, seconds, is_repeatable=call.is_repeatable)

    def _open(self) -> None:
        if self._closed.is_set():
            raise RuntimeError("the client is closed")
