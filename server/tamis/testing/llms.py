"""Language models for tests: they say what they are told to say."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from tamis.component import Settings
from tamis.context import Call
from tamis.models import CUT_AT_LIMIT, Llm, Prompt

__all__ = ["ScriptedLlm", "ScriptedLlmSettings"]


class ScriptedLlmSettings(Settings):
    """`reply` comes in pieces of `piece_length` characters; the model fails after `fails_after` of them, where that is
    set. Every piece counts as one token."""

    reply: str = ""
    piece_length: int = 3
    fails_after: int | None = None
    context_size: int = 4_096


class ScriptedLlm(Llm):
    """Remembers the prompts it was given, in `prompts`."""

    Settings = ScriptedLlmSettings

    def __init__(self, settings: ScriptedLlmSettings) -> None:
        super().__init__(settings)
        self.prompts: list[Prompt] = []

    @property
    def context_token_count(self) -> int:
        return int(self.settings.context_size)

    async def generate(self, prompt: Prompt, *, limit: int, call: Call) -> AsyncIterator[str]:
        self.prompts.append(prompt)
        settings = self.settings
        pieces = [
            settings.reply[start : start + settings.piece_length]
            for start in range(0, len(settings.reply), settings.piece_length)
        ]
        call.check()
        call.usage.model_call_count += 1
        for place, piece in enumerate(pieces[:limit]):
            await asyncio.sleep(0)
            call.check()
            if place == settings.fails_after:
                raise RuntimeError("the model went away")
            call.usage.output_token_count += 1
            yield piece
        if len(pieces) > limit:
            call.note(CUT_AT_LIMIT)
        if settings.fails_after is not None and settings.fails_after >= len(pieces):
            raise RuntimeError("the model went away")
