"""The calls of IndexService on documents that an index could not take."""

from __future__ import annotations

from typing import Any, TypeAlias

import grpc

from tamis.errors import InvalidRequest
from tamis.service import Tamis
from tamis.v1 import index_service_pb2 as pb
from tamis.wire.checks import collection_id, distinct, identifier, page_size
from tamis.wire.dead_letters import from_dead_letter, from_place, to_place

__all__ = ["DeadLetterCalls"]

Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]
_MOST_IDS = 1_000


class DeadLetterCalls:
    """A part of IndexService."""

    _tamis: Tamis

    async def ListDeadLetters(  # noqa: N802
        self, request: pb.ListDeadLettersRequest, context: Context
    ) -> pb.ListDeadLettersResponse:
        collection = collection_id(request.collection)
        limit = page_size(request.page_size, default=10, most=1_000)
        found = await self._tamis.dead_letters(collection, limit=limit + 1, after=to_place(request.page_token))
        token = from_place(found[limit - 1]) if len(found) > limit else ""
        letters = [from_dead_letter(each) for each in found[:limit]]
        return pb.ListDeadLettersResponse(dead_letters=letters, next_page_token=token)

    async def RetryDeadLetters(  # noqa: N802
        self, request: pb.RetryDeadLettersRequest, context: Context
    ) -> pb.RetryDeadLettersResponse:
        collection = collection_id(request.collection)
        ids = request.document_ids
        if len(ids) > _MOST_IDS:
            raise InvalidRequest.of("document_ids", f"holds {len(ids):,} ids; at most {_MOST_IDS:,} are allowed")
        checked = [identifier(each, f"document_ids[{place}]") for place, each in enumerate(ids)]
        distinct(checked, "document_ids[{}]")
        written = await self._tamis.retry_dead_letters(collection, checked)
        return pb.RetryDeadLettersResponse(retried_count=written.written_count, sequence=written.sequence)
