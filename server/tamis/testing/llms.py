"""Language models for tests: they say what they are told to say."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator

from tamis.component import Settings
from tamis.context import Call
from tamis.models import CUT_AT_LIMIT, Llm, Prompt
from tamis.testing.plugins import SECRET, trace

__all__ = ["ScriptedLlm", "ScriptedLlmSettings"]


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
