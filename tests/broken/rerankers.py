"""Broken rerankers."""

from __future__ import annotations

import asyncio
import random
import re
from typing import Any

from my_rerank import MyRerank, MyRerankSettings
from rejection import rejected_by

from tamis.component import Capabilities
from tamis.model import ScoreKind
from tamis.stage import Reranker, Reranking


class _Whole(Reranker):
    """One that does without the repairs of the classes that others derive from."""

    Settings = MyRerankSettings
    capabilities = Capabilities(ScoreKind.LOGIT)


@rejected_by("test_the_last_order_is_complete_and_agrees_with_its_scores")
class WorstFirst(_Whole):
    async def rerank(self, query: Any, passages: Any, *, top_n: int, call: Any) -> Any:
        count = len(passages)
        if passages:
            yield Reranking(tuple(map(float, range(count))), count, tuple(range(count)))


@rejected_by("test_nothing_is_yielded_for_no_passages")
class YieldsNothingAtAll(_Whole):
    async def rerank(self, query: Any, passages: Any, *, top_n: int, call: Any) -> Any:
        yield Reranking((0.0,) * len(passages), len(passages))


@rejected_by("test_an_order_is_complete_however_few_are_asked_for")
class LosesTheRest(_Whole):
    async def rerank(self, query: Any, passages: Any, *, top_n: int, call: Any) -> Any:
        if passages:
            yield Reranking((0.0,) * len(passages), top_n, tuple(range(min(top_n, len(passages)))))


@rejected_by("test_a_call_that_ends_on_the_way_keeps_what_was_ranked")
class ForgetsTheUnranked(_Whole):
    async def rerank(self, query: Any, passages: Any, *, top_n: int, call: Any) -> Any:
        for count in range(1, len(passages) + 1):
            yield Reranking((0.0,) * len(passages), count)
            if not call.active:
                yield Reranking((0.0,) * len(passages), count, tuple(range(count)))
                return


@rejected_by("test_passages_of_the_same_text_are_all_ranked")
class RanksATextOnce(MyRerank):
    async def score(self, query: Any, passages: Any, *, call: Any) -> Any:
        for index in {passage.text: index for index, passage in enumerate(passages)}.values():
            call.check()
            yield index, 0.0


@rejected_by("test_passages_without_text_are_ranked_too")
class SkipsTheEmpty(MyRerank):
    async def score(self, query: Any, passages: Any, *, call: Any) -> Any:
        for index, passage in enumerate(passages):
            call.check()
            if passage.text.strip():
                yield index, 0.0


class _Picky(MyRerank):
    """Fails for what it does not like in a passage or a query."""

    def dislikes_passage(self, text: str) -> bool:
        return False

    def dislikes_query(self, text: str) -> bool:
        return False

    async def score(self, query: Any, passages: Any, *, call: Any) -> Any:
        if self.dislikes_query(query.text):
            raise ValueError("the query")
        for index, passage in enumerate(passages):
            call.check()
            if self.dislikes_passage(passage.text):
                raise ValueError("a passage")
            yield index, 0.0


@rejected_by("test_no_passage_does_harm")
class WantsNoControlCharacters(_Picky):
    def dislikes_passage(self, text: str) -> bool:
        return "\0" in text


@rejected_by("test_no_query_does_harm")
class WantsAWord(_Picky):
    def dislikes_query(self, text: str) -> bool:
        return not re.search(r"\w", text)


@rejected_by("test_any_passages_are_ranked")
class WantsAscii(_Picky):
    def dislikes_passage(self, text: str) -> bool:
        return not text.isascii()


@rejected_by("test_a_huge_passage_and_a_huge_query_do_no_harm")
class WantsShortTexts(_Picky):
    def dislikes_passage(self, text: str) -> bool:
        return len(text) > 20_000


@rejected_by("test_the_same_passages_are_ranked_the_same_again")
class Rolls(MyRerank):
    async def score(self, query: Any, passages: Any, *, call: Any) -> Any:
        for index in range(len(passages)):
            yield index, random.random()


@rejected_by("test_a_call_that_is_over_ends_before_everything_is_ranked")
class NeverAsks(MyRerank):
    async def score(self, query: Any, passages: Any, *, call: Any) -> Any:
        for index in range(len(passages)):
            yield index, 0.0


@rejected_by("test_a_call_that_ends_while_passages_are_read_gets_no_more_work")
class AsksOnce(MyRerank):
    async def score(self, query: Any, passages: Any, *, call: Any) -> Any:
        call.check()
        for index, passage in enumerate(passages):
            yield index, float(len(passage.text))


@rejected_by("test_who_stops_listening_does_not_disturb_the_next")
class TalksOn(MyRerank):
    async def score(self, query: Any, passages: Any, *, call: Any) -> Any:
        for index in range(len(passages)):
            try:
                yield index, 0.0
            except GeneratorExit:
                yield index, 0.0


@rejected_by("test_hundreds_of_passages_are_ranked")
class StopsAtAHundred(MyRerank):
    async def score(self, query: Any, passages: Any, *, call: Any) -> Any:
        for index in range(min(100, len(passages))):
            yield index, 0.0


@rejected_by("test_a_score_depends_on_its_neighbours_only_if_that_is_declared")
class Divides(MyRerank):
    async def score(self, query: Any, passages: Any, *, call: Any) -> Any:
        for index in range(len(passages)):
            yield index, 1.0 / len(passages)


@rejected_by("test_calls_at_the_same_time_do_not_mix")
class RemembersTheQuery(MyRerank):
    async def score(self, query: Any, passages: Any, *, call: Any) -> Any:
        self.query = query
        await asyncio.sleep(0)
        async for each in super().score(self.query, passages, call=call):
            yield each
