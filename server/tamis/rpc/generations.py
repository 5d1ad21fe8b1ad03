"""The part of IndexService that is about generations."""

from __future__ import annotations

from typing import Any, TypeAlias

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from tamis.errors import InvalidRequest
from tamis.journal import Collection
from tamis.rpc.deadlines import deadline_of
from tamis.service import Tamis
from tamis.v1 import index_service_pb2 as pb
from tamis.wire.checks import collection_id
from tamis.wire.generations import from_generation, from_index_state

__all__ = ["GenerationCalls"]

Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]


class GenerationCalls:
    """Validates, calls the service, converts."""

    _tamis: Tamis

    async def BuildGeneration(  # noqa: N802
        self, request: pb.BuildGenerationRequest, context: Context
    ) -> pb.BuildGenerationResponse:
        built = await self._tamis.build_generation(collection_id(request.collection))
        return pb.BuildGenerationResponse(generation=from_generation(built))

    async def SwitchGeneration(  # noqa: N802
        self, request: pb.SwitchGenerationRequest, context: Context
    ) -> pb.SwitchGenerationResponse:
        deadline = deadline_of(context, self._tamis.config.server)
        collection, number = collection_id(request.collection), _number(request.generation)
        switched = await self._tamis.switch_generation(collection, number, deadline=deadline)
        return pb.SwitchGenerationResponse(collection=self._collection(switched))

    async def DropGeneration(  # noqa: N802
        self, request: pb.DropGenerationRequest, context: Context
    ) -> pb.DropGenerationResponse:
        await self._tamis.drop_generation(collection_id(request.collection), _number(request.generation))
        return pb.DropGenerationResponse()

    def _collection(self, collection: Collection) -> pb.Collection:
        create_time = Timestamp()
        create_time.FromDatetime(collection.create_time)
        return pb.Collection(
            id=collection.id,
            create_time=create_time,
            last_sequence=collection.last_sequence,
            document_count=collection.document_count,
            passage_count=collection.passage_count,
            indexes=[from_index_state(each) for each in self._tamis.index_states(collection)],
            language=collection.language,
            generations=[from_generation(each) for each in self._tamis.generation_states(collection)],
            serving_generation=collection.serving_generation,
        )


def _number(number: int) -> int:
    if number < 1:
        raise InvalidRequest.of("generation", "is required; generations count from 1")
    return number
