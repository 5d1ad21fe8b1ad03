"""The reranker of jina-reranker-v3: all passages and the query in one pass, or in blocks when there are many."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from tamis.component import Capabilities, Settings
from tamis.context import Call
from tamis.model import Passage, Query, ScoreKind
from tamis.stage import Reranker, Reranking
from tamis_transformers.checkpoint import located
from tamis_transformers.device_slot import slot_of
from tamis_transformers.turns import Turns

if TYPE_CHECKING:
    from tamis_transformers.jina_v3_model import Block, JinaV3Model, Texts

__all__ = ["JinaV3Reranker", "JinaV3Settings"]


class JinaV3Settings(Settings):
    """`model` is a folder with the checkpoint, or a hub id downloaded before. A block has at most `block_passage_count`
    passages and `block_token_count` tokens, by default as many as the model has positions for. Passages and queries
    are cut at `max_passage_tokens` and `max_query_tokens`. `instruction` says what relevant means, in a sentence.
    """

    model: str
    instruction: str = ""
    device: str = "auto"
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    block_passage_count: Annotated[int, Field(ge=1)] = 125
    block_token_count: Annotated[int, Field(ge=256)] | None = None
    max_passage_tokens: Annotated[int, Field(ge=8)] = 2_048
    max_query_tokens: Annotated[int, Field(ge=8)] = 512
    most_waiting: Annotated[int, Field(ge=1)] = 32


class JinaV3Reranker(Reranker):
    """Passages see those before them, the query sees all. Wang et al., "jina-reranker-v3: Last but Not Late Interaction
    for Listwise Document Reranking", 2025 (arXiv 2509.25085).

    A score is the cosine of the passage's and the query's projected states. Of several blocks the query's states are
    averaged, each weighted by how near the best passage of its block came, so that scores change with every block.
    """

    Settings = JinaV3Settings
    capabilities = Capabilities(score_kind=ScoreKind.COSINE, cross_document=True)

    def __init__(self, settings: JinaV3Settings) -> None:
        super().__init__(settings)
        self._settings = settings
        self._path = located(settings.model)
        self._tokenizing = ThreadPoolExecutor(1, thread_name_prefix="tamis-tokenize")
        self._turns = Turns(most_waiting=settings.most_waiting)
        self._opened: JinaV3Model | None = None

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        self._opened = await loop.run_in_executor(self._tokenizing, self._load)
        self._turns.start(await loop.run_in_executor(self._tokenizing, slot_of, self._settings.device))

    async def close(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._tokenizing, self._turns.close)
        self._tokenizing.shutdown(wait=False)

    async def rerank(
        self, query: Query, passages: Sequence[Passage], *, top_n: int, call: Call
    ) -> AsyncGenerator[Reranking, None]:
        """An order after each block, with the scores of all passages read by then."""
        if self._opened is None:
            raise RuntimeError("the reranker is not open")
        if not passages:
            return
        call.check()
        model, told = self._opened, [passage.full_text for passage in passages]
        texts = await asyncio.get_running_loop().run_in_executor(self._tokenizing, model.texts, query.text, told)
        if texts.is_cut:
            call.note("text longer than the model reads was cut")
        async with aclosing(self._blocks(model, texts, call)) as stream:
            blocks: list[Block] = []
            async for block in stream:
                blocks.append(block)
                call.usage.pair_count += len(block.passages)
                yield _reranking(blocks, len(passages), call)

    async def _blocks(self, model: JinaV3Model, texts: Texts, call: Call) -> AsyncGenerator[Block, None]:
        def work() -> Iterator[Any]:
            for block in texts.blocks:
                yield from model.read(texts, block)

        async with aclosing(self._turns.stream(work, call)) as parts:
            async for part in parts:
                call.usage.model_call_count += 1
                call.usage.input_token_count += part.read_count
                if part.block is not None:
                    yield part.block

    def _load(self) -> JinaV3Model:
        from tamis_transformers.jina_v3_model import JinaV3Model

        settings = self._settings
        return JinaV3Model(
            self._path,
            instruction=settings.instruction,
            device=settings.device,
            dtype=settings.dtype,
            block_passage_count=settings.block_passage_count,
            block_token_count=settings.block_token_count,
            max_passage_tokens=settings.max_passage_tokens,
            max_query_tokens=settings.max_query_tokens,
        )


def _reranking(blocks: Sequence[Block], count: int, call: Call) -> Reranking:
    """What is read first stands first in `blocks`, so that the places of the passages are those of the scores."""
    told = _scores(blocks)
    finite = np.isfinite(told)
    if not finite.all():
        call.note("score that is not finite dropped")
    scores = [float(score) if is_finite else None for score, is_finite in zip(told, finite, strict=True)]
    return Reranking((*scores, *[None] * (count - len(scores))), int(finite.sum()))


def _scores(blocks: Sequence[Block]) -> NDArray[np.float64]:
    """Cosines of all passages with the average query, as the model's authors combine blocks."""
    weights = np.array([(1 + _cosines(block.passages, block.query).max()) / 2 for block in blocks])
    weights[~np.isfinite(weights)] = 0
    if not weights.sum():
        weights[:] = 1
    query = sum(weight * block.query for weight, block in zip(weights, blocks, strict=True) if weight)
    return np.concatenate([_cosines(block.passages, np.asarray(query)) for block in blocks])


def _cosines(passages: NDArray[np.float64], query: NDArray[np.float64]) -> NDArray[np.float64]:
    lengths = np.linalg.norm(passages, axis=1) * np.linalg.norm(query)
    found: NDArray[np.float64] = passages @ query / np.maximum(lengths, 1e-12)
    return found
