"""What each call sends, whether it may be sent twice, and how its answer is read: all that both clients share."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from google.protobuf.message import Message

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
)
from tamis.client.errors import CallError, error_of
from tamis.client.errors import FieldViolation as Violation
from tamis.client.filters import Filter
from tamis.client.hits import Passage
from tamis.client.options import SearchOptions, fields_of, overrides_of, search_request
from tamis.client.reading import Events, from_passage, reranked, retrieved, searched
from tamis.client.results import GenerateEvent, RerankEvent, SearchEvent, SearchResult
from tamis.client.values import Value
from tamis.v1 import catalog_service_pb2, search_service_pb2
from tamis.v1 import index_service_pb2 as pb

__all__ = ["Call", "Pages"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One call of one method of one stub. `read` is given the response, or each response of a stream."""

    stub: str
    method: str
    request: Message
    read: Callable[[Any], T]
    is_repeatable: bool = True
    """Whether the server, given the same request twice, is as if given it once."""

    def of(self, stubs: Any) -> Any:
        """What the stubs call."""
        return getattr(getattr(stubs, self.stub), self.method)


def search(collection: str, query: str, options: SearchOptions) -> Call[SearchResult]:
    return Call("search", "Search", search_request(collection, query, **options), searched)


def retrieve(collection: str, query: str, options: SearchOptions) -> Call[SearchResult]:
    request = search_service_pb2.RetrieveRequest(collection=collection, query=query, **fields_of(options))
    return Call("search", "Retrieve", request, retrieved)


def stream_search(collection: str, query: str, options: SearchOptions) -> Call[SearchEvent | None]:
    request = search_service_pb2.StreamSearchRequest(collection=collection, query=query, **fields_of(options))
    return Call("search", "StreamSearch", request, Events().search)


def batch_search(
    requests: Sequence[search_service_pb2.SearchRequest],
) -> Call[tuple[int, SearchResult | CallError] | None]:
    def read(message: search_service_pb2.BatchSearchResponse) -> tuple[int, SearchResult | CallError]:
        if message.HasField("response"):
            return message.request_index, searched(message.response)
        failure = message.failure
        violations = tuple(Violation(*each.partition(": ")[::2]) for each in failure.violations)
        return message.request_index, error_of(failure.code, failure.message, failure.reason, {}, violations)

    return Call("search", "BatchSearch", search_service_pb2.BatchSearchRequest(requests=requests), read)


def rerank(
    query: str,
    passages: Sequence[Passage],
    pipeline: str,
    page_size: int,
    overrides: Mapping[str, Mapping[str, Value]],
) -> Call[SearchResult]:
    request = search_service_pb2.RerankRequest(
        query=query,
        passages=map(from_passage, passages),
        pipeline=pipeline,
        page_size=page_size,
        stage_overrides=overrides_of(overrides),
    )
    return Call("search", "Rerank", request, lambda message: reranked(message, passages))


def stream_rerank(
    query: str,
    passages: Sequence[Passage],
    pipeline: str,
    page_size: int,
    overrides: Mapping[str, Mapping[str, Value]],
) -> Call[RerankEvent | None]:
    request = search_service_pb2.StreamRerankRequest(
        query=query,
        passages=map(from_passage, passages),
        pipeline=pipeline,
        page_size=page_size,
        stage_overrides=overrides_of(overrides),
    )
    return Call("search", "StreamRerank", request, Events({each.id: each for each in passages}).rerank)


def generate(
    query: str, passages: Sequence[Passage], pipeline: str, overrides: Mapping[str, Mapping[str, Value]]
) -> Call[GenerateEvent | None]:
    request = search_service_pb2.GenerateRequest(
        query=query,
        passages=map(from_passage, passages),
        pipeline=pipeline,
        stage_overrides=overrides_of(overrides),
    )
    return Call("search", "Generate", request, Events().generate)


def create_collection(collection: str, language: str, tenant_partitioned: bool) -> Call[Collection]:
    request = pb.CreateCollectionRequest(
        collection=collection, language=language, tenant_partitioned=tenant_partitioned
    )
    return Call(
        "index", "CreateCollection", request, lambda found: Collection.of(found.collection), is_repeatable=False
    )


def collection(collection: str) -> Call[Collection]:
    request = pb.GetCollectionRequest(collection=collection)
    return Call("index", "GetCollection", request, lambda found: Collection.of(found.collection))


def delete_collection(collection: str) -> Call[None]:
    request = pb.DeleteCollectionRequest(collection=collection)
    return Call("index", "DeleteCollection", request, lambda _: None, is_repeatable=False)


def document(collection: str, document_id: str) -> Call[Document]:
    request = pb.GetDocumentRequest(collection=collection, document_id=document_id)
    return Call("index", "GetDocument", request, lambda found: Document.of(found.document))


def delete_documents(collection: str, ids: Iterable[str], filter: Filter | None, request_id: str) -> Call[Deleted]:
    if isinstance(ids, str):
        raise TypeError("document_ids takes several ids, such as a list of strings")
    request = pb.DeleteDocumentsRequest(
        collection=collection,
        document_ids=ids,
        filter=None if filter is None else filter.message,
        request_id=request_id or new_request_id(),
    )
    return Call("index", "DeleteDocuments", request, Deleted.of)


def patch_metadata(collection: str, patches: Iterable[MetadataPatch], request_id: str) -> Call[Patched]:
    request = pb.PatchMetadataRequest(
        collection=collection,
        patches=[each.message for each in patches],
        request_id=request_id or new_request_id(),
    )
    return Call("index", "PatchMetadata", request, Patched.of)


def retry_dead_letters(collection: str, ids: Iterable[str]) -> Call[Retried]:
    request = pb.RetryDeadLettersRequest(collection=collection, document_ids=ids)
    return Call("index", "RetryDeadLetters", request, Retried.of, is_repeatable=False)


def wait_indexed(collection: str, sequence: int) -> Call[tuple[IndexState, ...]]:
    request = pb.WaitIndexedRequest(collection=collection, sequence=sequence)
    return Call("index", "WaitIndexed", request, lambda found: tuple(map(IndexState.of, found.indexes)))


def server_info() -> Call[ServerInfo]:
    return Call("catalog", "GetServerInfo", catalog_service_pb2.GetServerInfoRequest(), ServerInfo.of)


@dataclass(frozen=True, slots=True)
class Pages(Generic[T]):
    """A list that comes page by page."""

    stub: str
    method: str
    request: Any
    read: Callable[[Any], T]
    field: str

    def page(self, token: str) -> Call[tuple[list[T], str]]:
        """The items of the page that a token asks for, and the token of the next."""
        request = type(self.request)()
        request.CopyFrom(self.request)
        request.page_token = token
        return Call(self.stub, self.method, request, self._read)

    def _read(self, message: Any) -> tuple[list[T], str]:
        return [self.read(each) for each in getattr(message, self.field)], message.next_page_token


def collections() -> Pages[Collection]:
    return Pages("index", "ListCollections", pb.ListCollectionsRequest(page_size=100), Collection.of, "collections")


def documents(collection: str, page_size: int) -> Pages[Document]:
    request = pb.ListDocumentsRequest(collection=collection, page_size=page_size)
    return Pages("index", "ListDocuments", request, Document.of, "documents")


def dead_letters(collection: str, page_size: int) -> Pages[DeadLetter]:
    request = pb.ListDeadLettersRequest(collection=collection, page_size=page_size)
    return Pages("index", "ListDeadLetters", request, DeadLetter.of, "dead_letters")


def pipelines() -> Pages[Pipeline]:
    return Pages("catalog", "ListPipelines", catalog_service_pb2.ListPipelinesRequest(), Pipeline.of, "pipelines")


def plugins() -> Pages[Plugin]:
    return Pages("catalog", "ListPlugins", catalog_service_pb2.ListPluginsRequest(), Plugin.of, "plugins")


def new_request_id() -> str:
    """A name that no other request has."""
    return uuid.uuid4().hex
