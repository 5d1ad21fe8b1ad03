"""SearchService."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any, TypeAlias, TypeVar

import grpc
from google.protobuf.message import Message

from tamis.deadline import Deadline
from tamis.events import Event
from tamis.rpc.batch import side_by_side
from tamis.rpc.deadlines import Margin
from tamis.rpc.interceptor import request_id
from tamis.rpc.views import Viewing
from tamis.service import Tamis
from tamis.v1 import search_service_pb2 as pb
from tamis.v1 import search_service_pb2_grpc
from tamis.wire.events import Collected, EventWriter, from_facet, from_progress
from tamis.wire.passages import from_report, from_usage, to_passages
from tamis.wire.searches import MOST_RERANKED, PageTokens, SearchMessage, to_generation, to_reranking, to_search

__all__ = ["SearchServicer"]

Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]
Response = TypeVar("Response", bound=Message)
_MOST_READ = 1_000


class SearchServicer(Viewing, search_service_pb2_grpc.SearchServiceServicer):
    """Validates, starts the search, converts what it tells."""

    def __init__(self, tamis: Tamis) -> None:
        super().__init__(tamis)
        self._margin = Margin(tamis.config.server)

    async def Retrieve(self, request: pb.RetrieveRequest, context: Context) -> pb.RetrieveResponse:  # noqa: N802
        tokens = PageTokens(request)
        collected = await _collected(self._retrieve(request, context, tokens))
        end = collected.completed
        response = pb.RetrieveResponse(
            stage_reports=[from_report(each) for each in end.reports],
            unreachable=end.unreachable,
            usage=from_usage(end.usage, end.cost),
            pipeline=end.pipeline,
            next_page_token=tokens.token(end.next_offset),
            facets=[from_facet(each) for each in end.facets],
            suggested_query=end.suggested_query,
            index_progress=[from_progress(each) for each in end.index_progress],
        )
        return collected.with_hits(response)

    async def Rerank(self, request: pb.RerankRequest, context: Context) -> pb.RerankResponse:  # noqa: N802
        collected = await _collected(self._rerank(request, context))
        end = collected.completed
        response = pb.RerankResponse(
            stage_reports=[from_report(each) for each in end.reports],
            usage=from_usage(end.usage, end.cost),
            pipeline=end.pipeline,
        )
        return collected.with_hits(response, with_bodies=False)

    async def Search(self, request: pb.SearchRequest, context: Context) -> pb.SearchResponse:  # noqa: N802
        return await self._search_response(request, self._deadline(context))

    async def BatchSearch(  # noqa: N802
        self, request: pb.BatchSearchRequest, context: Context
    ) -> AsyncIterator[pb.BatchSearchResponse]:
        deadline = self._deadline(context)
        works = side_by_side(request.requests, self._search_response, deadline)
        async with aclosing(works) as responses:
            async for response in responses:
                yield response

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
        tokens = PageTokens(request)
        writer = EventWriter(page_token=tokens.token)
        async with aclosing(self._search(request, self._deadline(context), tokens)) as events:
            async for event in events:
                yield writer.response(event, pb.StreamSearchResponse)

    async def _search_response(self, request: pb.SearchRequest, deadline: Deadline) -> pb.SearchResponse:
        tokens = PageTokens(request)
        collected = await _collected(self._search(request, deadline, tokens))
        end = collected.completed
        response = pb.SearchResponse(
            answer=collected.answer(),
            stage_reports=[from_report(each) for each in end.reports],
            unreachable=end.unreachable,
            usage=from_usage(end.usage, end.cost),
            pipeline=end.pipeline,
            next_page_token=tokens.token(end.next_offset),
            facets=[from_facet(each) for each in end.facets],
            suggested_query=end.suggested_query,
            index_progress=[from_progress(each) for each in end.index_progress],
        )
        return collected.with_hits(response)

    def _search(self, request: SearchMessage, deadline: Deadline, tokens: PageTokens) -> AsyncGenerator[Event, None]:
        search = to_search(request, self._tamis.pipelines.resolve(request.pipeline), tokens)
        return self._tamis.search(search, deadline, request_id=request_id.get())

    def _retrieve(
        self, request: pb.RetrieveRequest, context: Context, tokens: PageTokens
    ) -> AsyncGenerator[Event, None]:
        search = to_search(request, self._tamis.pipelines.resolve(request.pipeline), tokens)
        return self._tamis.retrieve(search, self._deadline(context), request_id=request_id.get())

    def _rerank(
        self, request: pb.RerankRequest | pb.StreamRerankRequest, context: Context
    ) -> AsyncGenerator[Event, None]:
        search = to_reranking(request, self._tamis.pipelines.resolve(request.pipeline, has_input=True))
        passages = to_passages(request.passages, most=MOST_RERANKED)
        return self._tamis.rerank(search, passages, self._deadline(context), request_id=request_id.get())

    def _generate(self, request: pb.GenerateRequest, context: Context) -> AsyncGenerator[Event, None]:
        search = to_generation(request, self._tamis.pipelines.resolve(request.pipeline, has_input=True))
        passages = to_passages(request.passages, most=_MOST_READ)
        return self._tamis.generate(search, passages, self._deadline(context), request_id=request_id.get())

    def _deadline(self, context: Context) -> Deadline:
        return self._margin.deadline_of(context)


async def _collected(events: AsyncGenerator[Event, None]) -> Collected:
    collected = Collected()
    async with aclosing(events):
        async for event in events:
            collected.add(event)
    return collected
