"""The setwise reranker: a language model picks the best of a few passages, inside a heap sort."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Annotated, Literal

from pydantic import Field

from tamis.context import Call
from tamis.errors import ConfigurationError
from tamis.stage import Order
from tamis_llm_rankers.asking import Asking, CallsSpent
from tamis_llm_rankers.heap import HeapSort
from tamis_llm_rankers.ranker import AskingReranker, AskingSettings
from tamis_llm_rankers.template import PromptTable

__all__ = ["SetwiseReranker", "SetwiseSettings"]

BuiltIn = Literal["instruct", "few-shot", "setwise"]


class SetwiseSettings(AskingSettings):
    """`set_size` passages are compared at a time. `answers = "text"` never asks for log-probabilities. `prompt` is a
    built-in one or a table."""

    prompt: BuiltIn | PromptTable = "instruct"
    set_size: Annotated[int, Field(ge=3, le=10)] = 4
    answers: Literal["auto", "text"] = "auto"


class SetwiseReranker(AskingReranker):
    """Zhuang et al., "A Setwise Approach for Effective and Highly Efficient Zero-shot Ranking with Large Language
    Models", 2024."""

    Settings = SetwiseSettings
    role = "setwise"

    def __init__(self, settings: SetwiseSettings) -> None:
        super().__init__(
            settings, settings.prompt, width=settings.set_size, answer_count=1, in_words=settings.answers == "text"
        )
        self._settings = settings
        if len(self._template.labels(settings.set_size)) < settings.set_size:
            raise ConfigurationError(f"the prompt has fewer labels than a set of {settings.set_size} passages needs")

    async def orders(self, asking: Asking, texts: Sequence[str], top: int, call: Call) -> AsyncGenerator[Order, None]:
        seen: set[int] = set()
        known: dict[tuple[int, ...], list[float] | None] = {}

        async def best(members: Sequence[int]) -> int:
            key = tuple(members)
            if key in known:
                call.usage.cache_hit_count += 1
            else:
                known[key] = await asking.likelihoods(key)
            told = known[key]
            seen.update(() if told is None else key)
            ties = [0.0] * len(key) if told is None else told
            return max(range(len(key)), key=lambda place: (ties[place], -key[place]))

        sort = HeapSort(len(texts), top, arity=self._settings.set_size - 1, best=best)
        at_once = self._settings.concurrency if asking.left >= sort.build_steps else 1
        try:
            async with aclosing(sort.run(at_once)) as steps:
                async for _ in steps:
                    yield Order(sort.order, frozenset(seen))
        except CallsSpent:
            yield Order(sort.order, frozenset(seen))
            raise
