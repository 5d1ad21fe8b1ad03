"""The query-likelihood reranker: a passage is as good as a language model predicts the query from it."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from tamis.component import Capabilities, Ref
from tamis.context import Call
from tamis.model import Passage, Query, ScoreKind
from tamis.models import Llm
from tamis.scores import CachedScoresSettings
from tamis.stage import PointwiseReranker
from tamis_llm_rankers import notes
from tamis_llm_rankers.parallel import as_they_come
from tamis_llm_rankers.showing import Showing
from tamis_llm_rankers.template import PromptTable, PromptTemplate

__all__ = ["QueryLikelihoodReranker", "QueryLikelihoodSettings"]


class QueryLikelihoodSettings(CachedScoresSettings):
    """`prompt` is `upr`, for models that follow instructions, `plain`, for those that only continue texts, or a table;
    `prompt_file`, a TOML file, replaces it. `per_token` divides by the query's tokens, so that scores of different
    queries are alike. `concurrency` passages are asked about at a time. `cached_scores` are kept for
    `cached_score_seconds`: nobody tells when the model behind an endpoint changes."""

    llm: Ref[Llm]
    prompt: Literal["upr", "plain"] | PromptTable = "upr"
    prompt_file: Path | None = None
    per_token: bool = True
    passage_tokens: Annotated[int, Field(ge=16)] = 400
    max_candidates: Annotated[int, Field(ge=1, le=10_000)] = 200
    concurrency: Annotated[int, Field(ge=1, le=64)] = 4
    cached_score_seconds: Annotated[float, Field(gt=0)] = 3_600.0


class QueryLikelihoodReranker(PointwiseReranker):
    """Sachan et al., "Improving Passage Retrieval with Zero-Shot Question Generation", 2022 (UPR). Scores are
    log-probabilities in natural units, at most 0."""

    Settings = QueryLikelihoodSettings
    capabilities = Capabilities(score_kind=ScoreKind.LOG_PROBABILITY)

    def __init__(self, settings: QueryLikelihoodSettings) -> None:
        super().__init__(settings)
        self.capabilities = replace(type(self).capabilities, max_candidates=settings.max_candidates)
        self._settings = settings
        self._llm: Any = settings.llm
        self._template = PromptTemplate("query-likelihood", settings.prompt, settings.prompt_file)
        self._showing = Showing(self._llm, self._template, width=1, passage_tokens=settings.passage_tokens)
        self._is_mute = False

    async def open(self) -> None:
        self._showing.check(0)

    async def close(self) -> None:
        self._showing.close()

    async def score(self, query: Query, passages: Sequence[Passage], *, call: Call) -> AsyncIterator[tuple[int, float]]:
        """Yields nothing, with a note, where the model gives no log-probability of a whole query: it is then
        asked about a few passages only."""
        call.check()
        if not passages:
            return
        head = passages[: self._settings.max_candidates]
        if len(head) < len(passages):
            call.note(notes.TOO_MANY)
        asked, texts = await self._showing.shown(query.text, head, 0, call)
        if not asked:
            for index in range(len(texts)):
                yield index, 0.0
            return
        if self._is_mute:
            call.note(notes.INEXACT)
            return
        parts = max(1, await self._showing.token_count(asked, call)) if self._settings.per_token else 1
        known = unknown = 0
        works = [partial(self._one, asked, index, text, call) for index, text in enumerate(texts)]
        try:
            async with aclosing(as_they_come(works, self._settings.concurrency)) as told:
                async for index, likelihood in told:
                    if math.isfinite(likelihood):
                        known += 1
                        yield index, likelihood / parts
                        continue
                    call.note(notes.INEXACT)
                    unknown += 1
                    if not known and unknown >= self._settings.concurrency:
                        return
        except NotImplementedError:
            self._is_mute = True
            call.note(notes.INEXACT)

    async def _one(self, asked: str, index: int, text: str, call: Call) -> tuple[int, float]:
        call.check()
        found = await self._llm.log_probabilities(self._template.prompt("", [text]), [asked], call=call)
        call.usage.pair_count += 1
        return index, float(found[0])
