"""SearchService."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any, TypeAlias, TypeVar

import grpc
from google.protobuf.message import Message

from tamis.events import Event
from tamis.model import Query
from tamis.rpc.deadlines import deadline_of
from tamis.rpc.interceptor import request_id
from tamis.service import Tamis
from tamis.v1 import search_service_pb2 as pb
from tamis.v1 import search_service_pb2_grpc
from tamis.wire.checks import collection_id, document_hit_limit, page_size, query_text
from tamis.wire.events import Collected, EventWriter
from tamis.wire.filters import to_filter
from tamis.wire.passages import from_report, from_usage, to_passages

__all__ = ["SearchServicer"]

Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]
Response = TypeVar("Response", bound=Message)
_DEFAULT_PAGE, _MOST_PAGE = 10, 1_000
_MOST_RERANKED, _MOST_READ = 10_000, 1_000


class SearchServicer(search_service_pb2_grpc.SearchServiceServicer):
    """Validates, starts the search, converts what it tells."""

    def __init__(self, tamis: Tamis) -> None:
        self._tamis = tamis

    async def Retrieve(self, request: pb.RetrieveRequest, context: Context) -> pb.RetrieveResponse:  # noqa: N802
        collected = await _collected(self._retrieve(request, context))
        end = collected.completed
        return pb.RetrieveResponse(
            hits=collected.written_hits(),
            stage_reports=[from_report(each) for each in end.reports],
            unreachable=end.unreachable,
            usage=from_usage(end.usage),
            pipeline=end.pipeline,
        )

    async def Rerank(self, request: pb.RerankRequest, context: Context) -> pb.RerankResponse:  # noqa: N802
        collected = await _collected(self._rerank(request, context))
        end = collected.completed
        return pb.RerankResponse(
            hits=collected.written_hits(with_bodies=False),
            stage_reports=[from_report(each) for each in end.reports],
            usage=from_usage(end.usage),
            pipeline=end.pipeline,
        )

    async def Search(self, request: pb.SearchRequest, context: Context) -> pb.SearchResponse:  # noqa: N802
        collected = await _collected(self._search(request, context))
        end = collected.completed
        return pb.SearchResponse(
            hits=collected.written_hits(),
            answer=collected.answer(),
            stage_reports=[from_report(each) for each in end.reports],
            unreachable=end.unreachable,
            usage=from_usage(end.usage),
            pipeline=end.pipeline,
        )

    async def StreamRerank(  # noqa: N802
        self, request: pb.StreamRerankRequest, context: Context
    ) -> AsyncIterator[pb.StreamRerankResponse]:
        writer = EventWriter(with_bodies=False)
        async with aclosing(self._rerank(request, context)) as events:
            async for event in events:
                yield writer.response(event, pb.StreamRerankResponse)

    async def Generate(  # noqa: N802
        self, request: pb.GenerateRequest, context: Context
    ) -> AsyncIterator[pb.GenerateResponse]:
        writer = EventWriter()
        async with aclosing(self._generate(request, context)) as events:
            async for event in events:
                yield writer.response(event, pb.GenerateResponse)

    async def StreamSearch(  # noqa: N802
        self, request: pb.StreamSearchRequest, context: Context
    ) -> AsyncIterator[pb.StreamSearchResponse]:
        writer = EventWriter()
        async with aclosing(self._search(request, context)) as events:
            async for event in events:
                yield writer.response(event, pb.StreamSearchResponse)

    def _search(
        self, request: pb.SearchRequest | pb.StreamSearchRequest, context: Context
    ) -> AsyncGenerator[Event, None]:
        return self._tamis.search(
            self._tamis.pipelines.resolve(request.pipeline),
            _query(request),
            limit=page_size(request.page_size, default=_DEFAULT_PAGE, most=_MOST_PAGE),
            document_limit=document_hit_limit(request.document_hit_limit),
            deadline=deadline_of(context, self._tamis.config.server),
            request_id=request_id.get(),
        )

    def _retrieve(self, request: pb.RetrieveRequest, context: Context) -> AsyncGenerator[Event, None]:
        return self._tamis.retrieve(
            self._tamis.pipelines.resolve(request.pipeline),
            _query(request),
            limit=page_size(request.page_size, default=_DEFAULT_PAGE, most=_MOST_PAGE),
            document_limit=document_hit_limit(request.document_hit_limit),
            deadline=deadline_of(context, self._tamis.config.server),
            request_id=request_id.get(),
        )

    def _rerank(
        self, request: pb.RerankRequest | pb.StreamRerankRequest, context: Context
    ) -> AsyncGenerator[Event, None]:
        query = Query(query_text(request.query))
        limit = page_size(request.page_size, default=_MOST_RERANKED, most=_MOST_RERANKED)
        return self._tamis.rerank(
            self._tamis.pipelines.resolve(request.pipeline, has_input=True),
            query,
            to_passages(request.passages, most=_MOST_RERANKED),
            limit=limit,
            deadline=deadline_of(context, self._tamis.config.server),
            request_id=request_id.get(),
        )

    def _generate(self, request: pb.GenerateRequest, context: Context) -> AsyncGenerator[Event, None]:
        query = Query(query_text(request.query))
        return self._tamis.generate(
            self._tamis.pipelines.resolve(request.pipeline, has_input=True),
            query,
            to_passages(request.passages, most=_MOST_READ),
            deadline=deadline_of(context, self._tamis.config.server),
            request_id=request_id.get(),
        )


def _query(request: pb.RetrieveRequest | pb.SearchRequest | pb.StreamSearchRequest) -> Query:
    filter = to_filter(request.filter) if request.HasField("filter") else None
    return Query(query_text(request.query), collection_id(request.collection), filter)


async def _collected(events: AsyncGenerator[Event, None]) -> Collected:
    collected = Collected()
    async with aclosing(events):
        async for event in events:
            collected.add(event)
    return collected
