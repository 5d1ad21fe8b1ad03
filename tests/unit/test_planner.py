"""How a deadline is divided, by a clock that stands still."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from planning import cut, ran, taught

from tamis.deadline import Deadline
from tamis.events import BudgetBasis, StageRole
from tamis.expression import Chain, Expression, parse
from tamis.gains import GainCurve
from tamis.planner import LEAST_SECONDS, Planner

RETRIEVER, RERANKER, GENERATOR = StageRole.RETRIEVER, StageRole.RERANKER, StageRole.GENERATOR
ROLES = {
    "bm25": RETRIEVER,
    "dense": RETRIEVER,
    "late": RERANKER,
    "cross": RERANKER,
    "pick": StageRole.CONTEXT_BUILDER,
    "answer": GENERATOR,
}
FIFTY = [1.0] * 50


@pytest.fixture(autouse=True)
def _the_clock_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tamis.deadline.time", SimpleNamespace(monotonic=lambda: 100.0))


def _operands(text: str) -> tuple[Expression, ...]:
    expression = parse(text)
    return expression.operands if isinstance(expression, Chain) else (expression,)


def _measured(gains: dict[str, GainCurve] | None = None) -> Planner:
    """bm25 10 ms, dense 30 ms, late 2 ms a candidate, cross 50 ms and 20 ms a candidate, the first token 100 ms."""
    planner = Planner(gains)
    taught(planner, "bm25", RETRIEVER, lambda _: 0.01)
    taught(planner, "dense", RETRIEVER, lambda _: 0.03)
    taught(planner, "late", RERANKER, lambda count: 0.002 * count)
    taught(planner, "cross", RERANKER, lambda count: 0.05 + 0.02 * count)
    return taught(planner, "answer", GENERATOR, lambda _: 0.1)


def _given(planner: Planner, pipeline: str, seconds: float, given: int = 0) -> float:
    return planner.until(_operands(pipeline), ROLES, given, Deadline(100.0 + seconds)).remaining


@pytest.mark.parametrize(
    ("pipeline", "share"),
    [("bm25 >> late", 3 / 7), ("bm25 | dense >> late >> cross", 3 / 11), ("bm25", 1.0), ("bm25 >> prior", 1.0)],
)
def test_without_measurements_the_shares_are_fixed(pipeline: str, share: float) -> None:
    for planner in (Planner(), Planner(learns=False)):
        assert _given(planner, pipeline, 11.0) == pytest.approx(11.0 * share)
        assert planner.depth("late", FIFTY, Deadline(100.0 + LEAST_SECONDS * 2)) == 50
        assert planner.basis(parse(pipeline), ROLES) is BudgetBasis.FIXED_SHARES


def test_a_planner_that_does_not_learn_stays_as_it_is() -> None:
    planner = taught(Planner(learns=False), "late", RERANKER, lambda count: float(count))
    assert planner.depth("late", FIFTY, Deadline(101.0)) == 50
    assert planner.promised("late", 10) is None


def test_the_basis_tells_what_is_measured() -> None:
    planner = Planner({"cross": GainCurve.through([(10, 0.1)])})
    pipelines = [parse("bm25 >> late"), parse("bm25 >> cross"), parse("bm25")]
    taught(planner, "bm25", RETRIEVER, lambda _: 0.01)
    assert [planner.basis(each, ROLES) for each in pipelines] == [
        BudgetBasis.PARTLY_MEASURED,
        BudgetBasis.PARTLY_MEASURED,
        BudgetBasis.MEASURED,
    ]
    for name in ("late", "cross"):
        taught(planner, name, RERANKER, lambda count: 0.01 * count)
    assert planner.basis(pipelines[0], ROLES) is BudgetBasis.MEASURED_COSTS
    assert planner.basis(pipelines[1], ROLES) is BudgetBasis.MEASURED


def test_retrieval_gets_all_that_the_rerankers_do_not_need() -> None:
    planner = _measured()
    assert _given(planner, "bm25 % 50 | dense % 50 >> late % 50", 10.0) > 9.7
    tight = _given(planner, "bm25 % 50 | dense % 50 >> late % 50", 0.08)
    promise = planner.promised("dense", 50.0)
    assert promise is not None
    assert promise <= tight < 0.08


def test_when_only_retrieval_fits_it_gets_everything() -> None:
    assert _given(_measured(), "dense % 50 >> late", 0.02) == pytest.approx(0.02)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.floats(0.0, 5.0), min_size=2, max_size=8), st.lists(st.floats(0.1, 5.0), max_size=80))
def test_a_rerankers_depth_grows_with_the_budget_up_to_what_came_in(budgets: list[float], work: list[float]) -> None:
    planner = _measured()
    depths = [planner.depth("cross", work, Deadline(100.0 + each)) for each in sorted(budgets)]
    assert depths == sorted(depths)
    assert all(0 <= each <= len(work) for each in depths)
    assert planner.depth("cross", work, Deadline()) == len(work)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.floats(0.001, 5.0))
def test_no_plan_gives_away_more_than_there_is(seconds: float) -> None:
    planner = _measured()
    for pipeline in ("bm25 | dense >> late >> cross", "bm25 >> (prior | late) % 20 >> cross % 5"):
        assert 0 <= _given(planner, pipeline, seconds) <= seconds + 1e-9
    until = planner.until_answering(parse("bm25 >> late"), ["answer"], ROLES, Deadline(100.0 + seconds))
    assert 0 <= until.remaining <= seconds + 1e-9


def test_what_brings_more_gets_the_time() -> None:
    steep, flat = GainCurve.through([(50, 0.1)]), GainCurve.through([(50, 0.001)])
    few = {
        name: _given(_measured({"late": late, "cross": cross}), "late % 50 >> cross % 50", 0.3, given=50)
        for name, late, cross in (("late first", steep, flat), ("cross first", flat, steep))
    }
    assert few["late first"] > few["cross first"]


def test_a_retriever_that_cannot_be_in_time_is_left_out_where_another_can() -> None:
    limits = {"bm25": 50, "dense": 50}
    for seconds, worth in ((0.05, {"bm25", "dense"}), (0.02, {"bm25"}), (0.005, {"bm25"})):
        assert _measured().worthwhile(limits, Deadline(100.0 + seconds)) == worth
    assert _measured().worthwhile({"dense": 50}, Deadline(100.005)) == {"dense"}
    assert _measured().worthwhile(limits, Deadline()) == {"bm25", "dense"}
    assert Planner().worthwhile(limits, Deadline(100.001)) == {"bm25", "dense"}


def test_a_stage_that_is_not_known_gets_its_share_beside_those_that_are() -> None:
    planner = taught(Planner(), "bm25", RETRIEVER, lambda _: 0.01)
    assert _given(planner, "bm25 % 50 >> late", 7.0) == pytest.approx(3.0)
    planner = taught(Planner(), "late", RERANKER, lambda count: 0.002 * count)
    assert 6.5 < _given(planner, "bm25 % 50 >> late % 50", 7.0) < 7.0


def test_the_first_token_is_reserved_before_anything_else() -> None:
    planner = _measured()
    promise = planner.promised("answer", 0.0)
    assert promise is not None
    until = planner.until_answering(parse("bm25 % 50 >> late % 50"), ["answer"], ROLES, Deadline(100.4))
    assert 0.4 - until.remaining >= promise


def test_an_answer_that_cannot_be_in_time_gets_nothing() -> None:
    planner = _measured()
    until = planner.until_answering(parse("bm25 % 50 >> late % 50"), ["answer"], ROLES, Deadline(100.05))
    assert until.remaining == pytest.approx(0.05)
    assert not planner.fits("answer", Deadline(100.05))
    assert planner.fits("answer", Deadline(100.4))


def test_a_context_builder_leaves_time_for_the_first_token() -> None:
    planner = _measured()
    until = planner.until_context("pick", "answer", ROLES, Deadline(101.0))
    promise = planner.promised("answer", 0.0)
    assert promise is not None
    assert 1.0 - until.remaining >= promise
    fixed = Planner().until_context("pick", "answer", ROLES, Deadline(109.0))
    assert fixed.remaining == pytest.approx(1.0)


def test_a_stage_that_becomes_slow_gets_fewer_and_then_more_again() -> None:
    planner = _measured()
    usual = planner.depth("late", FIFTY, Deadline(100.06))
    for _ in range(20):
        planner.observe(cut("late", RERANKER, 0.06, count=20, done=3))
    slow = planner.depth("late", FIFTY, Deadline(100.06))
    for _ in range(100):
        planner.observe(ran("late", RERANKER, 0.002 * 5, count=5))
    assert slow < usual / 2
    assert planner.depth("late", FIFTY, Deadline(100.06)) > slow


def test_ordering_one_candidate_is_not_worth_beginning() -> None:
    planner = _measured()
    assert planner.depth("cross", FIFTY, Deadline(100.08)) in (0, *range(2, 50))
    assert planner.depth("late", [1.0], Deadline(101.0)) == 1
