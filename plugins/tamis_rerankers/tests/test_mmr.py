"""Diversity: the choice itself, and the reranker that embeds for it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tamis.context import Call, CallEnded, Principal
from tamis.model import Query
from tamis.models import Float32Array, TextKind
from tamis.stage import Reranking
from tamis.testing.contract import opened
from tamis.testing.contract.collections import passage
from tamis.testing.embedders import HashEmbedder
from tamis_rerankers import MmrReranker
from tamis_rerankers.selection import Selection

ROWS = st.integers(1, 30)
SEEDS = st.integers(0, 1_000)


class CountingEmbedder(HashEmbedder):
    """Remembers what it was asked to embed, and waits at `gate` before any part but the first, if there is one."""

    def __init__(self) -> None:
        super().__init__(HashEmbedder.Settings())
        self.asked: list[list[str]] = []
        self.gate: asyncio.Event | None = None
        self.spoilt = ""

    async def embed(self, texts: Sequence[str], *, kind: TextKind, call: Call) -> Float32Array:
        if kind is TextKind.PASSAGE:
            if self.asked and self.gate is not None:
                await self.gate.wait()
            self.asked.append(list(texts))
        vectors = await super().embed(texts, kind=kind, call=call)
        if self.spoilt in texts:
            vectors[list(texts).index(self.spoilt)] = np.nan
        return vectors


class LengthEmbedder(HashEmbedder):
    """Knows two kinds of text, by their length: for many passages at once."""

    async def embed(self, texts: Sequence[str], *, kind: TextKind, call: Call) -> Float32Array:
        vectors = np.zeros((len(texts), self.dimensions), np.float32)
        vectors[np.arange(len(texts)), [len(text) % 2 for text in texts]] = 1.0
        return vectors


def _vectors(rows: int, seed: int) -> Float32Array:
    found = np.random.default_rng(seed).standard_normal((rows, 8)).astype(np.float32)
    return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True), np.float32)


def _chosen(vectors: Float32Array, relevance: Any, diversity: float, count: int) -> list[int]:
    selection = Selection(vectors, np.asarray(relevance), diversity, np.arange(len(vectors)))
    selection.extend(count)
    return selection.chosen


def _by_definition(vectors: Float32Array, relevance: Any, diversity: float, count: int) -> list[int]:
    """The formula of the paper, read aloud."""
    chosen: list[int] = []
    left = list(range(len(vectors)))
    while left and len(chosen) < count:

        def gain(row: int) -> float:
            repeated = max((float(vectors[row] @ vectors[each]) for each in chosen), default=None)
            return relevance[row] if repeated is None else (1 - diversity) * relevance[row] - diversity * repeated

        best = max(left, key=gain)
        chosen.append(best)
        left.remove(best)
    return chosen


@settings(max_examples=60)
@given(rows=ROWS, seed=SEEDS, diversity=st.sampled_from([0.0, 0.25, 0.5, 0.9]))
def test_the_choice_is_that_of_the_paper(rows: int, seed: int, diversity: float) -> None:
    vectors, relevance = _vectors(rows, seed), np.random.default_rng(seed + 1).random(rows)
    assert _chosen(vectors, relevance, diversity, rows) == _by_definition(vectors, relevance, diversity, rows)


@settings(max_examples=40)
@given(rows=ROWS, seed=SEEDS)
def test_without_diversity_relevance_alone_decides(rows: int, seed: int) -> None:
    relevance = np.random.default_rng(seed).integers(0, 4, rows)
    expected = sorted(range(rows), key=lambda row: (-relevance[row], row))
    assert _chosen(_vectors(rows, seed), relevance, 0.0, rows) == expected


@settings(max_examples=40)
@given(rows=ROWS, seed=SEEDS, diversity=st.floats(0, 1), count=st.integers(0, 40), step=st.integers(1, 7))
def test_choosing_in_steps_chooses_the_same(rows: int, seed: int, diversity: float, count: int, step: int) -> None:
    vectors, relevance = _vectors(rows, seed), np.ones(rows)
    selection = Selection(vectors, relevance, diversity, np.arange(rows))
    for until in range(0, count + step, step):
        selection.extend(min(until, count))
    assert selection.chosen == _chosen(vectors, relevance, diversity, count)
    assert len(set(selection.chosen)) == len(selection.chosen) == min(count, rows)


def test_alike_passages_are_told_apart_by_their_prior_order_alone() -> None:
    vectors = np.repeat(_vectors(1, 3), 37, axis=0)
    relevance = vectors @ _vectors(1, 4)[0]
    assert _chosen(vectors, relevance, 0.5, 37) == list(range(37))


async def _last(reranker: MmrReranker, texts: Sequence[str], top_n: int, call: Call | None = None) -> Reranking:
    passages = [passage(str(number), text) for number, text in enumerate(texts)]
    stream = reranker.rerank(Query("red apples"), passages, top_n=top_n, call=call or Call())
    *_, last = [each async for each in stream]
    return last


def _reranker(embedder: HashEmbedder, **fields: object) -> MmrReranker:
    return MmrReranker(MmrReranker.Settings.model_validate({"embedder": embedder, **fields}))


TEXTS = ["red apples", "red apples red", "green pears", "red apples", "blue plums and red apples"]


async def test_a_repetition_falls_behind_what_is_new() -> None:
    async with opened(_reranker(CountingEmbedder(), diversity=0.6)) as reranker:
        assert (await _last(reranker, TEXTS, 3)).order[:3] == (0, 2, 4)
        relevant = await _last(reranker, TEXTS, 5, Call(options={"diversity": 0.0}))
    assert relevant.order == (0, 3, 1, 4, 2)


async def test_what_is_not_asked_for_follows_in_its_prior_order() -> None:
    async with opened(_reranker(CountingEmbedder(), diversity=0.6)) as reranker:
        last = await _last(reranker, TEXTS, 2)
    assert last.order == (0, 2, 1, 3, 4)
    assert last.ranked_count == len(TEXTS)


async def test_by_the_prior_order_no_query_is_embedded_and_the_first_stays_first() -> None:
    embedder = CountingEmbedder()
    async with opened(_reranker(embedder, relevance="prior", diversity=0.0)) as reranker:
        assert (await _last(reranker, TEXTS[::-1], 5)).order == (0, 1, 2, 3, 4)


async def test_each_text_is_embedded_once_and_again_never() -> None:
    embedder, call = CountingEmbedder(), Call()
    async with opened(_reranker(embedder)) as reranker:
        await _last(reranker, TEXTS, 5)
        first, embedder.asked = embedder.asked, []
        await _last(reranker, TEXTS, 5, call)
    assert first == [[TEXTS[0], TEXTS[1], TEXTS[2], TEXTS[4]]]
    assert embedder.asked == []
    assert (call.usage.cache_hit_count, call.usage.pair_count) == (5, 5)


async def test_a_cache_holds_no_more_than_it_may() -> None:
    embedder = CountingEmbedder()
    async with opened(_reranker(embedder, cache_bytes=64 * 4)) as reranker:
        await _last(reranker, TEXTS, 5)
        embedder.asked = []
        await _last(reranker, TEXTS[:1] + TEXTS[4:], 2)
    assert embedder.asked == [[TEXTS[0]]]


async def test_orders_come_while_passages_are_still_being_embedded() -> None:
    embedder = CountingEmbedder()
    embedder.gate = asyncio.Event()
    passages = [passage(str(number), f"text {number}") for number in range(100)]
    async with opened(_reranker(embedder)) as reranker:
        stream = reranker.rerank(Query("text 99"), passages, top_n=10, call=Call())
        async with aclosing(stream):
            early = await anext(stream)
            embedder.gate.set()
            *_, last = [each async for each in stream]
    assert early.ranked == set(range(64))
    assert last.ranked == set(range(100))
    assert last.order[0] == 99


async def test_a_vector_that_is_no_number_is_noted_and_does_no_harm() -> None:
    embedder, call = CountingEmbedder(), Call()
    embedder.spoilt = TEXTS[1]
    async with opened(_reranker(embedder, diversity=0.0)) as reranker:
        last = await _last(reranker, TEXTS, 5, call)
    assert last.order[:2] == (0, 3)
    assert sorted(last.order) == [0, 1, 2, 3, 4]
    assert call.notes == ["vector that is not finite dropped"]


async def test_of_ten_thousand_passages_a_first_order_comes_early_and_a_call_that_ends_ends_it() -> None:
    passages = [passage(str(number), f"text {number}") for number in range(10_000)]
    call, sizes = Call(), []
    async with opened(_reranker(LengthEmbedder(HashEmbedder.Settings()), relevance="prior")) as reranker:
        stream = reranker.rerank(Query("text"), passages, top_n=1_000, call=call)
        with pytest.raises(CallEnded):
            async for each in stream:
                sizes.append(each.ranked_count)
                if each.ranked_count == 10_000:
                    call.end()
    assert sizes[0] == 64
    assert sizes[-1] == 10_000
    assert sizes.count(10_000) == 1


async def test_no_tenant_learns_from_the_cache_what_another_has() -> None:
    mine, others = Call(principal=Principal(tenant="a")), Call(principal=Principal(tenant="b"))
    async with opened(_reranker(CountingEmbedder())) as reranker:
        await _last(reranker, TEXTS, 5, mine)
        await _last(reranker, TEXTS, 5, others)
    assert others.usage.cache_hit_count == mine.usage.cache_hit_count
