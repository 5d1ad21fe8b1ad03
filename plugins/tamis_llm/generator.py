"""The generator."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from pathlib import Path
from typing import Annotated, Any

import structlog
from pydantic import Field

from tamis.component import Capabilities, Ref, Settings, overridable
from tamis.context import Call, CallEnded
from tamis.errors import ConfigurationError, TamisError
from tamis.generator import AnswerDelta, Generator
from tamis.model import FinishReason, Hit, Passage, Query
from tamis.models import Llm, Prompt
from tamis_llm.fitting import count_prompt, fitting
from tamis_llm.prompt import BuiltIn, PromptTemplate
from tamis_llm.writing import Writing

__all__ = ["LlmGenerator", "LlmGeneratorSettings"]

_LOG = structlog.get_logger(__name__)
_LEAST_FOR_PASSAGES = 64


class LlmGeneratorSettings(Settings):
    """`max_tokens` bounds the answer. `prompt` is a built-in one, for models that follow instructions or that only
    continue texts; `prompt_file` replaces it. `datamark` marks every word of the passages as quoted.

    `fallback` answers, from the same passages, when the model fails before its first word or has not begun
    `fallback_seconds` before the deadline."""

    llm: Ref[Llm]
    max_tokens: Annotated[int, Field(ge=16, le=32_768, json_schema_extra=overridable())] = 512
    prompt: BuiltIn = "instruct"
    prompt_file: Path | None = None
    datamark: bool = False
    fallback: Ref[Generator] | None = None
    fallback_seconds: Annotated[float, Field(ge=0, le=60)] = 0.25


class _Silent(Exception):
    """The model has not written a word; `note` says why, for the caller."""

    def __init__(self, note: str) -> None:
        super().__init__(note)
        self.note = note


class LlmGenerator(Generator):
    """Has a language model answer from numbered passages, and turns the numbers it cites into citations."""

    Settings = LlmGeneratorSettings
    capabilities = Capabilities()

    def __init__(self, settings: LlmGeneratorSettings) -> None:
        super().__init__(settings)
        self._settings = settings
        self._llm: Any = settings.llm
        self._fallback: Any = settings.fallback
        self._template = PromptTemplate(settings.prompt, settings.prompt_file, is_marked=settings.datamark)
        self._counting = ThreadPoolExecutor(1, thread_name_prefix="tamis-llm")

    async def open(self) -> None:
        prompt = count_prompt(self._template.prompt("", ()), self._llm.count_tokens)
        if self._budget(self._settings.max_tokens) - prompt < _LEAST_FOR_PASSAGES:
            read = self._llm.context_token_count
            message = f"the model reads {read} tokens; prompt ({prompt}) and max_tokens leave no room for passages"
            raise ConfigurationError(message)

    async def close(self) -> None:
        self._counting.shutdown(wait=False, cancel_futures=True)

    async def answer(self, query: Query, context: Sequence[Hit], *, call: Call) -> AsyncIterator[AnswerDelta]:
        try:
            async with aclosing(self._written(query.text, [hit.passage for hit in context], call)) as deltas:
                async for delta in deltas:
                    yield delta
            return
        except _Silent as silent:
            call.note(silent.note)
        async with aclosing(self._fallback.answer(query, context, call=call)) as deltas:
            async for delta in deltas:
                yield delta

    async def _written(
        self, question: str, passages: Sequence[Passage], call: Call
    ) -> AsyncGenerator[AnswerDelta, None]:
        """The model's answer. Raises `_Silent` when there is none and the fallback can give one."""
        call.check()
        limit = self._limit(call)
        shown = await self._in_thread(self._shown, question, passages, limit, call)
        if not shown:
            yield AnswerDelta(finish_reason=FinishReason.INSUFFICIENT_EVIDENCE)
            return
        writing = Writing(shown, question, self._template.stops, limit)
        prompt = self._template.prompt(question, shown)
        before = call.usage.output_token_count
        try:
            async with aclosing(self._pieces(prompt, limit, writing, call)) as pieces:
                async for piece in pieces:
                    for delta in writing.feed(piece):
                        yield delta
        except CallEnded:
            raise
        except Exception as error:
            self._give_up(error, writing, call)
            for delta in writing.end():
                yield delta
            raise
        finally:
            self._estimate_usage(prompt, writing, before, call)
        if writing.is_empty and self._fallback is not None:
            raise _Silent("the model wrote nothing, the fallback answered")
        for delta in writing.end():
            yield delta
        yield AnswerDelta(finish_reason=writing.finish(call))

    async def _pieces(self, prompt: Prompt, limit: int, writing: Writing, call: Call) -> AsyncGenerator[str, None]:
        """What the model writes, as long as it belongs to the answer."""
        async with aclosing(self._llm.generate(prompt, limit=limit, call=call)) as pieces:
            while not writing.is_over:
                call.check()
                try:
                    async with asyncio.timeout(self._patience(writing, call)) as waiting:
                        piece = await anext(pieces, None)
                except TimeoutError:
                    if not waiting.expired():
                        raise
                    raise _Silent("the model was too slow, the fallback answered") from None
                if piece is None:
                    return
                yield piece

    def _patience(self, writing: Writing, call: Call) -> float | None:
        """How many seconds to wait for more: for the first word no longer than the fallback can still answer after."""
        if self._fallback is None or writing.has_begun or math.isinf(call.deadline.at):
            return None
        return max(0.0, call.deadline.remaining - self._settings.fallback_seconds)

    def _give_up(self, error: Exception, writing: Writing, call: Call) -> None:
        """Hands over to the fallback, if there is one and nothing has been sent."""
        if isinstance(error, _Silent):
            raise error
        reason = error.reason if isinstance(error, TamisError) else type(error).__name__
        _LOG.warning("language model failed", reason=reason, request_id=call.request_id, fallback=bool(self._fallback))
        if self._fallback is not None and not writing.has_begun:
            raise _Silent("the model failed, the fallback answered") from error

    def _shown(self, question: str, passages: Sequence[Passage], limit: int, call: Call) -> list[Passage]:
        """The passages that can be cited and that the model can read beside the prompt and the answer."""
        with_text = [each for each in passages if each.text.strip()]
        shown = fitting(with_text, question, self._template, self._llm.count_tokens, self._budget(limit))
        if len(shown) < len(with_text):
            call.note("passages left out: more than the model can read")
        elif shown != with_text:
            call.note("passage cut: longer than the model can read")
        return shown

    def _limit(self, call: Call) -> int:
        """How long the answer may be; as a request wishes, up to half of what the model reads."""
        configured = self._settings.max_tokens
        wished: Any = call.options.get("max_tokens", configured)
        return min(int(wished), max(configured, int(self._llm.context_token_count) // 2))

    def _budget(self, limit: int) -> int:
        return int(self._llm.context_token_count) - limit

    def _estimate_usage(self, prompt: Prompt, writing: Writing, before: int, call: Call) -> None:
        """A model that was stopped, or that counts nothing, has used something all the same."""
        if writing.raw and call.usage.output_token_count == before:
            call.usage.input_token_count += count_prompt(prompt, self._llm.count_tokens)
            call.usage.output_token_count += self._llm.count_tokens("".join(writing.raw))
            call.note("token counts are estimates")

    async def _in_thread(self, work: Any, *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._counting, work, *arguments)
