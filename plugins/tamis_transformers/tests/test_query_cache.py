"""A query is encoded once, whoever wants what of it."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from tamis.context import Call, Principal
from tamis.models import SparseVector, TextKind
from tamis.testing.contract import opened
from tamis_transformers import SentenceTransformersEmbedder
from tamis_transformers.query_cache import QueryCache

QUERY, PASSAGE = TextKind.QUERY, TextKind.PASSAGE


def _embedder(**settings: int) -> SentenceTransformersEmbedder:
    return SentenceTransformersEmbedder(SentenceTransformersEmbedder.Settings(**settings))


@pytest.mark.parametrize("tokens_first", [True, False])
async def test_vector_and_token_vectors_of_a_query_come_of_one_pass(tokens_first: bool) -> None:
    first, second = Call(), Call()
    async with opened(_embedder()) as one, opened(_embedder(query_cache_bytes=0)) as plain:
        if tokens_first:
            (tokens,) = await one.embed_tokens(["tides"], kind=QUERY, call=first)
            (vector,) = await one.embed(["tides"], kind=QUERY, call=second)
        else:
            (vector,) = await one.embed(["tides"], kind=QUERY, call=first)
            (tokens,) = await one.embed_tokens(["tides"], kind=QUERY, call=second)
        assert vector == pytest.approx((await plain.embed(["tides"], kind=QUERY, call=Call()))[0], abs=1e-6)
        assert tokens == pytest.approx((await plain.embed_tokens(["tides"], kind=QUERY, call=Call()))[0], abs=1e-6)
    assert (first.usage.model_call_count, first.usage.cache_hit_count) == (1, 0)
    assert (second.usage.model_call_count, second.usage.cache_hit_count) == (0, 1)
    assert second.usage.input_token_count == 0


async def test_passages_other_tenants_and_a_cache_of_no_bytes_are_encoded_anew() -> None:
    async with opened(_embedder()) as embedder, opened(_embedder(query_cache_bytes=0)) as plain:
        calls = [Call(principal=Principal(tenant=name)) for name in ("", "a", "b")]
        for call in calls:
            await embedder.embed(["tides"], kind=QUERY, call=call)
        calls += [Call(), Call(), Call(), Call()]
        await embedder.embed(["the sea"], kind=PASSAGE, call=calls[3])
        await embedder.embed(["the sea"], kind=PASSAGE, call=calls[4])
        await plain.embed(["tides"], kind=QUERY, call=calls[5])
        await plain.embed(["tides"], kind=QUERY, call=calls[6])
    assert [call.usage.model_call_count for call in calls] == [1] * 7
    assert {call.usage.cache_hit_count for call in calls} == {0}


async def test_known_and_new_queries_come_in_the_order_asked() -> None:
    call = Call()
    async with opened(_embedder()) as embedder:
        (known,) = await embedder.embed(["tides"], kind=QUERY, call=Call())
        found = await embedder.embed(["bread", "tides", "moon"], kind=QUERY, call=call)
        assert found[1] == pytest.approx(known)
        assert found[0] == pytest.approx((await embedder.embed(["bread"], kind=QUERY, call=Call()))[0])
    assert call.usage.cache_hit_count == 1


def test_the_oldest_query_goes_when_there_is_no_room() -> None:
    cache: QueryCache[bytes] = QueryCache(25_000, len)
    for text in ("one", "two", "one", "three"):
        if cache.get(text, QUERY, Call()) is None:
            cache.put(text, QUERY, Call(), bytes(10_000))
    cache.put("too long", QUERY, Call(), bytes(25_000))
    found = {text: cache.get(text, QUERY, Call()) is not None for text in ("one", "two", "three", "too long")}
    assert found == {"one": True, "two": False, "three": True, "too long": False}


def test_what_is_kept_of_queries_that_gave_nothing_is_bounded_in_memory() -> None:
    cache: QueryCache[SparseVector] = QueryCache(100_000, lambda each: each.indices.nbytes + each.values.nbytes)
    tracemalloc.start()
    for number in range(3_000):
        nothing = SparseVector(np.zeros(0, np.uint32), np.zeros(0, np.float32))
        cache.put(str(number), QUERY, Call(), nothing)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 150_000
