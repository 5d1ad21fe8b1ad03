"""Rerankers and generators that run elsewhere."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing

from tamis.context import Call
from tamis.errors import Unavailable
from tamis.generator import AnswerDelta, Generator
from tamis.hosting.description import PluginRole
from tamis.model import Hit, Passage, Query
from tamis.stage import Reranker, Reranking
from tamis.v1 import plugin_service_pb2 as pb
from tamis.wire.plugin_calls import add_report
from tamis.wire.plugin_rerankings import RerankingReader
from tamis.wire.plugin_values import from_hit, from_passage, to_delta
from tamis.wire.portions import portions
from tamis_remote.remote import Remote, paused

__all__ = ["RemoteGenerator", "RemoteReranker"]


class RemoteReranker(Remote, Reranker):
    """Orders passages on another machine. What comes before the deadline counts, whole or in part."""

    role = PluginRole.RERANKER

    async def rerank(
        self, query: Query, passages: Sequence[Passage], *, top_n: int, call: Call
    ) -> AsyncGenerator[Reranking, None]:
        call.check()
        if not passages:
            return
        reader, connection = RerankingReader(len(passages), call), self.connection
        stream = connection.many(connection.stub.Rerank, self._requests(query, passages, top_n, call), call)
        async with aclosing(stream) as responses:
            async for each in responses:
                add_report(call, each.report)
                yield reader.read(each)

    async def _requests(
        self, query: Query, passages: Sequence[Passage], top_n: int, call: Call
    ) -> AsyncIterator[pb.PluginServiceRerankRequest]:
        message = pb.PluginServiceRerankRequest(call=self.calling(call), query=query.text, top_count=top_n)
        written = map(from_passage, passages)
        async for group in paused(portions((each, each.ByteSize()) for each in written)):
            message.passages.extend(group)
            yield message
            message = pb.PluginServiceRerankRequest()


class RemoteGenerator(Remote, Generator):
    """Answers on another machine."""

    role = PluginRole.GENERATOR

    async def answer(self, query: Query, context: Sequence[Hit], *, call: Call) -> AsyncIterator[AnswerDelta]:
        """Raises `Unavailable` for an answer that goes on after its end, or whose citations are none."""
        call.check()
        connection, is_over = self.connection, False
        stream = connection.many(connection.stub.Generate, self._requests(query, context, call), call)
        async with aclosing(stream) as responses:
            async for each in responses:
                add_report(call, each.report)
                if is_over:
                    raise Unavailable(f"{connection.where} goes on after the end of its answer")
                try:
                    delta = to_delta(each)
                except ValueError:
                    raise Unavailable(f"{connection.where} gave a citation of no span") from None
                is_over = delta.finish_reason is not None
                yield delta

    async def _requests(
        self, query: Query, context: Sequence[Hit], call: Call
    ) -> AsyncIterator[pb.PluginServiceGenerateRequest]:
        message = pb.PluginServiceGenerateRequest(call=self.calling(call), query=query.text)
        written = list(map(from_hit, context))
        for group in [*portions((each, each.ByteSize()) for each in written)] or [[]]:
            message.hits.extend(group)
            yield message
            message = pb.PluginServiceGenerateRequest()
