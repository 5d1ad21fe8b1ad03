"""The pairwise reranker: a language model says which of two passages is better, asked in both orders."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from functools import partial
from typing import Annotated, Literal

from pydantic import Field

from tamis.context import Call
from tamis.stage import Order
from tamis_llm_rankers.asking import Asking, CallsSpent
from tamis_llm_rankers.heap import HeapSort
from tamis_llm_rankers.parallel import as_they_come, together
from tamis_llm_rankers.ranker import AskingReranker, AskingSettings
from tamis_llm_rankers.template import PromptTable

__all__ = ["PairwiseReranker", "PairwiseSettings"]

BuiltIn = Literal["instruct", "few-shot", "prp", "duo-t5"]
_STEP_QUESTIONS = 4  # two comparisons, each in both orders


class PairwiseSettings(AskingSettings):
    """`method` is `heap` (a heap sort of the first places), `sliding` (bubbles, at most `passes` of them) or
    `all-pairs`. `answers = "text"` never asks for log-probabilities. `prompt` is a built-in one or a table."""

    prompt: BuiltIn | PromptTable = "instruct"
    method: Literal["all-pairs", "heap", "sliding"] = "heap"
    answers: Literal["auto", "text"] = "auto"
    passes: Annotated[int, Field(ge=1, le=100)] = 10


class PairwiseReranker(AskingReranker):
    """Qin et al., "Large Language Models are Effective Text Rankers with Pairwise Ranking Prompting", 2023; with the
    `duo-t5` prompt Pradeep et al., "The Expando-Mono-Duo Design Pattern", 2021."""

    Settings = PairwiseSettings
    role = "pairwise"

    def __init__(self, settings: PairwiseSettings) -> None:
        super().__init__(settings, settings.prompt, width=2, answer_count=1, in_words=settings.answers == "text")
        self._settings = settings

    async def orders(self, asking: Asking, texts: Sequence[str], top: int, call: Call) -> AsyncGenerator[Order, None]:
        duels = _Duels(asking, texts, call)
        match self._settings.method:
            case "all-pairs":
                work = self._all_pairs(duels, asking)
            case "heap":
                work = self._heap(duels, asking, top)
            case "sliding":
                work = self._sliding(duels, top)
        async with aclosing(work) as orders:
            async for order in orders:
                yield Order(order, frozenset(duels.seen))

    async def _all_pairs(self, duels: _Duels, asking: Asking) -> AsyncGenerator[tuple[int, ...], None]:
        """Neighbours of the prior order first, so that every passage has been looked at early."""
        count = duels.count
        pairs = [(one, one + apart) for apart in range(1, count) for one in range(count - apart)]
        affordable = pairs[: asking.left // 2]
        net = [0.0] * count

        async def duel(one: int, other: int) -> tuple[int, int, float]:
            return one, other, await duels.odds(one, other)

        works = [partial(duel, *pair) for pair in affordable]
        async with aclosing(as_they_come(works, self._settings.concurrency)) as results:
            async for one, other, odds in results:
                net[one] += odds - 0.5
                net[other] -= odds - 0.5
                yield tuple(sorted(range(count), key=lambda each: -round(net[each], 9)))
        if len(affordable) < len(pairs):
            raise CallsSpent

    async def _heap(self, duels: _Duels, asking: Asking, top: int) -> AsyncGenerator[tuple[int, ...], None]:
        sort = HeapSort(duels.count, top, arity=2, best=duels.best)
        is_affordable = asking.left >= sort.build_steps * _STEP_QUESTIONS  # else who gets the last ones would be chance
        try:
            async with aclosing(sort.run(self._settings.concurrency if is_affordable else 1)) as steps:
                async for _ in steps:
                    yield sort.order
        except CallsSpent:
            yield sort.order
            raise

    async def _sliding(self, duels: _Duels, top: int) -> AsyncGenerator[tuple[int, ...], None]:
        """Each pass carries the best of the rest to the front, from the back."""
        order = list(range(duels.count))
        for settled in range(min(self._settings.passes, top, duels.count - 1)):
            is_sorted = True
            for place in range(duels.count - 1, settled, -1):
                if await duels.odds(order[place], order[place - 1]) > 0.5:
                    order[place - 1], order[place] = order[place], order[place - 1]
                    is_sorted = False
                yield tuple(order)
            if is_sorted:
                return


class _Duels:
    """Which of two passages is better. No two texts are compared twice; equal ones never."""

    def __init__(self, asking: Asking, texts: Sequence[str], call: Call) -> None:
        self._asking = asking
        self._texts = texts
        self._call = call
        self._known: dict[tuple[str, str], float | None] = {}
        self._under_way: defaultdict[frozenset[str], asyncio.Lock] = defaultdict(asyncio.Lock)
        self.count = len(texts)
        self.seen: set[int] = set()

    async def odds(self, one: int, other: int) -> float:
        """How likely it is that `one` is better, 0.5 where nothing can be told.

        The mean over both orders, which cancels what a model thinks of the first place or of the letter A.
        """
        key = self._texts[one], self._texts[other]
        if key[0] == key[1]:
            self._known.setdefault(key, 0.5)
        async with self._under_way[frozenset(key)]:
            if key in self._known:
                self._call.usage.cache_hit_count += 1
            else:
                told = await self._asked(one, other)
                self._known[key] = told
                self._known[key[::-1]] = None if told is None else 1.0 - told
        found = self._known[key]
        self.seen |= set() if found is None else {one, other}
        return 0.5 if found is None else found

    async def best(self, members: Sequence[int]) -> int:
        """The place of the best; of equally good ones that of the prior order's first."""
        best = 0
        for place in range(1, len(members)):
            odds = await self.odds(members[place], members[best])
            if (odds, members[best]) > (0.5, members[place]):
                best = place
        return best

    async def _asked(self, one: int, other: int) -> float | None:
        there, back = await together(self._asking.likelihoods([one, other]), self._asking.likelihoods([other, one]))
        told = [*([there[0]] if there else []), *([back[1]] if back else [])]
        return sum(told) / len(told) if told else None
