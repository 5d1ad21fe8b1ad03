"""The embedder that weighs terms: SPLADE."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field

from tamis.component import Capabilities, Settings
from tamis.context import Call
from tamis.model import ScoreKind
from tamis.models import Embedder, Float32Array, SparseVector, TextKind
from tamis_transformers.checkpoint import located
from tamis_transformers.model_queue import ModelQueue

if TYPE_CHECKING:
    from tamis_transformers.term_weigher import TermWeigher, Tokens

__all__ = ["SpladeEmbedder", "SpladeSettings"]


class SpladeSettings(Settings):
    """`model` is a folder with a masked language model, or a hub id downloaded before. A text keeps the `most_terms`
    that weigh most. `batch_token_count` is a batch's padded size; each token takes a number for every term there is."""

    model: str
    device: str = "auto"
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    max_tokens: Annotated[int, Field(ge=8)] | None = None
    most_terms: Annotated[int, Field(ge=1)] = 512
    batch_token_count: Annotated[int, Field(ge=64)] = 1_024
    most_waiting: Annotated[int, Field(ge=1)] = 20_000


class SpladeEmbedder(Embedder):
    """Weighs every term of a masked language model's vocabulary. Formal, Piwowarski and Clinchant, "SPLADE", 2021."""

    Settings = SpladeSettings
    capabilities = Capabilities(score_kind=ScoreKind.COSINE)

    def __init__(self, settings: SpladeSettings) -> None:
        super().__init__(settings)
        self._settings = settings
        self._path = located(settings.model)
        self._tokenizing = ThreadPoolExecutor(1, thread_name_prefix="tamis-tokenize")
        self._opened: tuple[TermWeigher, ModelQueue[Tokens, SparseVector]] | None = None

    async def open(self) -> None:
        weigher = await asyncio.get_running_loop().run_in_executor(self._tokenizing, self._load)
        settings = self._settings
        queue = ModelQueue(weigher.weigh, batch_cost=settings.batch_token_count, most_waiting=settings.most_waiting)
        queue.start()
        self._opened = weigher, queue

    async def close(self) -> None:
        if self._opened is not None:
            await asyncio.get_running_loop().run_in_executor(self._tokenizing, self._opened[1].close)
        self._tokenizing.shutdown(wait=False)

    @property
    def dimensions(self) -> int:
        """As many as there are terms."""
        return self._loaded[0].dimensions

    @property
    def max_tokens(self) -> int:
        return self._loaded[0].max_tokens

    @property
    def fingerprint(self) -> str:
        return self._loaded[0].fingerprint

    async def embed(self, texts: Sequence[str], *, kind: TextKind, call: Call) -> Float32Array:
        """The weights as long vectors of unit length. `embed_sparse` has the same without the zeros."""
        vectors = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        for row, each in enumerate(await self.embed_sparse(texts, kind=kind, call=call)):
            length = float(np.linalg.norm(each.values))
            if length > 0:
                vectors[row, each.indices] = each.values / length
            else:
                vectors[row, 0] = 1.0  # a text without terms needs a direction, too
        return vectors

    async def embed_sparse(self, texts: Sequence[str], *, kind: TextKind, call: Call) -> list[SparseVector]:
        call.check()
        if not texts:
            return []
        weigher, queue = self._loaded
        tokens = await asyncio.get_running_loop().run_in_executor(self._tokenizing, weigher.tokenize, texts)
        call.usage.input_token_count += sum(map(len, tokens))
        return await queue.collect(tokens, [len(each) for each in tokens], call)

    @property
    def _loaded(self) -> tuple[TermWeigher, ModelQueue[Tokens, SparseVector]]:
        if self._opened is None:
            raise RuntimeError("the embedder is not open")
        return self._opened

    def _load(self) -> TermWeigher:
        from tamis_transformers.term_weigher import TermWeigher

        it = self._settings
        return TermWeigher(
            self._path, device=it.device, dtype=it.dtype, max_tokens=it.max_tokens, most_terms=it.most_terms
        )
