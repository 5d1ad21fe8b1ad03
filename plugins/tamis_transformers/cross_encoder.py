"""The cross-encoder reranker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from tamis.component import Capabilities, Settings
from tamis.context import Call
from tamis.model import Passage, Query, ScoreKind
from tamis.stage import PointwiseReranker
from tamis_transformers.checkpoint import located
from tamis_transformers.model_queue import ModelQueue

if TYPE_CHECKING:
    from tamis_transformers.pair_scorer import Pair, PairScorer

__all__ = ["CrossEncoderReranker", "CrossEncoderSettings"]


class CrossEncoderSettings(Settings):
    """`model` is a folder with a sequence-classification checkpoint of one label, or of two (no and yes), or a hub id
    downloaded before. `max_tokens` cuts query and passage together. `batch_token_count` is a batch's padded size."""

    model: str
    device: str = "auto"
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    max_tokens: Annotated[int, Field(ge=8)] | None = None
    batch_token_count: Annotated[int, Field(ge=64)] = 4_096
    most_waiting: Annotated[int, Field(ge=1)] = 20_000


class CrossEncoderReranker(PointwiseReranker):
    """Reads query and passage together. Nogueira and Cho, "Passage Re-ranking with BERT", 2019. Scores are logits."""

    Settings = CrossEncoderSettings
    capabilities = Capabilities(score_kind=ScoreKind.LOGIT)

    def __init__(self, settings: CrossEncoderSettings) -> None:
        super().__init__(settings)
        self._settings = settings
        self._path = located(settings.model)
        self._tokenizing = ThreadPoolExecutor(1, thread_name_prefix="tamis-tokenize")
        self._opened: tuple[PairScorer, ModelQueue[Pair, float]] | None = None

    async def open(self) -> None:
        scorer = await asyncio.get_running_loop().run_in_executor(self._tokenizing, self._load)
        settings = self._settings
        queue = ModelQueue(scorer.score, batch_cost=settings.batch_token_count, most_waiting=settings.most_waiting)
        queue.start()
        self._opened = scorer, queue

    async def close(self) -> None:
        if self._opened is not None:
            await asyncio.get_running_loop().run_in_executor(self._tokenizing, self._opened[1].close)
        self._tokenizing.shutdown(wait=False)

    async def score(self, query: Query, passages: Sequence[Passage], *, call: Call) -> AsyncIterator[tuple[int, float]]:
        if self._opened is None:
            raise RuntimeError("the reranker is not open")
        if not passages:
            return
        call.check()
        scorer, queue = self._opened
        texts = [passage.full_text for passage in passages]
        pairs = await asyncio.get_running_loop().run_in_executor(self._tokenizing, scorer.tokenize, query.text, texts)
        async with aclosing(queue.stream(pairs, [len(pair.tokens) for pair in pairs], call)) as scores:
            async for position, score in scores:
                call.usage.pair_count += 1
                call.usage.input_token_count += len(pairs[position].tokens)
                yield position, score

    def _load(self) -> PairScorer:
        from tamis_transformers.pair_scorer import PairScorer

        settings = self._settings
        return PairScorer(self._path, device=settings.device, dtype=settings.dtype, max_tokens=settings.max_tokens)
