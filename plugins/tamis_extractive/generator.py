"""The extractive generator."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any

from pydantic import Field

from tamis.component import Capabilities, Settings, overridable
from tamis.context import Call
from tamis.generator import AnswerDelta, Generator
from tamis.languages import STEMMERS, stemmer
from tamis.model import Citation, FinishReason, Hit, Query, Span
from tamis_extractive.selection import Chosen, Selection
from tamis_extractive.words import Words

__all__ = ["ExtractiveGenerator", "ExtractiveSettings"]


class ExtractiveSettings(Settings):
    """`language` is an ISO 639-1 code. `min_coverage` is the share of the question's words, weighted by rarity, that
    the best sentence must have, else the passages do not answer."""

    language: str = "en"
    max_sentences: Annotated[int, Field(ge=1, le=20, json_schema_extra=overridable())] = 3
    min_coverage: Annotated[float, Field(ge=0, le=1, json_schema_extra=overridable())] = 0.5


class ExtractiveGenerator(Generator):
    """Quotes the sentences that share most with the question, each with a citation; their white space is made single
    spaces, nothing else is changed. The classic extract of Luhn, "The Automatic Creation of Literature Abstracts",
    1958, aimed at a question."""

    Settings = ExtractiveSettings
    capabilities = Capabilities(languages=frozenset(STEMMERS))

    def __init__(self, settings: ExtractiveSettings) -> None:
        super().__init__(settings)
        stemmer(settings.language)  # refuses an unknown language at start
        self._settings = settings
        self._reading = ThreadPoolExecutor(1, thread_name_prefix="tamis-extractive")

    async def close(self) -> None:
        self._reading.shutdown(wait=False, cancel_futures=True)

    async def answer(self, query: Query, context: Sequence[Hit], *, call: Call) -> AsyncIterator[AnswerDelta]:
        call.check()
        chosen = await asyncio.get_running_loop().run_in_executor(self._reading, self._choose, query, context, call)
        length = 0
        for each in chosen:
            call.check()
            space = " " if length else ""
            start = length + len(space)
            length = start + len(each.sentence.text.encode())
            yield AnswerDelta(space + each.sentence.text, (_citation(each, Span(start, length)),))
        yield AnswerDelta(finish_reason=FinishReason.ANSWERED if chosen else FinishReason.INSUFFICIENT_EVIDENCE)

    def _choose(self, query: Query, context: Sequence[Hit], call: Call) -> list[Chosen]:
        selection = Selection(Words(self._settings.language), query.text, context, call.check)
        options: Any = call.options
        limit = options.get("max_sentences", self._settings.max_sentences)
        return selection.best(limit, options.get("min_coverage", self._settings.min_coverage))


def _citation(chosen: Chosen, answer_span: Span) -> Citation:
    passage = chosen.passage
    document_span = chosen.sentence.span.shifted(passage.span.start)
    return Citation(answer_span, passage.id, passage.document_id, passage.document_version, document_span)
