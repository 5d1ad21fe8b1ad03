"""The generator."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Annotated, Any

import structlog
from pydantic import Field

from tamis.component import Capabilities, Ref, Settings
from tamis.context import Call, CallEnded
from tamis.errors import TamisError
from tamis.generator import AnswerDelta, Generator
from tamis.model import FinishReason, Hit, Passage, Query
from tamis.models import Llm
from tamis_llm.citing import CitationStream
from tamis_llm.prompt import INSUFFICIENT, PromptTemplate

__all__ = ["LlmGenerator", "LlmGeneratorSettings"]

_LOG = structlog.get_logger(__name__)
_CHARACTERS_PER_TOKEN = 3  # careful for English, where it is about four
_PROMPT_TOKENS = 400
_REPEATED, _REPEATS = 60, 4


class LlmGeneratorSettings(Settings):
    """`max_tokens` bounds the answer. `prompt_file` replaces the built-in prompt. `fallback` answers, from the same
    passages, when the model fails before its first word."""

    llm: Ref[Llm]
    max_tokens: Annotated[int, Field(ge=16, le=32_768)] = 512
    prompt_file: Path | None = None
    fallback: Ref[Generator] | None = None


class LlmGenerator(Generator):
    """Has a language model answer from numbered passages, and turns the numbers it cites into citations."""

    Settings = LlmGeneratorSettings
    capabilities = Capabilities()

    def __init__(self, settings: LlmGeneratorSettings) -> None:
        super().__init__(settings)
        self._settings = settings
        self._llm: Any = settings.llm
        self._fallback: Any = settings.fallback
        self._template = PromptTemplate(settings.prompt_file)

    async def answer(self, query: Query, context: Sequence[Hit], *, call: Call) -> AsyncIterator[AnswerDelta]:
        passages = self._fitting([hit.passage for hit in context], call)
        stream = CitationStream(passages)
        try:
            async for delta in self._deltas(query.text, passages, stream, call):
                yield delta
        except Exception as error:
            if stream.text or self._fallback is None or isinstance(error, CallEnded):
                raise
            reason = error.reason if isinstance(error, TamisError) else type(error).__name__
            _LOG.warning("language model failed; falling back", reason=reason, request_id=call.request_id)
            call.note("the model failed, the fallback answered")
            async for delta in self._fallback.answer(query, context, call=call):
                yield delta

    async def _deltas(
        self, question: str, passages: Sequence[Passage], stream: CitationStream, call: Call
    ) -> AsyncIterator[AnswerDelta]:
        call.check()
        prompt = self._template.prompt(question, passages)
        opening: str | None = ""  # what has come so far, for as long as it may be the word that says there is no answer
        written_before, is_repeating = call.usage.output_token_count, False
        async with aclosing(self._llm.generate(prompt, limit=self._settings.max_tokens, call=call)) as pieces:
            async for piece in pieces:
                call.check()
                if opening is not None:
                    opening += piece
                    if INSUFFICIENT.startswith(opening.strip().rstrip(".")):
                        continue
                    piece, opening = opening.lstrip(), None
                for delta in stream.feed(piece):
                    yield delta
                if is_repeating := _repeats(stream.text):
                    call.note("the model repeated itself and was stopped")
                    break
        if opening is not None and INSUFFICIENT not in opening:
            for delta in stream.feed(opening.strip()):
                yield delta
        for delta in stream.end():
            yield delta
        is_cut = is_repeating or call.usage.output_token_count - written_before >= self._settings.max_tokens
        yield AnswerDelta(finish_reason=self._finish(stream, call, is_cut=is_cut))

    def _finish(self, stream: CitationStream, call: Call, *, is_cut: bool) -> FinishReason:
        if stream.unknown_count:
            call.note("citation of a passage that does not exist dropped")
        if not stream.text:
            return FinishReason.INSUFFICIENT_EVIDENCE
        if not stream.citation_count:
            call.note("the answer cites nothing")
        return FinishReason.TRUNCATED if is_cut else FinishReason.ANSWERED

    def _fitting(self, passages: list[Passage], call: Call) -> list[Passage]:
        """As many passages, best first, as the model can read beside the prompt and the answer."""
        budget = (self._llm.context_token_count - self._settings.max_tokens - _PROMPT_TOKENS) * _CHARACTERS_PER_TOKEN
        kept: list[Passage] = []
        for each in passages:
            budget -= len(each.text) + len(each.title) + 40
            if budget < 0:
                call.note("passages left out: more than the model can read")
                break
            kept.append(each)
        return kept


def _repeats(text: str) -> bool:
    """Whether the end of the text has come several times already."""
    return len(text) > _REPEATED * _REPEATS and text.count(text[-_REPEATED:]) >= _REPEATS
