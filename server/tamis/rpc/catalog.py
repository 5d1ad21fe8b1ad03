"""CatalogService."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any, TypeAlias, TypeVar

import grpc
from google.protobuf import json_format
from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp

from tamis.component import CONTRACT_VERSION
from tamis.errors import InvalidRequest
from tamis.expression import to_text
from tamis.pipeline import Pipeline
from tamis.plugins import Inspected
from tamis.service import Tamis
from tamis.v1 import catalog_service_pb2 as pb
from tamis.v1 import catalog_service_pb2_grpc
from tamis.wire.checks import decoded_page_token, encoded_page_token, page_size
from tamis.wire.passages import from_seconds

__all__ = ["CatalogServicer"]

Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]
T = TypeVar("T")


class CatalogServicer(catalog_service_pb2_grpc.CatalogServiceServicer):
    """Describes the server."""

    def __init__(self, tamis: Tamis) -> None:
        self._tamis = tamis

    async def ListPlugins(  # noqa: N802
        self, request: pb.ListPluginsRequest, context: Context
    ) -> pb.ListPluginsResponse:
        page, token = _page(await self._tamis.plugins(), request)
        return pb.ListPluginsResponse(plugins=[self._plugin(each) for each in page], next_page_token=token)

    async def ListPipelines(  # noqa: N802
        self, request: pb.ListPipelinesRequest, context: Context
    ) -> pb.ListPipelinesResponse:
        page, token = _page(self._tamis.pipelines.list(), request)
        return pb.ListPipelinesResponse(pipelines=[_pipeline(each) for each in page], next_page_token=token)

    async def GetServerInfo(  # noqa: N802
        self, request: pb.GetServerInfoRequest, context: Context
    ) -> pb.GetServerInfoResponse:
        start_time = Timestamp()
        start_time.FromDatetime(self._tamis.start_time)
        config = self._tamis.config.server
        return pb.GetServerInfoResponse(
            version=version("tamis"),
            contract_version=CONTRACT_VERSION,
            start_time=start_time,
            default_deadline_duration=from_seconds(config.default_deadline),
            max_message_byte_count=config.max_message_bytes,
        )

    def _plugin(self, inspected: Inspected) -> pb.Plugin:
        plugin = inspected.plugin
        schema = None
        if inspected.settings_schema is not None:
            schema = json_format.ParseDict(inspected.settings_schema, Struct())
        return pb.Plugin(
            name=plugin.name,
            group=plugin.group,
            distribution=plugin.distribution,
            version=plugin.version,
            settings_schema=schema,
            problem=inspected.problem,
            used_by=self._tamis.components.used_by(plugin),
        )


def _pipeline(pipeline: Pipeline) -> pb.Pipeline:
    return pb.Pipeline(
        name=pipeline.name,
        expression=to_text(pipeline.expression),
        fusion=pipeline.fusion.describe(),
        required_stages=sorted(pipeline.required),
        description=pipeline.description,
    )


def _page(everything: Sequence[T], request: pb.ListPluginsRequest | pb.ListPipelinesRequest) -> tuple[Sequence[T], str]:
    """A page of a list that only changes with a restart, so that a token is a place in it."""
    limit = page_size(request.page_size, default=100, most=1_000)
    place = decoded_page_token(request.page_token) or "0"
    if not place.isdecimal() or len(place) > 9 or int(place) > len(everything):
        raise InvalidRequest.of("page_token", "is not a token that this server made")
    end = int(place) + limit
    return everything[int(place) : end], encoded_page_token(str(end)) if end < len(everything) else ""
