"""Embedders and language models that run elsewhere."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import aclosing, contextmanager
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from tamis.component import Capabilities
from tamis.context import Call
from tamis.errors import Unavailable
from tamis.hosting.description import NotOffered, PluginRole
from tamis.model import ScoreKind
from tamis.models import Embedder, Float32Array, Llm, Prompt, SparseVector, TextKind
from tamis.v1 import plugin_service_pb2 as pb
from tamis.wire.plugin_calls import add_report, from_text_kind
from tamis.wire.plugin_vectors import to_sparse, to_tokens
from tamis.wire.portions import portions
from tamis_remote.remote import Remote, paused
from tamis_remote.settings import RemoteSettings

__all__ = ["RemoteEmbedder", "RemoteLlm"]

T = TypeVar("T")


class RemoteEmbedder(Remote, Embedder):
    """Turns texts into vectors on another machine. Before it is opened it cannot say of which length."""

    role = PluginRole.EMBEDDER
    capabilities = Capabilities(score_kind=ScoreKind.COSINE)

    def __init__(self, settings: RemoteSettings) -> None:
        super().__init__(settings)
        # No methods of the class, so that `open` can take away what the other side does not give: then this is no
        # `EmbedsSparse`, or no `EmbedsTokens`, any more.
        self.embed_sparse, self.embed_tokens = self._embed_sparse, self._embed_tokens

    @property
    def dimensions(self) -> int:
        return self.described.dimensions

    @property
    def max_tokens(self) -> int:
        return self.described.max_tokens

    @property
    def fingerprint(self) -> str:
        return self.described.fingerprint

    async def open(self) -> None:
        await super().open()
        if not self.described.embeds_sparse:
            del self.embed_sparse
        if not self.described.embeds_tokens:
            del self.embed_tokens

    async def embed(self, texts: Sequence[str], *, kind: TextKind, call: Call) -> Float32Array:
        """Raises `Unavailable` also when the model is another one by now."""
        found = bytearray()
        method = self.connection.stub.Embed
        async with aclosing(self._answers(method, pb.EmbedRequest, texts, kind, call)) as responses:
            async for each in responses:
                found += each.vectors
        if len(found) != 4 * len(texts) * self.dimensions:
            raise Unavailable(f"{self.connection.where} gave {len(found):,} bytes of vectors for {len(texts):,} texts")
        vectors = np.frombuffer(bytes(found), "<f4").astype(np.float32, copy=False).reshape(-1, self.dimensions)
        if not np.isfinite(vectors).all():
            raise Unavailable(f"{self.connection.where} gave vectors that are not finite")
        return vectors

    async def _embed_sparse(self, texts: Sequence[str], *, kind: TextKind, call: Call) -> list[SparseVector]:
        """As `EmbedsSparse`. Raises like `embed`."""
        found: list[SparseVector] = []
        method = self.connection.stub.EmbedSparse
        async with aclosing(self._answers(method, pb.EmbedSparseRequest, texts, kind, call)) as responses:
            async for each in responses:
                with self._sensible():
                    found += map(to_sparse, each.embeddings)
        return self._complete(found, texts)

    async def _embed_tokens(self, texts: Sequence[str], *, kind: TextKind, call: Call) -> list[Float32Array]:
        """As `EmbedsTokens`. Raises like `embed`."""
        found: list[Float32Array] = []
        method = self.connection.stub.EmbedTokens
        async with aclosing(self._answers(method, pb.EmbedTokensRequest, texts, kind, call)) as responses:
            async for each in responses:
                with self._sensible():
                    found += (to_tokens(one, each.token_dimension_count) for one in each.embeddings)
        return self._complete(found, texts)

    async def _answers(
        self, method: Any, request: type[Any], texts: Sequence[str], kind: TextKind, call: Call
    ) -> AsyncGenerator[Any, None]:
        """The responses to all texts; none to none."""
        call.check()
        if texts:
            stream = self.connection.many(method, self._requests(request, texts, kind, call), call)
            async with aclosing(stream) as responses:
                async for each in responses:
                    add_report(call, each.report)
                    yield each

    @contextmanager
    def _sensible(self) -> Iterator[None]:
        try:
            yield
        except ValueError as error:
            raise Unavailable(f"{self.connection.where} gave embeddings that are none: {error}") from None

    def _complete(self, found: list[T], texts: Sequence[str]) -> list[T]:
        if len(found) != len(texts):
            raise Unavailable(f"{self.connection.where} gave {len(found):,} embeddings for {len(texts):,} texts")
        return found

    async def _requests(
        self, request: type[Any], texts: Sequence[str], kind: TextKind, call: Call
    ) -> AsyncIterator[Any]:
        message = request(call=self.calling(call), text_kind=from_text_kind(kind), fingerprint=self.fingerprint)
        async for group in paused(portions((each, len(each)) for each in texts)):
            message.texts.extend(group)
            yield message
            message = request()


class RemoteLlm(Remote, Llm):
    """Continues prompts on another machine. It counts tokens by estimate."""

    role = PluginRole.LLM

    @property
    def context_token_count(self) -> int:
        return self.described.context_token_count

    async def generate(self, prompt: Prompt, *, limit: int, call: Call) -> AsyncIterator[str]:
        call.check()
        request = pb.CompleteRequest(call=self.calling(call), output_token_limit=limit, messages=_messages(prompt))
        connection = self.connection
        async with aclosing(connection.many(connection.stub.Complete, request, call)) as responses:
            async for each in responses:
                add_report(call, each.report)
                if each.text:
                    yield each.text

    async def log_probabilities(self, prompt: Prompt, choices: Sequence[str], *, call: Call) -> NDArray[Any]:
        """Raises `NotImplementedError` where the other side gives none."""
        connection = self.connection
        request = pb.ScoreChoicesRequest(call=self.calling(call), messages=_messages(prompt), choices=choices)
        try:
            found = await connection.one(connection.stub.ScoreChoices, request, call)
        except NotOffered:
            raise NotImplementedError(f"{connection.where} gives no log-probabilities") from None
        add_report(call, found.report)
        values = np.array(found.log_probabilities, np.float64)
        if len(values) != len(choices):
            raise Unavailable(f"{connection.where} gave {len(values)} log-probabilities for {len(choices)} choices")
        return values


def _messages(prompt: Prompt) -> list[pb.ChatMessage]:
    return [pb.ChatMessage(role=each.role, text=each.text) for each in prompt.messages]
