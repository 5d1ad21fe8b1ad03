"""PluginService."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import aclosing, contextmanager
from typing import Any, Protocol, TypeAlias, TypeVar

import grpc
import numpy as np

from tamis.component import Component
from tamis.context import Call, CallEnded, Principal
from tamis.deadline import Deadline
from tamis.errors import DeadlineExceeded, InvalidRequest
from tamis.generator import Generator
from tamis.hosting.description import NotOffered
from tamis.hosting.host import PluginHost
from tamis.model import Query
from tamis.models import Embedder, EmbedsSparse, EmbedsTokens, Llm, Message, Prompt, TextKind
from tamis.pauses import Pauses
from tamis.rpc.newest import newest
from tamis.stage import Reranker
from tamis.v1 import plugin_service_pb2 as pb
from tamis.v1 import plugin_service_pb2_grpc
from tamis.wire.plugin_calls import Reporter, from_description, to_text_kind
from tamis.wire.plugin_rerankings import RerankingWriter
from tamis.wire.plugin_values import Changes, from_candidate, from_delta, to_hit, to_passage
from tamis.wire.plugin_vectors import sparse_responses, token_responses
from tamis.wire.portions import MOST_BYTES, portions
from tamis.wire.server_filters import to_server_filter
from tamis.wire.values import to_value

__all__ = ["PluginServicer"]

Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]
Role = TypeVar("Role", bound=Component)
_REVISION_SECONDS = 0.02
_IDS_AT_ONCE = 5_000


class _WithCall(Protocol):
    @property
    def call(self) -> pb.PluginCall: ...


class _WithTexts(_WithCall, Protocol):
    @property
    def text_kind(self) -> pb.TextKind: ...
    @property
    def fingerprint(self) -> str: ...
    @property
    def texts(self) -> Any: ...


First = TypeVar("First", bound=_WithCall)
Texts = TypeVar("Texts", bound=_WithTexts)
Reported = TypeVar("Reported", pb.EmbedSparseResponse, pb.EmbedTokensResponse)
T = TypeVar("T")


class PluginServicer(plugin_service_pb2_grpc.PluginServiceServicer):
    """Reads what is asked, has the component do it, writes what it gives."""

    def __init__(self, host: PluginHost) -> None:
        self._host = host

    async def Describe(self, request: pb.DescribeRequest, context: Context) -> pb.DescribeResponse:  # noqa: N802
        return from_description(self._host.describe(request.component, request.contract_versions))

    async def Embed(  # noqa: N802
        self, requests: AsyncIterator[pb.EmbedRequest], context: Context
    ) -> AsyncIterator[pb.EmbedResponse]:
        first, texts, kind = await _texts(requests)
        embedder = self._embedder(first, Embedder)
        with self._call(first.call, embedder, context) as call:
            vectors = await self._host.run(lambda: embedder.embed(texts, kind=kind, call=call))
            rows = np.ascontiguousarray(vectors, dtype="<f4")
            reporter, at_once = Reporter(call), max(1, MOST_BYTES // (4 * embedder.dimensions))
            for start in range(0, len(rows), at_once):
                yield pb.EmbedResponse(vectors=rows[start : start + at_once].tobytes(), report=reporter.report())

    async def EmbedSparse(  # noqa: N802
        self, requests: AsyncIterator[pb.EmbedSparseRequest], context: Context
    ) -> AsyncIterator[pb.EmbedSparseResponse]:
        first, texts, kind = await _texts(requests)
        embedder: Any = self._embedder(first, EmbedsSparse)
        with self._call(first.call, embedder, context) as call:
            found = await self._host.run(lambda: embedder.embed_sparse(texts, kind=kind, call=call))
            async for response in _reported(sparse_responses(found), Reporter(call)):
                yield response

    async def EmbedTokens(  # noqa: N802
        self, requests: AsyncIterator[pb.EmbedTokensRequest], context: Context
    ) -> AsyncIterator[pb.EmbedTokensResponse]:
        first, texts, kind = await _texts(requests)
        embedder: Any = self._embedder(first, EmbedsTokens)
        with self._call(first.call, embedder, context) as call:
            found = await self._host.run(lambda: embedder.embed_tokens(texts, kind=kind, call=call))
            async for response in _reported(token_responses(found), Reporter(call)):
                yield response

    async def Rerank(  # noqa: N802
        self, requests: AsyncIterator[pb.PluginServiceRerankRequest], context: Context
    ) -> AsyncIterator[pb.PluginServiceRerankResponse]:
        first, passages = await _read(requests, lambda each: each.passages, to_passage, "passages")
        reranker = self._component(first.call, Reranker)
        with self._call(first.call, reranker, context) as call:
            query, top_n = Query(first.query), first.top_count or len(passages)
            work = self._host.stream(lambda: reranker.rerank(query, passages, top_n=top_n, call=call))
            writer, reporter = RerankingWriter(len(passages)), Reporter(call)
            async with aclosing(newest(work, pause=_REVISION_SECONDS)) as rerankings:
                async for each in rerankings:
                    yield writer.response(each, reporter.report())

    async def Retrieve(  # noqa: N802
        self, request: pb.PluginServiceRetrieveRequest, context: Context
    ) -> AsyncIterator[pb.PluginServiceRetrieveResponse]:
        if request.candidate_limit < 1:
            raise InvalidRequest.of("candidate_limit", "is 1 or more")
        name, version = request.call.component, request.call.contract_version
        filter = to_server_filter(request.filter) if request.HasField("filter") else None
        index = (request.index.key, request.index.language) if request.HasField("index") else None
        query = Query(request.query, request.collection, filter)
        with self._call(request.call, self._component(request.call, Component), context) as call:
            found = await self._host.retrieve(
                name, query, index, limit=request.candidate_limit, call=call, version=version
            )
            reporter = Reporter(call)
            messages = [from_candidate(each) for each in found]
            for group in portions((each, each.ByteSize()) for each in messages):
                yield pb.PluginServiceRetrieveResponse(candidates=group, report=reporter.report())
            if not messages:
                yield pb.PluginServiceRetrieveResponse(report=reporter.report())

    async def Generate(  # noqa: N802
        self, requests: AsyncIterator[pb.PluginServiceGenerateRequest], context: Context
    ) -> AsyncIterator[pb.PluginServiceGenerateResponse]:
        first, hits = await _read(requests, lambda each: each.hits, to_hit, "hits")
        generator = self._component(first.call, Generator)
        with self._call(first.call, generator, context) as call:
            reporter = Reporter(call)
            work = self._host.stream(lambda: generator.answer(Query(first.query), hits, call=call))
            async with aclosing(work) as deltas:
                async for each in deltas:
                    yield from_delta(each, reporter.report())

    async def Complete(  # noqa: N802
        self, request: pb.CompleteRequest, context: Context
    ) -> AsyncIterator[pb.CompleteResponse]:
        if request.output_token_limit < 1:
            raise InvalidRequest.of("output_token_limit", "is 1 or more")
        llm = self._component(request.call, Llm)
        with self._call(request.call, llm, context) as call:
            reporter = Reporter(call)
            work = self._host.stream(
                lambda: llm.generate(_prompt(request), limit=request.output_token_limit, call=call)
            )
            async with aclosing(work) as pieces:
                async for each in pieces:
                    yield pb.CompleteResponse(text=each, report=reporter.report())
            yield pb.CompleteResponse(report=reporter.report())

    async def ScoreChoices(  # noqa: N802
        self, request: pb.ScoreChoicesRequest, context: Context
    ) -> pb.ScoreChoicesResponse:
        llm, choices = self._component(request.call, Llm), list(request.choices)
        with self._call(request.call, llm, context) as call:
            try:
                found = await self._host.run(lambda: llm.log_probabilities(_prompt(request), choices, call=call))
            except NotImplementedError:
                raise NotOffered("the model gives no log-probabilities") from None
            return pb.ScoreChoicesResponse(log_probabilities=found.tolist(), report=Reporter(call).report())

    async def GetCheckpoint(  # noqa: N802
        self, request: pb.GetCheckpointRequest, context: Context
    ) -> pb.GetCheckpointResponse:
        place = _place(request.call, request.index)
        return pb.GetCheckpointResponse(sequence=await self._host.at_index(*place, lambda index: index.checkpoint()))

    async def TakeOverIndex(  # noqa: N802
        self, request: pb.TakeOverIndexRequest, context: Context
    ) -> pb.TakeOverIndexResponse:
        if request.epoch < 1:
            raise InvalidRequest.of("epoch", "is 1 or more")
        place = _place(request.call, request.index)
        sequence = await self._host.at_index(*place, lambda index: index.take_over(request.epoch))
        return pb.TakeOverIndexResponse(sequence=sequence)

    async def ApplyChanges(  # noqa: N802
        self, requests: AsyncIterator[pb.ApplyChangesRequest], context: Context
    ) -> pb.ApplyChangesResponse:
        first: pb.ApplyChangesRequest | None = None
        changes = Changes()
        async for each in requests:
            first = first or each
            changes.add(each.changes)
        if first is None:
            raise InvalidRequest.of("call", "is required")
        upto, epoch, known = first.sequence, first.epoch, first.known_sequence
        whole = changes.complete()
        await self._host.at_index(
            *_place(first.call, first.index), lambda index: index.apply(whole, upto=upto, epoch=epoch, known=known)
        )
        return pb.ApplyChangesResponse()

    async def ListIndexedPassages(  # noqa: N802
        self, request: pb.ListIndexedPassagesRequest, context: Context
    ) -> AsyncIterator[pb.ListIndexedPassagesResponse]:
        response = pb.ListIndexedPassagesResponse()
        async with aclosing(self._host.held(*_place(request.call, request.index))) as held:
            async for id, version in held:
                response.passages.add(passage_id=id, document_version=version)
                if len(response.passages) == _IDS_AT_ONCE:
                    yield response
                    response = pb.ListIndexedPassagesResponse()
        yield response

    async def DropIndex(self, request: pb.DropIndexRequest, context: Context) -> pb.DropIndexResponse:  # noqa: N802
        await self._host.drop(*_place(request.call, request.index))
        return pb.DropIndexResponse()

    def _component(self, call: pb.PluginCall, role: type[Role]) -> Role:
        return self._host.component(call.component, role, call.contract_version)

    def _embedder(self, first: _WithTexts, kind: type[Any]) -> Embedder:
        """Raises `NotOffered` by one that is not of that kind, `FingerprintChanged` for one that is another."""
        embedder = self._component(first.call, Embedder)
        self._host.check_fingerprint(embedder, first.fingerprint)
        if kind is not Embedder and not isinstance(embedder, kind):
            raise NotOffered(f"{first.call.component!r} has no such embeddings")
        return embedder

    @contextmanager
    def _call(self, message: pb.PluginCall, component: Component, context: Context) -> Iterator[Call]:
        """A call that ends with the context, for threads that nobody can cancel. Raises `InvalidRequest`, and
        `DeadlineExceeded` where a plugin says that the call is over."""
        remaining = context.time_remaining()
        if remaining is None and message.HasField("budget_duration"):
            remaining = message.budget_duration.seconds + message.budget_duration.nanos / 1e9
        options = {key: to_value(value, f'call.options["{key[:64]}"]') for key, value in message.options.items()}
        call = Call(
            Deadline() if remaining is None else Deadline.after(remaining),
            message.request_id,
            Principal(message.subject, message.tenant),
            self._host.options(component, options),
        )
        try:
            yield call
        except CallEnded:
            raise DeadlineExceeded("the deadline passed before the plugin was done") from None
        finally:
            call.end()


def _place(call: pb.PluginCall, index: pb.IndexReference) -> tuple[str, str, str, int]:
    return call.component, index.key, index.language, call.contract_version


def _prompt(request: pb.CompleteRequest | pb.ScoreChoicesRequest) -> Prompt:
    return Prompt(tuple(Message(each.role, each.text) for each in request.messages))


async def _texts(requests: AsyncIterator[Texts]) -> tuple[Texts, list[str], TextKind]:
    """The first message of a stream, all its texts, and on which side they are. Raises `InvalidRequest`."""
    first, texts = await _read(requests, lambda each: each.texts, lambda text, _: text, "texts")
    kind = to_text_kind(first.text_kind)
    if kind is None:
        raise InvalidRequest.of("text_kind", "is required")
    return first, texts, kind


async def _reported(responses: Iterable[Reported], reporter: Reporter) -> AsyncIterator[Reported]:
    """Each with what is to be told by then, and with pauses for others."""
    pauses = Pauses()
    for each in responses:
        each.report.CopyFrom(reporter.report())
        yield each
        await pauses.take()


async def _read(
    requests: AsyncIterator[First],
    items: Callable[[First], Iterable[Any]],
    read: Callable[[Any, str], T],
    field: str,
) -> tuple[First, list[T]]:
    """The first message of a stream, and what the items of all its messages are. Raises `InvalidRequest`."""
    pauses, found = Pauses(), list[T]()
    first: First | None = None
    async for request in requests:
        first = request if first is None else first
        for each in items(request):
            found.append(read(each, f"{field}[{len(found)}]"))
            await pauses.take()
    if first is None:
        raise InvalidRequest.of("call", "is required")
    return first, found
