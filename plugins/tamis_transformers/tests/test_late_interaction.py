"""MaxSim by hand, and late interaction on real weights."""

from __future__ import annotations

from contextlib import aclosing

import numpy as np
import pytest

from tamis.context import Call, Principal
from tamis.errors import ConfigurationError
from tamis.model import Query
from tamis.models import Embedder
from tamis.stage import Reranking
from tamis.testing.contract import opened
from tamis.testing.contract.collections import TEXTS, passage
from tamis.testing.embedders import HashEmbedder
from tamis_transformers import LateInteractionReranker, SentenceTransformersEmbedder
from tamis_transformers.late_interaction import max_sim


def test_max_sim_adds_up_the_best_match_of_each_query_token() -> None:
    query = np.array([[1, 0], [0, 1]], dtype=np.float32)
    text = np.array([[0.6, 0.8], [1, 0], [-1, 0]], dtype=np.float32)
    assert max_sim(query, text) == pytest.approx(1 + 0.8)


def test_max_sim_of_nothing_is_zero() -> None:
    some, none = np.ones((2, 3), dtype=np.float32), np.zeros((0, 3), dtype=np.float32)
    assert [max_sim(some, none), max_sim(none, some), max_sim(none, none)] == [0, 0, 0]


async def last(reranker: LateInteractionReranker, question: str, call: Call) -> Reranking:
    passages = [passage(str(number), text) for number, text in enumerate(TEXTS)]
    async with aclosing(reranker.rerank(Query(question), passages, top_n=10, call=call)) as stream:
        return [each async for each in stream][-1]


def late_interaction(embedder: Embedder, **settings: int) -> LateInteractionReranker:
    return LateInteractionReranker(LateInteractionReranker.Settings(embedder=embedder, **settings))


async def test_the_passage_that_answers_comes_first() -> None:
    embedder = SentenceTransformersEmbedder(SentenceTransformersEmbedder.Settings())
    async with opened(late_interaction(embedder)) as reranker:
        for question, best in (
            ("What causes the tides?", 0),
            ("How do I bake bread at home?", 1),
            ("How do plants make sugar?", 6),
        ):
            assert (await last(reranker, question, Call())).order[0] == best


async def test_passages_seen_before_come_from_the_cache_with_the_same_scores() -> None:
    async with opened(late_interaction(HashEmbedder(HashEmbedder.Settings()))) as reranker:
        first, second = Call(), Call()
        fresh, cached = await last(reranker, TEXTS[0], first), await last(reranker, TEXTS[0], second)
    assert (first.usage.cache_hit_count, second.usage.cache_hit_count) == (0, len(TEXTS))
    assert first.usage.pair_count == second.usage.pair_count == len(TEXTS)
    assert cached.scores == pytest.approx(fresh.scores, abs=0.05)


async def test_no_tenant_learns_from_the_cache_what_another_has() -> None:
    mine, others = Call(principal=Principal(tenant="a")), Call(principal=Principal(tenant="b"))
    async with opened(late_interaction(HashEmbedder(HashEmbedder.Settings()))) as reranker:
        await last(reranker, TEXTS[0], mine)
        await last(reranker, TEXTS[0], others)
    assert (mine.usage.cache_hit_count, others.usage.cache_hit_count) == (0, 0)


async def test_a_cache_of_no_bytes_keeps_nothing() -> None:
    async with opened(late_interaction(HashEmbedder(HashEmbedder.Settings()), cache_bytes=0)) as reranker:
        await last(reranker, TEXTS[0], Call())
        again = Call()
        await last(reranker, TEXTS[0], again)
    assert again.usage.cache_hit_count == 0


async def test_passages_without_tokens_take_their_place_in_the_cache_too() -> None:
    class Mute(HashEmbedder):
        async def embed_tokens(self, texts, *, kind, call):  # type: ignore[no-untyped-def]
            return [np.zeros((0, self.dimensions), np.float32) for _ in texts]

    async with opened(late_interaction(Mute(Mute.Settings()), cache_bytes=2_000)) as reranker:
        await last(reranker, TEXTS[0], Call())
        again = Call()
        await last(reranker, TEXTS[0], again)
    assert again.usage.cache_hit_count < 4 < len(TEXTS)


def test_an_embedder_without_token_vectors_is_refused() -> None:
    class Plain(Embedder):
        dimensions, max_tokens, fingerprint = 2, 8, "plain"  # type: ignore[assignment]

        async def embed(self, texts, *, kind, call):  # type: ignore[no-untyped-def]
            raise NotImplementedError

    with pytest.raises(ConfigurationError, match="token vectors"):
        late_interaction(Plain(Plain.Settings()))
