"""The base classes of rerankers repair what a plugin gets wrong."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Sequence

import pytest

from tamis.component import Settings
from tamis.context import Call
from tamis.model import Passage, Query
from tamis.stage import ListwiseReranker, Order, PointwiseReranker, Reranking

PASSAGES = [Passage(name, name, 1, name) for name in "abc"]


class _Scripted(PointwiseReranker):
    """Scores as it is told."""

    def __init__(self, script: Sequence[tuple[int, float]]) -> None:
        super().__init__(Settings())
        self._script = script

    async def score(self, query: Query, passages: Sequence[Passage], *, call: Call) -> AsyncIterator[tuple[int, float]]:
        for each in self._script:
            yield each


class _Ordering(ListwiseReranker):
    """Orders as it is told."""

    def __init__(self, script: Sequence[Sequence[int] | Order]) -> None:
        super().__init__(Settings())
        self._script = script

    async def order(
        self, query: Query, passages: Sequence[Passage], *, top_n: int, call: Call
    ) -> AsyncIterator[Sequence[int] | Order]:
        for each in self._script:
            yield each


async def _run(reranker: PointwiseReranker | ListwiseReranker) -> tuple[list[Reranking], list[str]]:
    call = Call()
    return [each async for each in reranker.rerank(Query("q"), PASSAGES, top_n=3, call=call)], call.notes


async def test_each_score_improves_the_order() -> None:
    rerankings, notes = await _run(_Scripted([(2, 1.0), (0, 3.0), (1, 2.0)]))
    assert [each.order for each in rerankings] == [(2, 0, 1), (0, 2, 1), (0, 1, 2)]
    assert [each.ranked_count for each in rerankings] == [1, 2, 3]
    assert not notes


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
async def test_a_score_that_is_not_finite_is_dropped_with_a_note(score: float) -> None:
    rerankings, notes = await _run(_Scripted([(0, score), (1, 1.0)]))
    assert rerankings[-1].scores == (None, 1.0, None)
    assert notes == ["score that is not finite dropped", "passages left without a score"]


async def test_duplicate_and_unknown_indices_are_dropped_with_a_note() -> None:
    rerankings, notes = await _run(_Scripted([(0, 1.0), (0, 9.0), (7, 1.0), (-1, 1.0), (1, 2.0), (2, 3.0)]))
    assert rerankings[-1].scores == (1.0, 2.0, 3.0)
    assert notes == ["duplicate or unknown index dropped"]


async def test_ties_keep_their_prior_order() -> None:
    rerankings, _ = await _run(_Scripted([(2, 1.0), (1, 1.0), (0, 1.0)]))
    assert rerankings[-1].order == (0, 1, 2)


async def test_a_partial_listwise_order_is_completed_in_prior_order() -> None:
    rerankings, notes = await _run(_Ordering([[2], [2, 2, 5, 1]]))
    assert [each.order for each in rerankings] == [(2, 0, 1), (2, 1, 0)]
    assert [each.ranked_count for each in rerankings] == [1, 2]
    assert notes == ["duplicate or unknown index dropped"]


async def test_no_passages_are_no_rerankings() -> None:
    for reranker in (_Scripted([]), _Ordering([[]])):
        assert [each async for each in reranker.rerank(Query("q"), [], top_n=3, call=Call())] == []


async def test_what_an_order_leaves_out_follows_as_it_stood_before() -> None:
    rerankings, notes = await _run(_Ordering([(2, 1, 0), (1,)]))
    assert [each.order for each in rerankings] == [(2, 1, 0), (1, 2, 0)]
    assert [each.ranked_count for each in rerankings] == [3, 1]
    assert not notes


async def test_what_was_looked_at_may_stand_behind_what_was_not() -> None:
    rerankings, notes = await _run(_Ordering([Order((0, 2, 1), {1, 2}), Order((2, 0, 1), {0, 1, 2, 7})]))
    assert [each.order for each in rerankings] == [(0, 2, 1), (2, 0, 1)]
    assert [each.ranked for each in rerankings] == [{1, 2}, {0, 1, 2}]
    assert [each.ranked_count for each in rerankings] == [2, 3]
    assert not notes
