"""Language models for tests: they say what they are told to say, or know how good passages are."""

from __future__ import annotations

import asyncio
import itertools
import math
import random
import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from tamis.component import Settings
from tamis.context import Call
from tamis.models import CUT_AT_LIMIT, Llm, Prompt
from tamis.testing.plugins import SECRET, trace

__all__ = ["OracleLlm", "OracleSettings", "ScriptedLlm", "ScriptedLlmSettings"]


class ScriptedLlmSettings(Settings):
    """`reply` comes in pieces of `piece_length` characters, every one a token; `endless` repeats it and takes no notice
    of the limit. After `fails_after` pieces the model fails, after `hangs_after` it waits until it is cancelled.
    """

    reply: str = ""
    piece_length: int = 3
    endless: bool = False
    fails_after: int | None = None
    hangs_after: int | None = None
    context_size: int = 4_096
    counts_usage: bool = True


class ScriptedLlm(Llm):
    """Remembers the prompts it was given, in `prompts`, and how often it was closed before its end."""

    Settings = ScriptedLlmSettings

    def __init__(self, settings: ScriptedLlmSettings) -> None:
        super().__init__(settings)
        self.prompts: list[Prompt] = []
        self.cut_count = 0

    @property
    def context_token_count(self) -> int:
        return int(self.settings.context_size)

    async def generate(self, prompt: Prompt, *, limit: int, call: Call) -> AsyncIterator[str]:
        self.prompts.append(prompt)
        call.check()
        if self.settings.counts_usage:
            call.usage.model_call_count += 1
            call.usage.input_token_count += sum(self.count_tokens(each.text) for each in prompt.messages)
        is_done = False
        try:
            for place, piece in enumerate(self._pieces(limit)):
                await asyncio.sleep(0)
                await self._misbehave(place)
                call.check()
                call.usage.output_token_count += self.settings.counts_usage
                yield piece
            if len(self.settings.reply) > limit * self.settings.piece_length:
                call.note(CUT_AT_LIMIT)
            await self._misbehave(None)
            is_done = True
        finally:
            self.cut_count += not is_done

    def _pieces(self, limit: int) -> Iterator[str]:
        reply, length = self.settings.reply, self.settings.piece_length
        pieces = [reply[start : start + length] for start in range(0, len(reply), length)]
        return itertools.cycle(pieces) if self.settings.endless else iter(pieces[:limit])

    async def _misbehave(self, place: int | None) -> None:
        """Before the piece at `place`; None is the end, where everything has come that was still to come."""
        for after, is_failure in ((self.settings.fails_after, True), (self.settings.hangs_after, False)):
            if after is not None and (after == place or (place is None and after >= 0)):
                trace.entered.set()
                if is_failure:
                    raise RuntimeError(SECRET)
                await asyncio.Event().wait()


_LABELLED = re.compile(r"^\[(\w+)\] |(?:^Passage |\bDocument)(\w)\b:|^Passage():", re.MULTILINE)

Malformed = Literal["", "prose", "bare", "repeats", "unknown", "truncated", "nonsense", "silence", "nan", "none"]


class OracleSettings(Settings):
    """A passage's grade is the number in its `grade-17`, or that of a phrase of `grades` in it, else `default_grade`;
    higher is better.

    At `lie_rate` an answer is wrong: the place of a passage in an order, or the one that is named. The same prompt gets
    the same answer. `first_bias` is by how many grades the first of the passages seems better. `malformed` is how it
    answers otherwise than it is asked to. After `hangs_after` calls it waits until nobody waits for it.
    """

    grades: Mapping[str, float] = Field(default_factory=dict)
    default_grade: float = 0.0
    lie_rate: Annotated[float, Field(ge=0, le=1)] = 0.0
    seed: int = 0
    first_bias: float = 0.0
    gives_log_probabilities: bool = True
    malformed: Literal["", "prose", "bare", "repeats", "unknown", "truncated", "nonsense", "silence", "nan", "none"] = (
        ""
    )
    hangs_after: int | None = None
    context_size: int = 8_192


class OracleLlm(Llm):
    """Answers questions about which passages are relevant: an order of `[labels]`, one label, true or false, and how
    likely a query is. Remembers the prompts, how many calls were under way at most, and how often it was asked for
    log-probabilities that it does not give."""

    Settings = OracleSettings

    def __init__(self, settings: OracleSettings) -> None:
        super().__init__(settings)
        phrases = "".join(f"|({re.escape(each)})" for each in settings.grades)
        self._seen = re.compile(rf"{_LABELLED.pattern}|\bgrade-(\d+){phrases}", re.MULTILINE)
        self.prompts: list[Prompt] = []
        self.most_under_way = 0
        self.under_way = 0
        self.refused_count = 0

    @property
    def context_token_count(self) -> int:
        return int(self.settings.context_size)

    async def generate(self, prompt: Prompt, *, limit: int, call: Call) -> AsyncIterator[str]:
        words = self._answer(prompt).split(" ")
        await self._work(prompt, call)
        for place, word in enumerate(words):
            await asyncio.sleep(0)
            if place == limit:
                call.note(CUT_AT_LIMIT)
                return
            call.check()
            call.usage.output_token_count += 1
            yield f" {word}" if place else word or " "

    async def log_probabilities(self, prompt: Prompt, choices: Sequence[str], *, call: Call) -> NDArray[Any]:
        if not self.settings.gives_log_probabilities:
            self.refused_count += 1
            raise NotImplementedError
        await self._work(prompt, call)
        if self.settings.malformed in ("nan", "none"):
            return np.full(len(choices), math.nan if self.settings.malformed == "nan" else -math.inf)
        grades, chance = self._graded(prompt)
        if not choices or not grades:
            return np.array([-float(len(each)) for each in choices])
        labels = [re.sub(r"\W", "", each.split()[-1]) if each.split() else "" for each in choices]
        if labels == ["true", "false"]:
            labels = list(grades)
        if "" not in grades and set(labels) <= grades.keys():
            told = self._told(grades, chance)
            worth = np.array([told[each] for each in labels])
            return np.asarray(worth - np.logaddexp.reduce(worth))
        wrong = chance.random() < self.settings.lie_rate
        grade = chance.uniform(0, 100) if wrong else next(iter(grades.values()))
        return np.array([grade / 10.0 - 100.0 for _ in choices])

    async def _work(self, prompt: Prompt, call: Call) -> None:
        call.check()
        self.prompts.append(prompt)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            call.usage.model_call_count += 1
            call.usage.input_token_count += sum(self.count_tokens(each.text) for each in prompt.messages)
            if self.settings.hangs_after is not None and len(self.prompts) > self.settings.hangs_after:
                trace.entered.set()
                await call.wait(asyncio.Event().wait())
            await asyncio.sleep(0)
        finally:
            self.under_way -= 1

    def _graded(self, prompt: Prompt) -> tuple[dict[str, float], random.Random]:
        """The grades of a prompt's passages by their labels, in its order; and the chance by which it is lied about."""
        turns = [each.text for each in prompt.messages if each.role == "user"]
        text = turns[-1] if _LABELLED.search(turns[-1]) else "\n".join(turns)
        grades: dict[str, float] = {}
        label: str | None = None
        for found in self._seen.finditer(text):
            bracketed, named, alone, number, *phrases = found.groups()
            if bracketed or named or alone is not None:
                label = bracketed or named or ""
                grades[label] = self.settings.default_grade
            elif label is not None:
                worth = zip(phrases, self.settings.grades.values(), strict=True)
                grades[label] = float(number) if number else next(grade for phrase, grade in worth if phrase)
        for first in itertools.islice(grades, 1):
            grades[first] += self.settings.first_bias
        return grades, random.Random(f"{self.settings.seed} {text}")

    def _told(self, grades: dict[str, float], chance: random.Random) -> dict[str, float]:
        """The grades, or in a lie another passage in front."""
        if len(grades) < 2 or chance.random() >= self.settings.lie_rate:
            return grades
        best = max(grades.values())
        wrong = chance.choice([each for each, grade in grades.items() if grade < best] or list(grades))
        return {**grades, wrong: best + 1.0}

    def _answer(self, prompt: Prompt) -> str:
        grades, chance = self._graded(prompt)
        if self.settings.malformed == "silence":
            return ""
        if not grades or self.settings.malformed == "nonsense":
            return "I would rather talk about the sea."
        asked = "\n".join(each.text for each in prompt.messages)
        if re.search(r"\[\w*\] > \[\w*\]", asked):
            return self._ordered(grades, chance)
        told = self._told(grades, chance)
        best = max(told, key=told.__getitem__)
        if prompt.messages[-1].text.endswith("Relevant:"):
            best = "true" if best == next(iter(told)) else "false"
        if self.settings.malformed == "unknown":
            return "Z"
        return f"I believe that Passage {best} is it." if self.settings.malformed == "prose" else best

    def _ordered(self, grades: dict[str, float], chance: random.Random) -> str:
        order = sorted(grades, key=lambda each: -grades[each])
        for each in sorted(order):
            if chance.random() < self.settings.lie_rate:
                order.remove(each)
                order.insert(chance.randrange(len(order) + 1), each)
        named = [f"[{each}]" for each in order]
        match self.settings.malformed:
            case "prose":
                return f"Sure! Here is the order: {' > '.join(named)}. I hope that helps."
            case "bare":
                return ", ".join(order)
            case "repeats":
                return " > ".join([*named[:3], *named])
            case "unknown":
                return " > ".join(["[99]", *named, "[0]"])
            case "truncated":
                return " > ".join(named[: (len(named) + 1) // 2]) + " > ["
        return " > ".join(named)
