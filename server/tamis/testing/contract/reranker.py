"""What a reranker must do."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from contextlib import aclosing, suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tamis.component import Capabilities
from tamis.context import Call, CallEnded
from tamis.model import Passage, Query, ScoreKind
from tamis.stage import ListwiseReranker, PointwiseReranker, Reranker, Reranking
from tamis.testing.contract.collections import HUGE_TEXT, ODD_TEXTS, TEXTS, passage
from tamis.testing.contract.component import ServingContract, law, on_its_loop, over, written_in
from tamis.testing.contract.observing import EndsWhenRead, ending

__all__ = ["RerankerContract"]


_BOUNDS = {
    ScoreKind.NORMALIZED: (0.0, 1.0),
    ScoreKind.PROBABILITY: (0.0, 1.0),
    ScoreKind.COSINE: (-1.0, 1.0),
    ScoreKind.LOG_PROBABILITY: (-math.inf, 0.0),
}
_ROUNDING = 1e-3


class RerankerContract(ServingContract):
    """Of a reranker, whichever way it works."""

    places = (Reranking, PointwiseReranker.score, ListwiseReranker.order)

    def component(self) -> Reranker:
        raise NotImplementedError(f"{type(self).__name__} does not say how its plugin is built")

    async def rerankings(
        self, texts: Sequence[str], asked: str = TEXTS[0], call: Call | None = None
    ) -> list[Reranking]:
        """Everything the plugin yields for passages of these texts."""
        stream = self.plugin.rerank(Query(asked), _passages(texts), top_n=10, call=call or Call())
        async with aclosing(stream) as each_better:
            return [each async for each in each_better]

    async def use(self, plugin: Reranker, call: Call) -> None:
        async with aclosing(plugin.rerank(Query(TEXTS[0]), _passages(TEXTS), top_n=10, call=call)) as stream:
            async for _ in stream:
                await asyncio.sleep(0)

    def check(self, rerankings: Sequence[Reranking], count: int) -> None:
        """Asserts that each is a complete order of `count` passages, and that the last one ranks them."""
        for each in rerankings:
            assert sorted(each.order) == list(range(count)), "every index stands in an order exactly once"
            assert len(each.scores) == count, "there is a place for the score of every passage"
            assert 0 <= each.ranked_count <= count
            self._check_scores([each.scores[index] for index in each.order[: each.ranked_count]])
        counts = [each.ranked_count for each in rerankings]
        assert counts == sorted(counts), "a later order never ranks fewer"
        if isinstance(self.plugin, PointwiseReranker):
            assert counts[-1:] == [count], "every passage gets a score"
        else:
            assert max(counts, default=0) > 0, "at least one passage is ranked"

    def _check_scores(self, ranked: Sequence[float | None]) -> None:
        scores = [score for score in ranked if score is not None]
        kind = self.plugin.capabilities.score_kind
        if kind is ScoreKind.NONE:
            assert not scores, "a reranker that gives scores declares their kind"
        elif isinstance(self.plugin, PointwiseReranker):
            assert len(scores) == len(ranked)
        assert all(map(math.isfinite, scores)), "scores are finite"
        assert all(one >= other for one, other in pairwise(scores)), "higher scores stand first"
        least, most = _BOUNDS.get(kind, (-math.inf, math.inf))
        assert all(least - _ROUNDING <= each <= most + _ROUNDING for each in scores), f"a {kind.value} is in its range"

    @on_its_loop
    async def test_the_last_order_is_complete_and_agrees_with_its_scores(self) -> None:
        for texts in (TEXTS[:1], TEXTS, TEXTS * 5):
            self.check(await self.rerankings(texts), len(texts))

    @on_its_loop
    async def test_nothing_is_yielded_for_no_passages(self) -> None:
        assert await self.rerankings([]) == []

    @on_its_loop
    async def test_passages_of_the_same_text_are_all_ranked(self) -> None:
        self.check(await self.rerankings([TEXTS[0]] * 4), 4)

    @on_its_loop
    async def test_passages_without_text_are_ranked_too(self) -> None:
        self.check(await self.rerankings(["", TEXTS[0], "", " "]), 4)

    @on_its_loop
    async def test_no_passage_does_harm(self) -> None:
        self.check(await self.rerankings(ODD_TEXTS), len(ODD_TEXTS))

    @on_its_loop
    async def test_no_query_does_harm(self) -> None:
        for text in ("", *ODD_TEXTS):
            self.check(await self.rerankings(TEXTS[:3], text), 3)

    @law(15)
    @given(texts=st.lists(st.text(max_size=80), min_size=1, max_size=6), asked=st.text(max_size=40))
    @on_its_loop
    async def test_any_passages_are_ranked(self, texts: Sequence[str], asked: str) -> None:
        self.check(await self.rerankings(texts, asked), len(texts))

    @on_its_loop
    async def test_the_same_passages_are_ranked_the_same_again(self) -> None:
        one, other = [(await self.rerankings(TEXTS))[-1].order for _ in range(2)]
        assert one == other

    @on_its_loop
    async def test_a_call_that_is_over_ends_before_everything_is_ranked(self) -> None:
        fresh = [f"never seen before: {text}" for text in TEXTS]
        for call in over():
            yielded: list[Reranking] = []
            with suppress(CallEnded):
                yielded = await self.rerankings(fresh, call=call)
            assert all(each.ranked_count < len(fresh) for each in yielded)

    @on_its_loop
    async def test_a_call_that_ends_on_the_way_keeps_what_was_ranked(self) -> None:
        call = Call()
        stream = self.plugin.rerank(Query(TEXTS[0]), _passages(TEXTS), top_n=10, call=call)
        yielded = []
        with suppress(CallEnded):
            async with aclosing(stream) as each_better:
                async for each in each_better:
                    call.end()
                    yielded.append(each)
        assert yielded
        assert sorted(yielded[-1].order) == list(range(len(TEXTS)))

    @on_its_loop
    async def test_who_stops_listening_does_not_disturb_the_next(self) -> None:
        async with aclosing(self.plugin.rerank(Query(TEXTS[0]), _passages(TEXTS), top_n=10, call=Call())) as stream:
            await anext(stream)
        self.check(await self.rerankings(TEXTS), len(TEXTS))

    @written_in(Call.check)
    @on_its_loop
    async def test_a_call_that_ends_while_passages_are_read_gets_no_more_work(self) -> None:
        """Asking once at the start is not enough: ask again before every batch."""
        for call, end in ending():
            passages = EndsWhenRead(_passages([f"new {number}" for number in range(500)]), end)
            ranked_count = 0
            with suppress(CallEnded):
                async with aclosing(self.plugin.rerank(Query(TEXTS[0]), passages, top_n=10, call=call)) as stream:
                    async for each in stream:
                        ranked_count = each.ranked_count
            assert ranked_count < 500, f"went on to the end after {ranked_count} passages"

    @on_its_loop
    async def test_hundreds_of_passages_are_ranked(self) -> None:
        count = min(200, self.plugin.capabilities.max_candidates or 200)
        self.check(await self.rerankings([f"passage {number}" for number in range(count)]), count)

    @on_its_loop
    async def test_a_huge_passage_and_a_huge_query_do_no_harm(self) -> None:
        """Read what the model can read, and leave the rest out."""
        self.check(await self.rerankings([HUGE_TEXT, TEXTS[0]]), 2)
        self.check(await self.rerankings(TEXTS[:2], HUGE_TEXT), 2)

    @on_its_loop
    async def test_an_order_is_complete_however_few_are_asked_for(self) -> None:
        stream = self.plugin.rerank(Query(TEXTS[0]), _passages(TEXTS), top_n=1, call=Call())
        async with aclosing(stream) as each_better:
            found = [each async for each in each_better]
        assert all(sorted(each.order) == list(range(len(TEXTS))) for each in found)

    @written_in(Capabilities)
    @on_its_loop
    async def test_a_score_depends_on_its_neighbours_only_if_that_is_declared(self) -> None:
        """Declare `cross_document=True`, or score each passage by itself."""
        if self.plugin.capabilities.cross_document or not isinstance(self.plugin, PointwiseReranker):
            pytest.skip("declares that passages are compared")
        together = (await self.rerankings(TEXTS))[-1].scores
        reversed_ = (await self.rerankings(TEXTS[::-1]))[-1].scores[::-1]
        alone = [(await self.rerankings([text]))[-1].scores[0] for text in TEXTS[:3]]
        assert reversed_ == pytest.approx(together, rel=0.01, abs=0.01)
        assert alone == pytest.approx(together[:3], rel=0.01, abs=0.01)

    @on_its_loop
    async def test_calls_at_the_same_time_do_not_mix(self) -> None:
        alone = [(await self.rerankings(TEXTS, text))[-1].order for text in TEXTS[:4]]
        together = await asyncio.gather(*(self.rerankings(TEXTS, text) for text in TEXTS[:4]))
        assert [each[-1].order for each in together] == alone


def _passages(texts: Sequence[str]) -> list[Passage]:
    return [passage(str(number), text) for number, text in enumerate(texts)]
