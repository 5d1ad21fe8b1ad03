"""What is learnt of a stage's cost, and what does not mislead it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from planning import cut, ran

from tamis.context import Usage
from tamis.costs import CostModel, Costs
from tamis.events import Milestone, StageOutcome, StageReason, StageReport, StageRole
from tamis.gains import GainCurve

RERANKER, RETRIEVER, GENERATOR = StageRole.RERANKER, StageRole.RETRIEVER, StageRole.GENERATOR


def _learnt(a: float, b: float, works: tuple[float, ...] = (10, 20, 30, 40, 50) * 4) -> CostModel:
    model = CostModel(grows=True)
    for work in works:
        model.learn(work, a + b * work)
    return model


@given(st.floats(0.001, 0.5), st.floats(0.0001, 0.1))
def test_a_and_b_are_learnt(a: float, b: float) -> None:
    model = _learnt(a, b)
    assert model.coefficients[1] == pytest.approx(b, rel=0.05, abs=0.02 * a)
    assert model.expected(35) == pytest.approx(a + b * 35, rel=0.05)


def test_nothing_is_known_after_few_runs_and_the_first_does_not_count() -> None:
    model = CostModel()
    for seconds in (100.0, 1.0, 1.0, 1.0):
        model.learn(1, seconds)
        assert not model.is_known
    model.learn(1, 1.0)
    assert model.is_known
    assert model.expected(1) == pytest.approx(1.0)


def test_while_the_work_is_alike_a_reranker_is_taken_to_begin_in_the_time_of_one_candidate() -> None:
    model = _learnt(1.0, 0.0, (50,) * 20)
    assert model.expected(0) == pytest.approx(1 / 51)
    assert model.expected(5) == pytest.approx(6 / 51)


@given(st.floats(0.001, 2.0), st.floats(0.001, 0.1))
def test_when_its_first_scores_came_tells_what_beginning_costs_though_the_work_is_alike(a: float, b: float) -> None:
    costs = Costs()
    for _ in range(6):
        seen = (Milestone(2, a + 2 * b), Milestone(50, a + 50 * b))
        costs.learn(replace(ran("rank", RERANKER, a + 50 * b, count=50), milestones=seen))
    assert costs.of("rank").expected(5) == pytest.approx(a + 5 * b, rel=0.1)  # type: ignore[union-attr]


def test_what_a_reranker_could_not_finish_before_it_was_cut_does_not_make_it_look_slow() -> None:
    costs = Costs()
    for _ in range(6):
        seen = (Milestone(10, 1.0), Milestone(20, 2.0))
        costs.learn(replace(cut("rank", RERANKER, 2.9, count=40, done=20), milestones=seen))
    assert costs.of("rank").expected(40) == pytest.approx(4.0, rel=0.05)  # type: ignore[union-attr]


def test_a_reranker_that_looks_again_at_the_same_passages_until_it_is_cut_does_not_look_cheap() -> None:
    costs = Costs()
    for _ in range(6):
        seen = (Milestone(20, 0.1), Milestone(20, 2.0))
        costs.learn(replace(cut("rank", RERANKER, 2.1, count=40, done=20), milestones=seen))
    assert costs.of("rank").expected(20) == pytest.approx(2.0)  # type: ignore[union-attr]


def test_first_scores_that_were_kept_tell_nothing_of_what_beginning_costs() -> None:
    costs = Costs()
    for _ in range(6):
        report = replace(ran("rank", RERANKER, 1.0, count=50), usage=Usage(cache_hit_count=10, pair_count=40))
        costs.learn(replace(report, milestones=(Milestone(10, 0.0), Milestone(50, 1.0))))
    assert costs.of("rank").expected(40) == pytest.approx(1.0, rel=0.05)  # type: ignore[union-attr]


def test_a_promise_is_above_the_mean_and_more_so_where_runs_vary() -> None:
    steady, varied = _learnt(0.0, 0.01), CostModel(grows=True)
    for place, work in enumerate((10, 20, 30, 40, 50) * 4):
        varied.learn(work, 0.01 * work * (1.8 if place % 2 else 0.2))
    assert steady.expected(20) < steady.promised(20)
    assert steady.promised(20) / steady.expected(20) < varied.promised(20) / varied.expected(20)


@given(st.floats(0.01, 10.0), st.floats(0.5, 3.0))
def test_the_most_work_is_what_can_be_promised(seconds: float, deviations: float) -> None:
    model = _learnt(0.005, 0.01)
    most = model.most_work(seconds, deviations)
    if most >= 0:
        assert model.promised(most, deviations) == pytest.approx(seconds)
    else:
        assert model.promised(0.0, deviations) > seconds


def test_one_outlier_changes_little() -> None:
    model = _learnt(0.01, 0.01)
    before = model.promised(30)
    model.learn(30, 1_000.0)
    assert model.promised(30) < 2 * before


def test_what_stays_slow_is_believed() -> None:
    model = _learnt(0.01, 0.01)
    for _ in range(40):
        model.learn(30, 10 * 0.31)
    assert model.expected(30) > 2


def test_what_becomes_fast_again_is_believed() -> None:
    model = _learnt(0.1, 0.1)
    for _ in range(80):
        model.learn(30, 0.03)
    assert model.expected(30) < 0.1


def test_a_run_that_was_cut_only_raises_an_estimate() -> None:
    costs = Costs()
    for _ in range(10):
        costs.learn(ran("dense", RETRIEVER, 0.1, work=50))
    before = costs.of("dense").promised(50)  # type: ignore[union-attr]
    costs.learn(cut("dense", RETRIEVER, 0.01))
    assert costs.of("dense").promised(50) == before  # type: ignore[union-attr]
    for _ in range(20):
        costs.learn(cut("dense", RETRIEVER, 0.3))
    assert costs.of("dense").expected(10) > 0.2  # type: ignore[union-attr]


def test_a_reranker_that_was_cut_tells_by_how_far_it_got() -> None:
    costs = Costs()
    for _ in range(10):
        costs.learn(cut("rank", RERANKER, 1.0, count=40, done=10))
    assert costs.of("rank").expected(40) == pytest.approx(41 / 11)  # type: ignore[union-attr]


@pytest.mark.parametrize("counts_pairs", [True, False])
def test_scores_that_were_kept_do_not_make_a_reranker_look_free(counts_pairs: bool) -> None:
    costs = Costs()
    for _ in range(10):
        costs.learn(ran("rank", RERANKER, 1.0, count=100))
    for kept in (100, 50) * 20:
        usage = Usage(cache_hit_count=kept, pair_count=100 - kept if counts_pairs else 0)
        costs.learn(replace(ran("rank", RERANKER, 1.0 - kept / 100 + 0.001, count=100), usage=usage))
    assert costs.of("rank").expected(100) == pytest.approx(1.0, rel=0.1)  # type: ignore[union-attr]


def test_pairs_whose_vectors_were_kept_are_work_like_others() -> None:
    costs, usage = Costs(), Usage(cache_hit_count=101, pair_count=100)
    for _ in range(10):
        costs.learn(replace(ran("late", RERANKER, 0.02, count=100), usage=usage))
    assert costs.of("late").expected(100) == pytest.approx(0.02)  # type: ignore[union-attr]


def test_a_generator_costs_its_time_to_the_first_token() -> None:
    costs = Costs()
    report = StageReport(
        "answer", GENERATOR, StageOutcome.RAN, done_count=5, total_count=5, elapsed=9.0, milestones=(Milestone(5, 0.5),)
    )
    for _ in range(10):
        costs.learn(report)
    assert costs.of("answer").expected(0.0) == pytest.approx(0.5)  # type: ignore[union-attr]


def test_failures_teach_nothing() -> None:
    costs = Costs()
    for reason in (StageReason.FAILED, StageReason.OVERLOADED, StageReason.INVALID_OUTPUT):
        for _ in range(10):
            costs.learn(StageReport("rank", RERANKER, StageOutcome.FELL_BACK, reason, 0, 10, elapsed=0.001))
    assert costs.of("rank") is None


def test_what_is_passed_over_again_and_again_is_tried_in_the_end() -> None:
    costs = Costs()
    for _ in range(10):
        costs.learn(ran("rank", RERANKER, 10.0))
    before = costs.of("rank").promised(10)  # type: ignore[union-attr]
    for _ in range(300):
        costs.learn(StageReport("rank", RERANKER, StageOutcome.SKIPPED, StageReason.DEADLINE, 0, 10))
    assert costs.of("rank").promised(10) < before / 100  # type: ignore[union-attr]
    costs.learn(ran("rank", RERANKER, 10.0))
    assert costs.of("rank").promised(10) > before / 2  # type: ignore[union-attr]


def test_an_outlier_among_the_first_runs_is_soon_forgotten_where_little_is_tried() -> None:
    model, passed_over = CostModel(grows=True), 0
    for seconds in (0.1, 60.0, 0.1, 0.1, 0.1):
        model.learn(100, seconds)
    for _ in range(300):
        if model.most_work(0.2, 1.0) < 100:
            model.pass_over()
            passed_over += 1
        else:
            model.learn(100, 0.1)
    assert passed_over < 250
    assert model.most_work(0.2, 1.0) > 100


def test_what_was_tried_in_doubt_and_cut_is_as_dear_as_before() -> None:
    costs = Costs()
    for _ in range(10):
        costs.learn(ran("dense", RETRIEVER, 10.0))
    before = costs.of("dense").promised(10)  # type: ignore[union-attr]
    for _ in range(300):
        costs.learn(StageReport("dense", RETRIEVER, StageOutcome.SKIPPED, StageReason.DEADLINE, 0, 10))
    costs.learn(cut("dense", RETRIEVER, 0.2))
    assert costs.of("dense").promised(10) == pytest.approx(before)  # type: ignore[union-attr]


def test_an_assumed_gain_diminishes_and_a_measured_one_is_read_between_its_points() -> None:
    assumed = GainCurve()
    assert assumed.at(0) == 0
    assert assumed.at(10) == pytest.approx(assumed.at(1_000) / 2)
    measured = GainCurve.through([(10, 0.02), (20, 0.01), (50, 0.04)])
    found = [measured.at(each) for each in (0, 5, 10, 20, 35, 50, 99)]
    assert found == pytest.approx([0, 0.01, 0.02, 0.02, 0.03, 0.04, 0.04])


@pytest.mark.parametrize("points", [[], [(10, 0.1), (10, 0.2)], [(-1, 0.0)]])
def test_gains_without_rising_depths_are_refused(points: list[tuple[int, float]]) -> None:
    with pytest.raises(ValueError, match="depths rise"):
        GainCurve.through(points)
