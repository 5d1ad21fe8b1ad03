"""Embedders and language models that run elsewhere."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing

import numpy as np

from tamis.component import Capabilities
from tamis.context import Call
from tamis.errors import Unavailable
from tamis.hosting.description import PluginRole
from tamis.model import ScoreKind
from tamis.models import Embedder, Float32Array, Llm, Prompt, TextKind
from tamis.v1 import plugin_service_pb2 as pb
from tamis.wire.plugin_calls import add_report, from_text_kind
from tamis.wire.portions import portions
from tamis_remote.remote import Remote, paused

__all__ = ["RemoteEmbedder", "RemoteLlm"]


class RemoteEmbedder(Remote, Embedder):
    """Turns texts into vectors on another machine. Before it is opened it cannot say of which length."""

    role = PluginRole.EMBEDDER
    capabilities = Capabilities(score_kind=ScoreKind.COSINE)

    @property
    def dimensions(self) -> int:
        return self.described.dimensions

    @property
    def max_tokens(self) -> int:
        return self.described.max_tokens

    @property
    def fingerprint(self) -> str:
        return self.described.fingerprint

    async def embed(self, texts: Sequence[str], *, kind: TextKind, call: Call) -> Float32Array:
        """Raises `Unavailable` also when the model is another one by now."""
        call.check()
        found = bytearray()
        if texts:
            connection = self.connection
            stream = connection.many(connection.stub.Embed, self._requests(texts, kind, call), call)
            async with aclosing(stream) as responses:
                async for each in responses:
                    found += each.vectors
                    add_report(call, each.report)
        if len(found) != 4 * len(texts) * self.dimensions:
            raise Unavailable(f"{self.connection.where} gave {len(found):,} bytes of vectors for {len(texts):,} texts")
        vectors = np.frombuffer(bytes(found), "<f4").astype(np.float32, copy=False).reshape(-1, self.dimensions)
        if not np.isfinite(vectors).all():
            raise Unavailable(f"{self.connection.where} gave vectors that are not finite")
        return vectors

    async def _requests(self, texts: Sequence[str], kind: TextKind, call: Call) -> AsyncIterator[pb.EmbedRequest]:
        message = pb.EmbedRequest(call=self.calling(call), text_kind=from_text_kind(kind), fingerprint=self.fingerprint)
        async for group in paused(portions((each, len(each)) for each in texts)):
            message.texts.extend(group)
            yield message
            message = pb.EmbedRequest()


class RemoteLlm(Remote, Llm):
    """Continues prompts on another machine. It counts tokens by estimate and gives no log-probabilities."""

    role = PluginRole.LLM

    @property
    def context_token_count(self) -> int:
        return self.described.context_token_count

    async def generate(self, prompt: Prompt, *, limit: int, call: Call) -> AsyncIterator[str]:
        call.check()
        request = pb.CompleteRequest(call=self.calling(call), output_token_limit=limit)
        for message in prompt.messages:
            request.messages.add(role=message.role, text=message.text)
        connection = self.connection
        async with aclosing(connection.many(connection.stub.Complete, request, call)) as responses:
            async for each in responses:
                add_report(call, each.report)
                if each.text:
                    yield each.text
