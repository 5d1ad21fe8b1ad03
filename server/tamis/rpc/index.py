"""IndexService."""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator
from typing import Any, TypeAlias

import grpc

from tamis.deadline import Deadline
from tamis.errors import InvalidRequest
from tamis.rpc.dead_letters import DeadLetterCalls
from tamis.rpc.generations import GenerationCalls
from tamis.rpc.upkeep import UpkeepCalls
from tamis.service import Tamis
from tamis.v1 import index_service_pb2 as pb
from tamis.v1 import index_service_pb2_grpc
from tamis.wire.checks import (
    collection_id,
    decoded_page_token,
    distinct,
    encoded_page_token,
    identifier,
    page_size,
    request_id,
)
from tamis.wire.filters import to_selection
from tamis.wire.generations import from_index_state
from tamis.wire.passages import from_document, from_seconds, to_documents
from tamis.wire.patches import to_patches

__all__ = ["IndexServicer"]

Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]
_MOST_BATCH = 1_000


class IndexServicer(DeadLetterCalls, GenerationCalls, UpkeepCalls, index_service_pb2_grpc.IndexServiceServicer):
    """Validates, calls the service, converts."""

    def __init__(self, tamis: Tamis) -> None:
        self._tamis = tamis

    async def GetCollection(  # noqa: N802
        self, request: pb.GetCollectionRequest, context: Context
    ) -> pb.GetCollectionResponse:
        found = await self._tamis.collection(collection_id(request.collection))
        return pb.GetCollectionResponse(collection=self._collection(found))

    async def ListCollections(  # noqa: N802
        self, request: pb.ListCollectionsRequest, context: Context
    ) -> pb.ListCollectionsResponse:
        limit = page_size(request.page_size, default=10, most=100)
        after = decoded_page_token(request.page_token)
        found = await self._tamis.collections(limit=limit + 1, after=after)
        token = encoded_page_token(found[limit - 1].id) if len(found) > limit else ""
        collections = [self._collection(each) for each in found[:limit]]
        return pb.ListCollectionsResponse(collections=collections, next_page_token=token)

    async def CreateCollection(  # noqa: N802
        self, request: pb.CreateCollectionRequest, context: Context
    ) -> pb.CreateCollectionResponse:
        created = await self._tamis.create_collection(collection_id(request.collection), request.language)
        return pb.CreateCollectionResponse(collection=self._collection(created))

    async def DeleteCollection(  # noqa: N802
        self, request: pb.DeleteCollectionRequest, context: Context
    ) -> pb.DeleteCollectionResponse:
        await self._tamis.delete_collection(collection_id(request.collection))
        return pb.DeleteCollectionResponse()

    async def GetDocument(  # noqa: N802
        self, request: pb.GetDocumentRequest, context: Context
    ) -> pb.GetDocumentResponse:
        document_id = identifier(request.document_id, "document_id")
        found = await self._tamis.document(collection_id(request.collection), document_id)
        return pb.GetDocumentResponse(document=from_document(found))

    async def ListDocuments(  # noqa: N802
        self, request: pb.ListDocumentsRequest, context: Context
    ) -> pb.ListDocumentsResponse:
        collection = collection_id(request.collection)
        limit = page_size(request.page_size, default=10, most=1_000)
        after = decoded_page_token(request.page_token)
        found = await self._tamis.documents(collection, limit=limit + 1, after=after)
        token = encoded_page_token(found[limit - 1].id) if len(found) > limit else ""
        return pb.ListDocumentsResponse(
            documents=[from_document(each) for each in found[:limit]], next_page_token=token
        )

    async def DeleteDocuments(  # noqa: N802
        self, request: pb.DeleteDocumentsRequest, context: Context
    ) -> pb.DeleteDocumentsResponse:
        collection, name = collection_id(request.collection), request_id(request.request_id)
        ids, by_filter = request.document_ids, request.HasField("filter")
        if by_filter and ids:
            raise InvalidRequest.of("filter", "excludes document_ids: set one of them")
        if by_filter:
            written = await self._tamis.delete_matching(collection, to_selection(request.filter), name)
            return pb.DeleteDocumentsResponse(deleted_count=written.written_count, sequence=written.sequence)
        if not 1 <= len(ids) <= _MOST_BATCH:
            description = f"holds {len(ids):,} ids; 1 to {_MOST_BATCH:,} are allowed, or a filter instead"
            raise InvalidRequest.of("document_ids", description)
        checked = [identifier(each, f"document_ids[{place}]") for place, each in enumerate(ids)]
        distinct(checked, "document_ids[{}]")
        written = await self._tamis.delete_documents(collection, checked, name)
        return pb.DeleteDocumentsResponse(deleted_count=written.written_count, sequence=written.sequence)

    async def PatchMetadata(  # noqa: N802
        self, request: pb.PatchMetadataRequest, context: Context
    ) -> pb.PatchMetadataResponse:
        collection, name = collection_id(request.collection), request_id(request.request_id)
        patches = to_patches(request.patches, most=_MOST_BATCH)
        written = await self._tamis.patch_metadata(collection, patches, name)
        return pb.PatchMetadataResponse(
            written_count=written.written_count,
            unchanged_count=written.unchanged_count,
            sequence=written.sequence,
        )

    async def WaitIndexed(  # noqa: N802
        self, request: pb.WaitIndexedRequest, context: Context
    ) -> pb.WaitIndexedResponse:
        collection = collection_id(request.collection)
        if request.sequence < 0:
            raise InvalidRequest.of("sequence", "cannot be negative")
        started = time.monotonic()
        remaining = context.time_remaining()
        deadline = Deadline.after(
            math.inf if remaining is None else remaining - self._tamis.config.server.deadline_margin
        )
        states = await self._tamis.wait_indexed(collection, request.sequence, deadline=deadline)
        return pb.WaitIndexedResponse(
            indexes=[from_index_state(each) for each in states],
            elapsed_duration=from_seconds(time.monotonic() - started),
        )

    async def WriteDocuments(  # noqa: N802
        self, request_iterator: AsyncIterator[pb.WriteDocumentsRequest], context: Context
    ) -> AsyncIterator[pb.WriteDocumentsResponse]:
        collection, batch = "", 0
        async for request in request_iterator:
            batch += 1
            if not collection:
                collection = collection_id(request.collection)
            elif request.collection not in ("", collection):
                raise InvalidRequest.of("collection", f"is another one than before in this stream ({collection!r})")
            documents = to_documents(request.documents, most=_MOST_BATCH)
            written = await self._tamis.write(collection, documents, request_id(request.request_id))
            yield pb.WriteDocumentsResponse(
                batch=batch,
                sequence=written.sequence,
                written_count=written.written_count,
                unchanged_count=written.unchanged_count,
            )
