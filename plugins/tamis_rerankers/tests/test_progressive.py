"""Reading only what can still reach the top: laws of the order, and of what is learnt."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tamis.component import Capabilities, Settings
from tamis.context import Call
from tamis.model import Passage, Query, ScoreKind
from tamis.scores import CachedScoresSettings
from tamis.stage import PointwiseReranker, Reranking
from tamis.testing.contract.collections import passage
from tamis_rerankers import ProgressiveReranker
from tamis_rerankers.stopping import Calibration, looks, newcomers

SCORES = st.lists(st.integers(-20, 20).map(float), min_size=1, max_size=60)


class Marked(PointwiseReranker):
    """Reads a passage's score off its text."""

    capabilities = Capabilities(score_kind=ScoreKind.LOGIT)

    def __init__(self, settings: Settings | None = None) -> None:
        super().__init__(settings or Settings())
        self.read: list[str] = []
        self.failing = ""

    async def score(self, query: Query, passages: Sequence[Passage], *, call: Call) -> AsyncIterator[tuple[int, float]]:
        for index, each in enumerate(passages):
            call.check()
            if each.document_id == self.failing:
                raise RuntimeError
            self.read.append(each.document_id)
            yield index, float(each.text)


def _progressive(**settings: Any) -> tuple[ProgressiveReranker, Marked]:
    inner = Marked()
    return ProgressiveReranker(ProgressiveReranker.Settings(reranker=inner, **settings)), inner


async def _reranked(
    reranker: ProgressiveReranker | Marked,
    scores: Sequence[float],
    top_n: int,
    query: str = "q",
    call: Call | None = None,
) -> list[Reranking]:
    passages = [passage(str(place), repr(score)) for place, score in enumerate(scores)]
    stream = reranker.rerank(Query(query), passages, top_n=top_n, call=call or Call())
    async with aclosing(stream) as each_better:
        return [each async for each in each_better]


@given(SCORES, st.integers(0, 20), st.integers(1, 20), st.floats(0, 30))
async def test_every_order_is_complete_with_what_was_read_in_front_and_the_rest_in_prior_order(
    scores: list[float], top_n: int, step: int, limit: float
) -> None:
    reranker, inner = _progressive(expected_newcomers=limit, step=step)
    found = await _reranked(reranker, scores, top_n)
    for each in found:
        assert sorted(each.order) == list(range(len(scores)))
        front, rest = each.order[: each.ranked_count], each.order[each.ranked_count :]
        assert all(each.scores[place] == scores[place] for place in front)
        assert all(each.scores[place] is None for place in rest)
        assert list(rest) == sorted(rest)
        assert all(scores[one] >= scores[other] for one, other in pairwise(front))
    assert found[-1].ranked_count == len(inner.read) >= min(max(top_n, 1), len(scores))
    assert found[-1].is_settled == (len(inner.read) < len(scores))
    assert inner.read == [str(place) for place in range(len(inner.read))]


@given(SCORES, st.integers(0, 20), st.integers(1, 20))
async def test_at_no_risk_the_result_is_that_of_reading_everything(scores: list[float], top_n: int, step: int) -> None:
    reranker, inner = _progressive(risk=0.0, expected_newcomers=30.0, step=step)
    found, plain = await _reranked(reranker, scores, top_n), await _reranked(inner, scores, top_n)
    assert [(each.order, each.scores, each.ranked_count) for each in found] == [
        (each.order, each.scores, each.ranked_count) for each in plain
    ]
    assert not found[-1].is_settled


@given(SCORES, st.integers(1, 20), st.integers(1, 20), st.floats(0, 30), st.floats(0, 30))
async def test_who_expects_less_of_the_rest_reads_no_more(
    scores: list[float], top_n: int, step: int, one: float, other: float
) -> None:
    read = []
    for limit in sorted((one, other)):
        reranker, inner = _progressive(expected_newcomers=limit, step=step)
        await _reranked(reranker, scores, top_n)
        read.append(len(inner.read))
    assert read[0] >= read[1]


async def test_nothing_is_left_out_without_a_cut_behind_the_stage() -> None:
    reranker, inner = _progressive(expected_newcomers=30.0, step=1)
    await _reranked(reranker, range(100, 0, -1), 100)
    assert len(inner.read) == 100


async def test_what_is_left_out_is_noted_and_a_request_may_allow_no_risk() -> None:
    reranker, inner = _progressive(expected_newcomers=0.5)
    call = Call()
    await _reranked(reranker, range(100, 0, -1), 10, call=call)
    assert len(inner.read) == 16
    assert call.notes == ["passages left out: they can hardly reach the top"]
    await _reranked(reranker, range(100, 0, -1), 10, call=Call(options={"risk": 0.0}))
    assert len(inner.read) == 116


async def test_a_passage_without_a_score_keeps_the_reading_going() -> None:
    reranker, inner = _progressive(expected_newcomers=30.0)
    found = await _reranked(reranker, [float("nan"), *range(99, 0, -1)], 10)
    assert len(inner.read) == 100
    assert found[-1].ranked_count == 99


async def test_what_was_read_before_a_failure_counts() -> None:
    reranker, inner = _progressive(risk=0.01, expected_newcomers=0.0, step=10)
    inner.failing = "25"
    yielded = []
    passages = [passage(str(place), repr(float(place))) for place in range(40)]
    with pytest.raises(RuntimeError):
        async for each in reranker.rerank(Query("q"), passages, top_n=5, call=Call()):
            yielded.append(each)
    assert yielded[-1].ranked_count == 25


async def test_everything_is_read_until_enough_is_learnt_and_some_of_it_ever_after() -> None:
    reranker, inner = _progressive(risk=0.1, explore=0.2)
    counts = []
    for number in range(60):
        before = len(inner.read)
        await _reranked(reranker, range(100, 0, -1), 10, query=f"question {number}")
        counts.append(len(inner.read) - before)
    assert counts[:9] == [100] * 9
    assert {*counts[9:]} == {16, 100}
    assert counts[9:].count(100) < 25


async def test_the_same_question_is_always_read_alike_and_learnt_from_once() -> None:
    reranker, inner = _progressive(risk=0.1, explore=1.0)
    for _ in range(30):
        await _reranked(reranker, range(100, 0, -1), 10)
    assert len(inner.read) == 3_000


@given(st.integers(1, 500), st.integers(0, 50), st.integers(1, 50))
def test_looks_rise_to_the_end_and_none_is_before_the_top_is_full(count: int, top_n: int, step: int) -> None:
    found = list(looks(count, top_n, step))
    assert found[-1] == count
    assert all(one < other for one, other in pairwise(found))
    assert all(each >= min(top_n, count) for each in found)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40), st.integers(0, 60), st.integers(1, 20))
def test_no_more_newcomers_are_expected_than_there_are_passages_left(
    scores: list[float], more: int, top_n: int
) -> None:
    expected = newcomers(scores, len(scores) + more, top_n)
    assert expected >= 0
    assert expected <= more or len(scores) < max(top_n, 3)
    assert newcomers(scores, len(scores), top_n) == 0.0


def _drawn(count: int, seed: int) -> list[list[float]]:
    """Scores of queries whose prior order is worth something, some more than others."""
    random = np.random.default_rng(seed)
    slopes = random.uniform(0.2, 2.0, count)
    return [list(-slope * np.log(np.arange(1, 101)) + random.standard_normal(100)) for slope in slopes]


def _learnt(drawn: Sequence[Sequence[float]]) -> Calibration:
    calibration = Calibration(1_000)
    for number, scores in enumerate(drawn):
        calibration.add(str(number).encode(), scores, 10, 16)
    return calibration


def _missed(scores: Sequence[float], limit: float) -> tuple[float, int]:
    """The share of the first ten that stopping there misses, and how many are read."""
    best = np.argsort(-np.asarray(scores))[:10]
    read = next(each for each in looks(100, 10, 16) if each == 100 or newcomers(scores[:each], 100, 10) <= limit)
    return float(np.mean(best >= read)), read


@pytest.mark.parametrize("risk", [0.02, 0.05])
def test_no_more_is_missed_of_new_queries_than_the_risk_and_something_is_saved(risk: float) -> None:
    limit = _learnt(_drawn(400, seed=1)).limit(risk)
    missed, read = np.mean([_missed(scores, limit) for scores in _drawn(400, seed=2)], axis=0)
    assert missed <= 1.2 * risk
    assert read < 95


@given(st.floats(0.001, 0.5), st.floats(0.001, 0.5))
def test_more_risk_stops_no_later(one: float, other: float) -> None:
    less, more = sorted((one, other))
    assert LEARNT.limit(less) <= LEARNT.limit(more)


@pytest.mark.parametrize(("risk", "needed"), [(0.01, 99), (0.1, 9), (0.5, 1)])
def test_no_risk_is_taken_before_enough_queries_are_known(risk: float, needed: int) -> None:
    ordered = [list(map(float, range(100, 0, -1)))] * needed
    assert _learnt(ordered[1:]).limit(risk) < 0
    assert _learnt(ordered).limit(risk) >= 0


def test_the_latest_queries_count_and_each_once() -> None:
    calibration = Calibration(3)
    for name in (b"a", b"a", b"b", b"c", b"d"):
        calibration.add(name, [1.0] * 30, 10, 16)
    assert len(calibration) == 3


LEARNT = _learnt(_drawn(100, seed=3))


async def test_scores_that_the_reranker_has_kept_serve_requests_with_other_settings_of_this_stage() -> None:
    inner = Marked(CachedScoresSettings())
    reranker = ProgressiveReranker(ProgressiveReranker.Settings(reranker=inner))
    for risk in (0.0, 0.5):
        await _reranked(reranker, [3.0, 2.0, 1.0], 2, call=Call(options={"risk": risk}))
    assert len(inner.read) == 3
