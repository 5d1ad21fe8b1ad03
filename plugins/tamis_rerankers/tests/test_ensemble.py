"""Several rerankers as one: what they say together, and what happens when some of them do not."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tamis.component import Capabilities
from tamis.context import Call, CallEnded
from tamis.errors import ConfigurationError, Overloaded
from tamis.model import Passage, Query, ScoreKind
from tamis.stage import PointwiseReranker, Reranker, Reranking
from tamis.testing.contract import opened
from tamis.testing.contract.collections import passage
from tamis_rerankers import EnsembleReranker
from tamis_rerankers.combining import Vote, by_mean, by_rank, calibrated

PASSAGES = [passage(str(number), f"text {number}") for number in range(4)]


class Scripted(PointwiseReranker):
    """Gives scores in turn; at `...` it waits for its gate, and an error it raises."""

    def __init__(self, *script: Any, kind: ScoreKind = ScoreKind.LOGIT, limit: int | None = None) -> None:
        super().__init__(self.Settings())
        self.capabilities = Capabilities(score_kind=kind, max_candidates=limit)
        self.script = script
        self.gate = asyncio.Event()
        self.given: list[int] = []
        self.is_closed = False

    async def score(self, query: Query, passages: Sequence[Passage], *, call: Call) -> AsyncIterator[tuple[int, float]]:
        self.given.append(len(passages))
        index = 0
        try:
            for each in self.script:
                call.check()
                if each is ...:
                    await self.gate.wait()
                elif isinstance(each, BaseException):
                    raise each
                elif index < len(passages):
                    call.usage.pair_count += 1
                    yield index, each
                    index += 1
                    await asyncio.sleep(0)
        finally:
            self.is_closed = True


def _ensemble(*rerankers: Reranker, **fields: object) -> EnsembleReranker:
    return EnsembleReranker(EnsembleReranker.Settings.model_validate({"rerankers": rerankers, **fields}))


def _stream(ensemble: EnsembleReranker, call: Call | None = None) -> AsyncGenerator[Reranking, None]:
    return ensemble.rerank(Query("any"), PASSAGES, top_n=4, call=call or Call())


async def _all(ensemble: EnsembleReranker, call: Call | None = None) -> list[Reranking]:
    async with opened(ensemble), aclosing(_stream(ensemble, call)) as stream:
        return [each async for each in stream]


@st.composite
def _votes(draw: st.DrawFn) -> list[Vote]:
    count = draw(st.integers(1, 8))
    score = st.one_of(st.none(), st.floats(-1e300, 1e300), st.integers(-3, 3).map(float))
    probability = st.one_of(st.none(), st.floats(0, 1))
    votes = []
    for place in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from([ScoreKind.LOGIT, ScoreKind.PROBABILITY, ScoreKind.MAX_SIM, ScoreKind.NONE]))
        values = probability if kind is ScoreKind.PROBABILITY else st.none() if kind is ScoreKind.NONE else score
        scores = tuple(draw(st.lists(values, min_size=count, max_size=count)))
        ranked_count = count if kind is ScoreKind.NONE else sum(each is not None for each in scores)
        votes.append(Vote(str(place), draw(st.floats(0.1, 9)), kind, Reranking(scores, ranked_count)))
    return votes


@settings(max_examples=80)
@given(votes=_votes(), data=st.data())
def test_the_order_of_the_votes_does_not_matter(votes: list[Vote], data: st.DataObject) -> None:
    others = data.draw(st.permutations(votes))
    among = frozenset(range(8))
    assert by_rank(votes, among, k=60) == by_rank(others, among, k=60)
    assert by_mean(votes, among) == by_mean(others, among)


@settings(max_examples=80)
@given(votes=_votes(), among=st.frozensets(st.integers(0, 7)))
def test_what_anybody_ranked_comes_out_once_with_a_score_in_bounds(votes: list[Vote], among: frozenset[int]) -> None:
    ranked = among & frozenset[int]().union(*(vote.reranking.ranked for vote in votes))
    for combined in (by_rank(votes, among, k=60), by_mean(votes, among)):
        assert sorted(index for index, _ in combined) == sorted(ranked)
        assert [score for _, score in combined] == sorted((score for _, score in combined), reverse=True)
    assert all(-1e-9 <= score <= 1 + 1e-9 for _, score in by_mean(votes, among))


def test_scores_of_each_kind_are_brought_to_one_scale() -> None:
    assert calibrated([0.9, 0.2], ScoreKind.PROBABILITY) == [0.9, 0.2]
    assert calibrated([0.0, -math.log(3)], ScoreKind.LOGIT) == pytest.approx([0.5, 0.25])
    high, low = calibrated([7.0, 5.0], ScoreKind.MAX_SIM)
    assert (high, low) == pytest.approx((1 / (1 + math.exp(-1)), 1 / (1 + math.e)))
    assert calibrated([3.0, 3.0], ScoreKind.BM25) == [0.5, 0.5]
    assert calibrated([None, None], ScoreKind.NONE) == [0.75, 0.25]
    assert calibrated([1e308, -1e308], ScoreKind.COSINE) == pytest.approx([high, low])


async def test_reciprocal_ranks_are_added_up_by_weight() -> None:
    (*_, last) = await _all(_ensemble(Scripted(4, 3, 2, 1), Scripted(1, 2, 3, 4), weights=(1, 3)))
    assert last.order == (3, 2, 1, 0)
    assert last.scores[3] == pytest.approx(1 / 64 + 3 / 61)


async def test_the_mean_is_that_of_those_who_ranked_a_passage() -> None:
    sure = Scripted(0.9, 0.8, 0.1, 0.2, kind=ScoreKind.PROBABILITY)
    short = Scripted(-1e9, 0.0, kind=ScoreKind.LOGIT, limit=2)
    (*_, last) = await _all(_ensemble(sure, short, method="mean"))
    assert last.scores == pytest.approx((0.45, 0.65, 0.1, 0.2))
    assert last.order == (1, 0, 3, 2)
    assert short.given == [2]


@pytest.mark.parametrize(
    ("kinds", "method", "expected"),
    [
        ((ScoreKind.LOGIT, ScoreKind.PROBABILITY), "mean", ScoreKind.PROBABILITY),
        ((ScoreKind.LOGIT, ScoreKind.MAX_SIM), "mean", ScoreKind.NORMALIZED),
        ((ScoreKind.LOGIT, ScoreKind.PROBABILITY), "rrf", ScoreKind.RANK_FUSION),
    ],
)
def test_the_kind_of_its_scores_depends_on_its_settings(
    kinds: Sequence[ScoreKind], method: str, expected: ScoreKind
) -> None:
    assert _ensemble(*(Scripted(kind=kind) for kind in kinds), method=method).capabilities.score_kind is expected


def test_it_takes_as_many_passages_as_the_one_that_takes_most() -> None:
    assert _ensemble(Scripted(limit=5), Scripted(limit=9)).capabilities.max_candidates == 9
    assert _ensemble(Scripted(limit=5), Scripted()).capabilities.max_candidates is None


def test_weights_that_are_not_one_each_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="1 weights for 2 rerankers"):
        _ensemble(Scripted(), Scripted(), weights=(1.0,))


async def test_one_that_is_done_counts_while_another_still_works() -> None:
    quick, slow = Scripted(1, 2, 3, 4), Scripted(4, 3, ..., 2, 1)
    ensemble = _ensemble(quick, slow, weights=(1, 9))
    async with opened(ensemble), aclosing(_stream(ensemble)) as stream:
        async for each in stream:
            if each.ranked_count == 4:
                break
        assert each.order == (3, 2, 1, 0)
        slow.gate.set()
        *_, last = [each async for each in stream]
    assert last.order == (0, 1, 2, 3)


async def test_what_all_have_ranked_is_ordered_while_nobody_is_done() -> None:
    one, other = Scripted(1, 5, ..., 2, 1), Scripted(1, 5, 9, ..., 1)
    ensemble = _ensemble(one, other)
    async with opened(ensemble), aclosing(_stream(ensemble)) as stream:
        async for each in stream:
            assert each.ranked <= {0, 1, 2}
            if each.ranked == {0, 1} and each.order[0] == 1:
                break
        one.gate.set()
        other.gate.set()
        *_, last = [each async for each in stream]
    assert each.order == (1, 0, 2, 3)
    assert last.ranked_count == 4


@pytest.mark.parametrize("error", [RuntimeError("secret"), SystemExit(1), Overloaded("full")])
async def test_one_that_fails_is_left_out_and_noted(error: BaseException) -> None:
    call = Call()
    (*_, last) = await _all(_ensemble(Scripted(1, 2, 3, 4), Scripted(9, 8, error)), call)
    assert last.order == (3, 2, 1, 0)
    (note,) = call.notes
    assert note in ("a reranker of the ensemble failed", "a reranker of the ensemble was full")


async def test_one_that_stops_halfway_is_left_out_and_noted() -> None:
    call = Call()
    (*_, last) = await _all(_ensemble(Scripted(1, 2, 3, 4), Scripted(9, 8)), call)
    assert last.order == (3, 2, 1, 0)
    assert "a reranker of the ensemble ranked only a part and was left out" in call.notes


async def test_when_all_fail_the_first_error_is_raised() -> None:
    with pytest.raises(Overloaded):
        await _all(_ensemble(Scripted(Overloaded("full")), Scripted(RuntimeError())))


async def test_a_call_that_ends_leaves_out_who_is_late() -> None:
    call, late = Call(), Scripted(9, ..., 8, 7, 6)
    ensemble = _ensemble(Scripted(1, 2, 3, 4), late)
    async with opened(ensemble):
        async with aclosing(_stream(ensemble, call)) as stream:
            async for each in stream:
                if each.ranked_count == 4:
                    call.end()
                    break
        assert late.is_closed
    assert "a reranker of the ensemble was late" in call.notes


async def test_who_stops_listening_closes_every_member() -> None:
    members = [Scripted(1, ...), Scripted(2, ...)]
    ensemble = _ensemble(*members)
    async with opened(ensemble):
        async with aclosing(_stream(ensemble)) as stream:
            await anext(stream)
        assert [each.is_closed for each in members] == [True, True]


async def test_members_share_the_call_but_none_of_its_options() -> None:
    seen: list[Call] = []

    class Looking(Scripted):
        async def score(self, query: Query, passages: Sequence[Passage], *, call: Call) -> AsyncIterator[Any]:
            seen.append(call)
            async for each in super().score(query, passages, call=call):
                yield each

    call = Call(options={"k": 1.0})
    await _all(_ensemble(Looking(1, 2, 3, 4), Scripted(1, 2, 3, 4)), call)
    assert call.usage.pair_count == 8
    assert seen[0].options == {}
    call.end()
    with pytest.raises(CallEnded):
        seen[0].check()


async def test_ten_thousand_passages_are_combined() -> None:
    passages = [passage(str(number), "") for number in range(10_000)]
    ensemble = _ensemble(Scripted(*range(10_000)), Scripted(*range(10_000)), method="mean")
    async with opened(ensemble):
        stream = ensemble.rerank(Query("any"), passages, top_n=10, call=Call())
        found = [each.ranked_count async for each in stream]
    assert found[-1] == 10_000
    assert found == sorted(found)
    assert len(found) < 100
