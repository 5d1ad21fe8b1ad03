"""Cuts what a model is shown to what it can read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from tamis.model import Passage
from tamis.models import Prompt
from tamis_llm.prompt import PromptTemplate

__all__ = ["count_prompt", "fitting"]

_MESSAGE_TOKENS = 8  # what a chat template puts around a turn
_JOINT_TOKENS = 2  # what counting piece by piece may miss


def count_prompt(prompt: Prompt, count: Callable[[str], int]) -> int:
    """How many tokens a prompt costs, about."""
    return sum(_MESSAGE_TOKENS + count(each.text) for each in prompt.messages)


def fitting(
    passages: Sequence[Passage], question: str, template: PromptTemplate, count: Callable[[str], int], budget: int
) -> list[Passage]:
    """As many of the passages, in order, as a prompt of `budget` tokens has room for; shorter ones may overtake.

    When not one has room, the first with its text cut, if that leaves anything; its span stays that of the whole.
    """
    left = budget - count_prompt(template.prompt(question, ()), count)

    def cost(number: int, passage: Passage) -> int:
        return count(template.quoted(number, passage)) + _JOINT_TOKENS

    kept: list[Passage] = []
    for each in passages:
        if (needed := cost(len(kept) + 1, each)) <= left:
            kept.append(each)
            left -= needed
    if kept or not passages:
        return kept
    best = passages[0]
    fits, too_long = 0, len(best.text)
    while too_long - fits > 1:
        middle = (fits + too_long) // 2
        if cost(1, replace(best, text=best.text[:middle])) <= left:
            fits = middle
        else:
            too_long = middle
    return [replace(best, text=best.text[:fits])] if best.text[:fits].strip() else []
