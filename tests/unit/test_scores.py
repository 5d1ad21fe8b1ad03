"""Scores are computed once, and kept for nobody else."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tamis.context import Call, CallEnded, Principal
from tamis.model import Passage, Query
from tamis.scores import CachedScoresSettings, ScoreCache
from tamis.stage import PointwiseReranker, Reranking

QUERY = Query("moon")
TEXTS = ("tide", "sea", "sun")


@dataclass
class Log:
    """What a reranker was asked to score."""

    scored: list[str] = field(default_factory=list)
    failing: str | None = None


class Hashing(PointwiseReranker):
    """A score for each pair of texts that looks like chance; `nan` has none."""

    Settings = CachedScoresSettings

    def __init__(self, settings: CachedScoresSettings) -> None:
        super().__init__(settings)
        self.log = Log()

    async def score(self, query: Query, passages: Sequence[Passage], *, call: Call) -> AsyncIterator[tuple[int, float]]:
        for index, passage in reversed([*enumerate(passages)]):
            call.check()
            if passage.text == self.log.failing:
                raise RuntimeError
            self.log.scored.append(passage.text)
            call.usage.pair_count += 1
            yield index, math.nan if passage.text == "nan" else _score(query.text, passage.text)


def _score(query: str, text: str) -> float:
    return sum(ord(one) * place for place, one in enumerate(query + "|" + text, 1)) % 97 / 7


def _passages(texts: Sequence[str]) -> list[Passage]:
    return [Passage(str(place), str(place), 1, text) for place, text in enumerate(texts)]


async def _reranked(
    reranker: PointwiseReranker, texts: Sequence[str] = TEXTS, query: Query = QUERY, call: Call | None = None
) -> Reranking | None:
    stream = reranker.rerank(query, _passages(texts), top_n=10, call=call or Call())
    async with aclosing(stream) as each_better:
        found = [each async for each in each_better]
    return found[-1] if found else None


def _reranker(**settings: float) -> Hashing:
    return Hashing(CachedScoresSettings.model_validate(settings))


async def test_the_same_query_over_the_same_passages_is_scored_once() -> None:
    reranker, first, second = _reranker(), Call(), Call()
    one, other = await _reranked(reranker, call=first), await _reranked(reranker, TEXTS[::-1], call=second)
    assert sorted(reranker.log.scored) == sorted(TEXTS)
    assert one is not None
    assert other is not None
    assert one.scores == other.scores[::-1]
    assert (first.usage.pair_count, first.usage.cache_hit_count) == (3, 0)
    assert (second.usage.pair_count, second.usage.cache_hit_count) == (0, 3)


@pytest.mark.parametrize(
    ("query", "call"),
    [
        (Query("sun"), Call()),
        (QUERY, Call(options={"layer": 3})),
        (QUERY, Call(principal=Principal(tenant="b"))),
    ],
    ids=["query", "option", "tenant"],
)
async def test_whatever_changes_a_score_or_who_may_know_of_it_is_part_of_its_key(query: Query, call: Call) -> None:
    reranker = _reranker()
    await _reranked(reranker)
    await _reranked(reranker, query=query, call=call)
    assert len(reranker.log.scored) == 2 * len(TEXTS)
    assert call.usage.cache_hit_count == 0


async def test_only_what_is_new_is_scored() -> None:
    reranker, call = _reranker(), Call()
    await _reranked(reranker)
    best = await _reranked(reranker, ("stone", *TEXTS, "fish"), call=call)
    assert sorted(reranker.log.scored[3:]) == ["fish", "stone"]
    assert best is not None
    assert best.scores == tuple(_score("moon", each) for each in ("stone", *TEXTS, "fish"))
    assert (call.usage.pair_count, call.usage.cache_hit_count) == (2, 3)


async def test_passages_of_the_same_text_share_one_score() -> None:
    reranker, call = _reranker(), Call()
    best = await _reranked(reranker, ["tide"] * 4, call=call)
    assert reranker.log.scored == ["tide"]
    assert best is not None
    assert best.scores == (_score("moon", "tide"),) * 4
    assert (call.usage.pair_count, call.usage.cache_hit_count) == (1, 3)


async def test_a_score_that_is_not_finite_is_not_kept() -> None:
    reranker = _reranker()
    for _ in range(2):
        await _reranked(reranker, ("nan", "tide"))
    assert reranker.log.scored == ["tide", "nan", "nan"]


async def test_what_fails_is_not_kept_and_what_came_before_it_is() -> None:
    reranker = _reranker()
    reranker.log.failing = "sea"
    with pytest.raises(RuntimeError):
        await _reranked(reranker)
    reranker.log.failing = None
    await _reranked(reranker)
    assert reranker.log.scored == ["sun", "sea", "tide"]


async def test_a_call_that_has_ended_gets_nothing_and_leaves_nothing_behind() -> None:
    reranker, call = _reranker(), Call()
    async with aclosing(reranker.rerank(QUERY, _passages(TEXTS), top_n=3, call=call)) as stream:
        with suppress(CallEnded):
            async for _ in stream:
                call.end()
    assert reranker.log.scored == ["sun"]
    await _reranked(reranker)
    with pytest.raises(CallEnded):
        await _reranked(reranker, call=call)
    assert sorted(reranker.log.scored) == sorted(TEXTS)


async def test_a_cache_of_none_keeps_nothing_and_shares_nothing() -> None:
    reranker = _reranker(cached_scores=0)
    for _ in range(2):
        await _reranked(reranker, ["tide", "tide"])
    assert reranker.log.scored == ["tide"] * 4


async def test_who_was_asked_for_least_recently_goes() -> None:
    reranker = _reranker(cached_scores=2)
    for text in ("tide", "sea", "tide", "sun", "tide", "sea"):
        await _reranked(reranker, [text])
    assert reranker.log.scored == ["tide", "sea", "sun", "sea"]


async def test_scores_are_forgotten_after_their_time() -> None:
    now = [0.0]
    cache = ScoreCache(10, 60.0, clock=lambda: now[0])
    (key,) = await cache.keys("moon", ["tide"], Call())
    cache.put(key, 1.5)
    now[0] = 59.0
    assert cache.get(key) == 1.5
    now[0] = 61.0
    assert cache.get(key) is None


async def test_what_is_kept_under_has_no_text_in_it_and_is_not_the_same_in_another_cache() -> None:
    one, other = [await ScoreCache(10).keys("moon", ["tide"], Call()) for _ in range(2)]
    assert one != other
    assert len(one[0]) == 16


async def test_a_reranker_that_makes_up_places_cannot_spoil_what_is_kept() -> None:
    class Lying(Hashing):
        async def score(
            self, query: Query, passages: Sequence[Passage], *, call: Call
        ) -> AsyncIterator[tuple[int, float]]:
            for place in (0, 0, 99, -1):
                self.log.scored.append("")
                yield place, float(len(self.log.scored))

    reranker, call = Lying(CachedScoresSettings()), Call()
    first = await _reranked(reranker, call=call)
    assert first is not None
    assert first.scores == (1.0, None, None)
    assert call.notes == ["duplicate or unknown index dropped", "passages left without a score"]
    again = await _reranked(reranker)
    assert again is not None
    assert again.scores == (1.0, 5.0, None)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.lists(st.text(max_size=2), max_size=6)), max_size=8))
async def test_no_order_of_queries_changes_a_score(asked: list[tuple[str, list[str]]]) -> None:
    kept, plain = _reranker(cached_scores=5), _reranker(cached_scores=0)
    for query, texts in asked:
        one, other = [await _reranked(each, texts, Query(query)) for each in (kept, plain)]
        assert (one and one.scores) == (other and other.scores)
        assert (one and one.order) == (other and other.order)
