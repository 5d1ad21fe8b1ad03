"""What a reranker must do."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from contextlib import aclosing, suppress
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tamis.context import Call, CallEnded
from tamis.model import Passage, Query, ScoreKind
from tamis.stage import PointwiseReranker, Reranker, Reranking
from tamis.testing.contract.collections import ODD_TEXTS, TEXTS, passage
from tamis.testing.contract.component import ComponentContract, law, on_its_loop, over

__all__ = ["RerankerContract"]


class RerankerContract(ComponentContract):
    """Of a reranker, whichever way it works."""

    def component(self) -> Reranker:
        raise NotImplementedError(f"{type(self).__name__} does not say how its plugin is built")

    async def rerankings(
        self, texts: Sequence[str], asked: str = TEXTS[0], call: Call | None = None
    ) -> list[Reranking]:
        """Everything the plugin yields for passages of these texts."""
        stream = self.plugin.rerank(Query(asked), _passages(texts), top_n=10, call=call or Call())
        async with aclosing(stream) as each_better:
            return [each async for each in each_better]

    def check(self, rerankings: Sequence[Reranking], count: int) -> None:
        """Asserts that each is a complete order of `count` passages, and that the last one ranks them."""
        for each in rerankings:
            assert sorted(each.order) == list(range(count))
            assert len(each.scores) == count
            assert 0 <= each.ranked_count <= count
            ranked = [each.scores[index] for index in each.order[: each.ranked_count]]
            self._check_scores(ranked)
        ranked_count = rerankings[-1].ranked_count if rerankings else 0
        assert ranked_count == count if isinstance(self.plugin, PointwiseReranker) else ranked_count > 0

    def _check_scores(self, ranked: Sequence[float | None]) -> None:
        scores = [score for score in ranked if score is not None]
        if self.plugin.capabilities.score_kind is ScoreKind.NONE:
            assert not scores, "a reranker that gives scores declares their kind"
        elif isinstance(self.plugin, PointwiseReranker):
            assert len(scores) == len(ranked)
        assert all(map(math.isfinite, scores))
        assert all(one >= other for one, other in pairwise(scores))

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

    @on_its_loop
    async def test_calls_at_the_same_time_do_not_mix(self) -> None:
        alone = [(await self.rerankings(TEXTS, text))[-1].order for text in TEXTS[:4]]
        together = await asyncio.gather(*(self.rerankings(TEXTS, text) for text in TEXTS[:4]))
        assert [each[-1].order for each in together] == alone


def _passages(texts: Sequence[str]) -> list[Passage]:
    return [passage(str(number), text) for number, text in enumerate(texts)]
