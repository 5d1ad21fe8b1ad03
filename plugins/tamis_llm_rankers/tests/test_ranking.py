"""How good an order each method reaches by how many questions, of a model that knows, and of one that lies."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import mean
from typing import Any

import pytest
from graded import QUERY, asked, built, inversions, passages, shuffled, tau

from tamis.context import Call
from tamis.testing.contract import opened
from tamis_llm_rankers import ListwiseLlmReranker, PairwiseReranker, QueryLikelihoodReranker, SetwiseReranker
from tamis_llm_rankers.heap import HeapSort
from tamis_llm_rankers.listwise import pass_count, windows


@dataclass(frozen=True)
class Method:
    """A reranker's kind and settings; `floors` are the means of Kendall's tau that it keeps at 0, 10 and 30 % lies."""

    kind: Any
    settings: dict[str, Any]
    floors: tuple[float, float, float]
    oracle: dict[str, Any] = field(default_factory=dict)


IN_WORDS = {"gives_log_probabilities": False}
METHODS = {
    "listwise": Method(ListwiseLlmReranker, {"window": 8, "stride": 4, "passes": 5}, (1.0, 0.9, 0.65)),
    "first": Method(ListwiseLlmReranker, {"window": 8, "stride": 4, "passes": 5, "method": "first"}, (1.0, 0.92, 0.8)),
    "pairwise-all-pairs": Method(PairwiseReranker, {"method": "all-pairs"}, (1.0, 0.9, 0.7)),
    "pairwise-heap": Method(PairwiseReranker, {"method": "heap"}, (1.0, 0.9, 0.6)),
    "pairwise-sliding": Method(PairwiseReranker, {"method": "sliding", "passes": 20}, (1.0, 0.9, 0.4)),
    "pairwise-in-words": Method(PairwiseReranker, {"method": "all-pairs"}, (1.0, 0.85, 0.55), IN_WORDS),
    "setwise": Method(SetwiseReranker, {"set_size": 4}, (1.0, 0.8, 0.5)),
    "setwise-in-words": Method(SetwiseReranker, {"set_size": 4, "prompt": "few-shot"}, (1.0, 0.75, 0.4), IN_WORDS),
    "query-likelihood": Method(QueryLikelihoodReranker, {}, (1.0, 0.85, 0.45)),
}
every_method = pytest.mark.parametrize("name", METHODS)


@every_method
async def test_the_order_is_right_when_the_model_never_lies_and_degrades_as_it_does(name: str) -> None:
    method = METHODS[name]
    reached = []
    for rate in (0.0, 0.1, 0.3):
        taus = []
        for seed in range(3):
            grades = shuffled(16, seed)
            oracle = {**method.oracle, "lie_rate": rate, "seed": seed}
            found = await asked(method.kind, grades, oracle, top_n=16, **method.settings)
            taus.append(tau(found.order, grades))
        reached.append(mean(taus))
    assert reached[0] == 1.0
    assert reached[0] >= reached[1] >= reached[2]
    assert all(each >= floor for each, floor in zip(reached, method.floors, strict=True))


@pytest.mark.parametrize("name", ["listwise", "first", "pairwise-heap", "pairwise-sliding", "setwise"])
async def test_no_order_on_the_way_is_worse_than_the_one_before(name: str) -> None:
    grades = shuffled(25, 3)
    found = await asked(METHODS[name].kind, grades, METHODS[name].oracle, top_n=25, **METHODS[name].settings)
    wrong = [inversions(each.order, grades) for each in found.rerankings]
    assert wrong == sorted(wrong, reverse=True)
    assert wrong[-1] == 0


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (ListwiseLlmReranker, {"passes": 9, "window": 6, "stride": 3}),
        (PairwiseReranker, {"method": "heap"}),
        (PairwiseReranker, {"method": "sliding"}),
        (SetwiseReranker, {}),
    ],
)
async def test_only_the_first_places_are_paid_for(kind: Any, settings: dict[str, Any]) -> None:
    grades = shuffled(40, 1)
    few = await asked(kind, grades, top_n=3, **settings)
    many = await asked(kind, grades, top_n=10, **settings)
    assert few.ranked_grades[:3] == [39, 38, 37]
    assert many.ranked_grades[:10] == list(range(39, 29, -1))
    assert len(few.llm.prompts) < len(many.llm.prompts)


@pytest.mark.parametrize(("count", "expected"), [(2, 1), (20, 1), (21, 2), (30, 2), (31, 3), (100, 9)])
async def test_a_listwise_pass_asks_once_a_window(count: int, expected: int) -> None:
    found = await asked(ListwiseLlmReranker, shuffled(count))
    assert len(found.llm.prompts) == found.call.usage.model_call_count == expected
    assert expected == (1 if count <= 20 else 1 + -(-(count - 20) // 10))
    assert len(found.rerankings) == expected
    assert found.ranked_grades[:10] == list(range(count - 1, max(-1, count - 11), -1))


def test_windows_slide_from_the_back_and_end_at_the_front() -> None:
    assert list(windows(45, 20, 10)) == [(25, 45), (15, 35), (5, 25), (0, 20)]
    assert list(windows(5, 20, 10)) == [(0, 5)]
    assert [pass_count(100, top, 20, 10) for top in (1, 10, 11, 35, 1_000)] == [1, 1, 2, 4, 10]


async def test_a_pass_that_changed_nothing_is_the_last() -> None:
    found = await asked(ListwiseLlmReranker, list(range(30, 0, -1)), top_n=30, window=8, stride=4, passes=9)
    assert len(found.llm.prompts) == 7


async def test_a_window_that_has_been_asked_about_is_not_asked_about_again() -> None:
    found = await asked(ListwiseLlmReranker, shuffled(30, 2), top_n=30, window=8, stride=4, passes=9)
    assert len(found.llm.prompts) == len(set(found.llm.prompts))
    assert found.call.usage.cache_hit_count > 0


async def test_all_pairs_are_asked_in_both_orders() -> None:
    found = await asked(PairwiseReranker, shuffled(12), method="all-pairs")
    assert len(found.llm.prompts) == len(set(found.llm.prompts)) == 12 * 11
    assert found.call.usage.pair_count == 2 * 12 * 11


@pytest.mark.parametrize("method", ["heap", "sliding"])
async def test_no_pair_is_asked_twice(method: str) -> None:
    found = await asked(PairwiseReranker, shuffled(20, 4), top_n=10, method=method)
    count = len(found.llm.prompts)
    assert count == len(set(found.llm.prompts))
    assert found.call.usage.cache_hit_count > 0
    sliding = 2 * sum(20 - 1 - done for done in range(10))
    heap = 2 * 2 * (HeapSort(20, 10, arity=2, best=_never).build_steps + 9 * 4)
    assert count <= {"sliding": sliding, "heap": heap}[method] < 20 * 19


async def _never(_members: object) -> int:
    raise AssertionError


@pytest.mark.parametrize("size", [3, 4, 10])
async def test_sets_need_far_fewer_calls_than_pairs(size: int) -> None:
    grades = shuffled(60, 5)
    found = await asked(SetwiseReranker, grades, set_size=size)
    sort = HeapSort(60, 10, arity=size - 1, best=_never)
    height = {3: 5, 4: 4, 10: 2}[size]
    assert len(found.llm.prompts) <= sort.build_steps + 9 * height
    pairs = await asked(PairwiseReranker, grades)
    assert len(found.llm.prompts) < len(pairs.llm.prompts) / 3


async def test_query_likelihood_asks_once_a_passage() -> None:
    found = await asked(QueryLikelihoodReranker, shuffled(30))
    assert len(found.llm.prompts) == found.call.usage.pair_count == 30
    assert all(score is not None and score <= 0 for score in found.rerankings[-1].scores)


async def test_the_mean_of_a_query_is_its_sum_divided_by_its_tokens() -> None:
    summed = await asked(QueryLikelihoodReranker, [3, 1, 2], per_token=False)
    mean_of = await asked(QueryLikelihoodReranker, [3, 1, 2])
    tokens = summed.llm.count_tokens("what raises the tides")
    assert mean_of.rerankings[-1].scores == pytest.approx(
        [(each or 0) / tokens for each in summed.rerankings[-1].scores]
    )


@pytest.mark.parametrize(("method", "in_words"), [("heap", 0.5), ("sliding", 0.2), ("all-pairs", 0.7)])
async def test_both_orders_cancel_what_a_model_thinks_of_the_first(method: str, in_words: float) -> None:
    """In words near ones are ties, which keep their order."""
    grades, biased = shuffled(15, 6), {"first_bias": 4.0}
    told = await asked(PairwiseReranker, grades, biased, top_n=15, method=method, passes=15)
    assert told.ranked_grades == list(range(14, -1, -1))
    said = await asked(PairwiseReranker, grades, {**biased, **IN_WORDS}, top_n=15, method=method, passes=15)
    assert tau(said.order, grades) > in_words


@every_method
async def test_the_same_question_gets_the_same_order_again(name: str) -> None:
    method = METHODS[name]
    oracle = {**method.oracle, "lie_rate": 0.4}
    one, other = [await asked(method.kind, shuffled(15), oracle, **method.settings) for _ in range(2)]
    assert one.order == other.order
    assert set(one.llm.prompts) == set(other.llm.prompts)


@pytest.mark.parametrize("concurrency", [1, 3])
@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (PairwiseReranker, {"method": "all-pairs"}),
        (PairwiseReranker, {"method": "heap"}),
        (SetwiseReranker, {}),
        (QueryLikelihoodReranker, {}),
    ],
)
async def test_no_more_is_asked_at_a_time_than_may_be(kind: Any, settings: dict[str, Any], concurrency: int) -> None:
    found = await asked(kind, shuffled(20), concurrency=concurrency, **settings)
    assert found.llm.most_under_way == concurrency


@pytest.mark.parametrize("name", ["listwise", "pairwise-all-pairs", "pairwise-heap", "pairwise-sliding", "setwise"])
async def test_a_call_limit_ends_with_the_order_so_far(name: str) -> None:
    method = METHODS[name]
    found = [await asked(method.kind, shuffled(30), call_limit=limit, **method.settings) for limit in (2, 7, 7, 10_000)]
    assert [len(each.llm.prompts) for each in found[:3]] in ([2, 7, 7], [2, 6, 6])
    assert found[1].order == found[2].order
    assert sorted(found[1].order) == list(range(30))
    assert 0 < found[1].rerankings[-1].ranked_count < 30 or name == "listwise"
    assert ["the call limit was reached" in each.call.notes for each in found] == [True, True, True, False]


async def test_equal_texts_are_never_compared() -> None:
    async with opened(built(PairwiseReranker, method="all-pairs")) as reranker:
        stream = reranker.rerank(QUERY, passages([1, 2]) * 3, top_n=3, call=Call())
        orders = [each.order async for each in stream]
        assert orders[-1] == (1, 3, 5, 0, 2, 4)
        assert len(reranker.settings.llm.prompts) == 2
