"""Passages of known grades, and a reranker over an oracle that knows them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tamis.context import Call
from tamis.model import Passage, Query
from tamis.stage import Reranking
from tamis.testing.contract import opened
from tamis.testing.contract.collections import passage
from tamis.testing.llms import OracleLlm

QUERY = Query("what raises the tides")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a reranker yielded for passages of some grades, and what it took."""

    grades: Sequence[int]
    rerankings: Sequence[Reranking]
    call: Call
    llm: OracleLlm

    @property
    def order(self) -> tuple[int, ...]:
        """The last order."""
        return self.rerankings[-1].order

    @property
    def ranked_grades(self) -> list[int]:
        """The grades in the last order."""
        return [self.grades[each] for each in self.order]


def shuffled(count: int, seed: int = 0) -> list[int]:
    """The grades 0 to `count` - 1 in no order."""
    grades = list(range(count))
    random.Random(seed).shuffle(grades)
    return grades


def passages(grades: Sequence[int]) -> list[Passage]:
    """A passage of each grade."""
    return [passage(str(number), f"This one, {number}, is of grade-{grade}") for number, grade in enumerate(grades)]


def built(kind: Any, oracle: dict[str, Any] | None = None, **settings: Any) -> Any:
    """A reranker over an oracle, not opened."""
    return kind(kind.Settings(llm=OracleLlm(OracleLlm.Settings(**(oracle or {}))), **settings))


async def asked(
    kind: Any, grades: Sequence[int], oracle: dict[str, Any] | None = None, *, top_n: int = 10, **settings: Any
) -> Asked:
    """Ranks passages of these grades."""
    call = Call()
    async with opened(built(kind, oracle, **settings)) as reranker:
        stream = reranker.rerank(QUERY, passages(grades), top_n=top_n, call=call)
        rerankings = [each async for each in stream]
        return Asked(grades, rerankings, call, reranker.settings.llm)


def inversions(order: Sequence[int], grades: Sequence[int]) -> int:
    """How many pairs stand the wrong way round."""
    ranked = [grades[each] for each in order]
    return sum(worse < better for place, worse in enumerate(ranked) for better in ranked[place + 1 :])


def tau(order: Sequence[int], grades: Sequence[int]) -> float:
    """Kendall's: 1 for the true order, -1 for its reverse. Grades are distinct."""
    count = len(order)
    return 1 - 4 * inversions(order, grades) / (count * (count - 1))
