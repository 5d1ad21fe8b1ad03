"""The questions that one request puts to a language model, answered by log-probabilities or in words."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, asynccontextmanager

import numpy as np

from tamis.context import Call
from tamis.models import Llm
from tamis_llm_rankers import answers, notes
from tamis_llm_rankers.template import PromptTemplate

__all__ = ["Asking", "CallsSpent", "Voice"]

_LONGEST_TOKEN = 64  # characters; what a model that keeps no limit says beyond is not waited for


class CallsSpent(Exception):
    """As many questions have been asked as the request may ask."""


class Voice:
    """A language model with its prompt, and whether it has turned out to give no log-probabilities."""

    def __init__(self, llm: Llm, template: PromptTemplate, *, in_words: bool, thinking_tokens: int) -> None:
        self.llm = llm
        self.template = template
        self.in_words = in_words
        self.is_mute = False
        self.thinking_tokens = thinking_tokens

    def limit(self, answer: str) -> int:
        """How many tokens an answer like this may have, with some room for words around it."""
        return self.llm.count_tokens(answer) + 12 + self.thinking_tokens


class Asking:
    """What one request asks about `texts`, its passages as they are shown; at most `limit` questions, `at_once` at a
    time. A question that is asked again in words, because log-probabilities were of no use, counts once."""

    def __init__(self, voice: Voice, query: str, texts: Sequence[str], call: Call, *, limit: int, at_once: int) -> None:
        self._voice = voice
        self._query = query
        self._texts = texts
        self._call = call
        self._gate = asyncio.Semaphore(at_once)
        self.left = limit

    async def likelihoods(self, members: Sequence[int]) -> list[float] | None:
        """How likely each of these passages is to be preferred, adding up to 1; None where the answer says nothing.

        Equal texts are not asked about. Raises `CallsSpent` and what the model raises.
        """
        if self._is_one_text(members):
            return [1 / len(members)] * len(members)
        async with self._question(members):
            told = await self._told(members)
            if told is None:
                picked = await self._picked(members)
                told = None if picked is None else [float(place == picked) for place in range(len(members))]
            return told

    async def ordered(self, members: Sequence[int], *, by_first_token: bool) -> list[int] | None:
        """These passages in the model's order, all of them, what it left out at the end; None where it ranks none.

        `by_first_token` reads the order off the probabilities of the labels as the answer's first token: Reddy et al.,
        "FIRST: Faster Improved Listwise Reranking with Single Token Decoding", 2024. Equal texts are not asked about.
        Raises as `likelihoods`.
        """
        if self._is_one_text(members):
            return list(members)
        async with self._question(members):
            told = await self._told(members) if by_first_token else None
            if told is not None:
                return sorted(members, key=dict(zip(members, (-each for each in told), strict=True)).__getitem__)
            return await self._said_order(members)

    @asynccontextmanager
    async def _question(self, members: Sequence[int]) -> AsyncGenerator[None, None]:
        self._call.check()
        if self.left <= 0:
            raise CallsSpent
        self.left -= 1
        async with self._gate:
            self._call.check()
            self._call.usage.pair_count += len(members)
            yield

    def _is_one_text(self, members: Sequence[int]) -> bool:
        is_one = len({self._texts[each] for each in members}) == 1
        self._call.usage.cache_hit_count += is_one
        return is_one

    async def _told(self, members: Sequence[int]) -> list[float] | None:
        """By log-probabilities; None where there are none, or none of any label."""
        voice = self._voice
        if voice.in_words:
            return None
        if not voice.is_mute:
            try:
                return await self._softmax(members)
            except NotImplementedError:
                voice.is_mute = True
        self._call.note(notes.IN_WORDS)
        return None

    async def _softmax(self, members: Sequence[int]) -> list[float] | None:
        self._call.check()
        template = self._voice.template
        prompt = template.prompt(self._query, [self._texts[each] for each in members])
        choices = template.choices(len(members))
        told = await self._voice.llm.log_probabilities(prompt, choices, call=self._call)
        values = np.where(np.isnan(told), -math.inf, np.asarray(told, dtype=np.float64))
        highest = float(values.max())
        if not math.isfinite(highest):
            self._call.note(notes.IN_WORDS)
            return None
        if not np.isfinite(values).all():
            self._call.note(notes.NO_LABEL)
        odds = np.exp(values - highest)
        return [float(each) for each in odds / odds.sum()]

    async def _picked(self, members: Sequence[int]) -> int | None:
        names = self._voice.template.answers(len(members))
        said = await self._said(members, max(names, key=len))
        reading = answers.pick(said, self._voice.template.labels(len(members)))
        self._note(reading)
        return reading.order[0] if reading.order else None

    async def _said_order(self, members: Sequence[int]) -> list[int] | None:
        template = self._voice.template
        said = await self._said(members, " > ".join(template.answers(len(members))))
        reading = answers.permutation(said, template.labels(len(members)))
        self._note(reading)
        if not reading.order:
            return None
        first = [members[place] for place in reading.order]
        return [*first, *(each for each in members if each not in first)]

    async def _said(self, members: Sequence[int], like: str) -> str:
        """The answer, up to a stop string or the length of one that is `like` what was asked for."""
        self._call.check()
        voice, text = self._voice, ""
        prompt = voice.template.prompt(self._query, [self._texts[each] for each in members])
        limit = voice.limit(like)
        pieces = voice.llm.generate(prompt, limit=limit, call=self._call)
        async with aclosing(pieces) as stream:  # type: ignore[type-var]
            async for piece in stream:
                text += piece
                said = answers.without_thoughts(text).lstrip()
                places = [place for stop in voice.template.stops if (place := said.find(stop)) >= 0]
                if said and places:
                    return said[: min(places)]
                if len(text) > limit * _LONGEST_TOKEN:
                    break
        return answers.without_thoughts(text)

    def _note(self, reading: answers.Reading) -> None:
        for note in reading.notes:
            self._call.note(note)
