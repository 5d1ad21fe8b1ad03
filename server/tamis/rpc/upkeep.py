"""The part of IndexService that keeps collections in good order."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any, TypeAlias

import grpc

from tamis.service import Tamis
from tamis.v1 import index_service_pb2 as pb
from tamis.verification import Comparison
from tamis.wire.checks import collection_id

__all__ = ["UpkeepCalls"]

Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]


class UpkeepCalls:
    """Validates, calls the service, converts."""

    _tamis: Tamis

    async def CompactCollection(  # noqa: N802
        self, request: pb.CompactCollectionRequest, context: Context
    ) -> pb.CompactCollectionResponse:
        done = await self._tamis.compact(collection_id(request.collection))
        return pb.CompactCollectionResponse(
            removed_change_count=done.removed_change_count,
            freed_byte_count=done.freed_byte_count,
            compacted_stages=done.stages,
        )

    async def VerifyCollection(  # noqa: N802
        self, request: pb.VerifyCollectionRequest, context: Context
    ) -> AsyncGenerator[pb.VerifyCollectionResponse, None]:
        async for each in self._tamis.verify(collection_id(request.collection), repair=request.repair):
            yield _response(each)


def _response(found: Comparison) -> pb.VerifyCollectionResponse:
    return pb.VerifyCollectionResponse(
        stage=found.stage,
        generation=found.generation,
        sequence=found.sequence,
        passage_count=found.passage_count,
        missing_count=found.missing_count,
        extra_count=found.extra_count,
        repaired_document_count=found.repaired_document_count,
        document_ids=found.document_ids,
        problems=found.problems,
    )
