"""The context builder."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any, Literal

from pydantic import Field

from tamis.component import Capabilities, Ref, Settings, overridable
from tamis.context import Call
from tamis.errors import ConfigurationError
from tamis.generator import ContextBuilder
from tamis.model import Hit, Passage, Query, ScoreKind
from tamis.models import Llm
from tamis_context.choice import Choice, Limits
from tamis_context.questions import is_research

__all__ = ["PassagesContextBuilder", "PassagesSettings"]

_ELEMENT_TOKENS = 32  # what stands around a passage in a prompt: its number, the names of its attributes
_Count = Annotated[int, Field(ge=1, le=100, json_schema_extra=overridable())]


class PassagesSettings(Settings):
    """`max_tokens` are for all passages together, by the tokenizer of `llm`, or by a careful estimate without one;
    `reserved_tokens` of what `llm` reads are left for the prompt and the answer. `same` is the share of runs of five
    words from which two passages are taken for one. `min_scores` leaves out hits below a score of a kind."""

    kind: Annotated[Literal["auto", "factual", "research"], Field(json_schema_extra=overridable())] = "auto"
    passages_factual: _Count = 5
    passages_research: _Count = 10
    max_tokens: Annotated[int, Field(ge=64, le=1_000_000, json_schema_extra=overridable())] = 4_096
    llm: Ref[Llm] | None = None
    reserved_tokens: Annotated[int, Field(ge=0, le=1_000_000)] = 1_024
    same: Annotated[float, Field(gt=0, le=1, json_schema_extra=overridable())] = 0.5
    min_scores: Mapping[ScoreKind, float] = {}
    order: Annotated[Literal["ends", "rank"], Field(json_schema_extra=overridable())] = "ends"


class PassagesContextBuilder(ContextBuilder):
    """Takes the best hits that are new and fit, merges neighbours, and puts the best ones first and last.

    Models use best what stands at the ends of what they read: Liu et al., "Lost in the Middle", 2023.
    """

    Settings = PassagesSettings
    capabilities = Capabilities()

    def __init__(self, settings: PassagesSettings) -> None:
        super().__init__(settings)
        self._settings = settings
        self._llm: Any = settings.llm
        self._choosing = ThreadPoolExecutor(1, thread_name_prefix="tamis-context")

    async def open(self) -> None:
        if self._llm is not None and self._llm.context_token_count <= self._settings.reserved_tokens:
            message = (
                f"reserved_tokens leaves nothing of the {self._llm.context_token_count} tokens that the model reads"
            )
            raise ConfigurationError(message)

    async def close(self) -> None:
        self._choosing.shutdown(wait=False, cancel_futures=True)

    async def build(self, query: Query, hits: Sequence[Hit], *, call: Call) -> Sequence[Hit]:
        call.check()
        return await asyncio.get_running_loop().run_in_executor(self._choosing, self._build, query.text, hits, call)

    def _build(self, question: str, hits: Sequence[Hit], call: Call) -> Sequence[Hit]:
        choice = Choice(self._limits(question, call), self._count)
        above = [each for each in hits if self._is_good(each)]
        for hit in above:
            call.check()
            if choice.is_full:
                break
            choice.offer(hit)
        for count, note in (
            (len(hits) - len(above), "passages left out: score too low"),
            (choice.duplicate_count, "passages left out: near-duplicates"),
            (choice.oversize_count, "passages left out: over the token budget"),
        ):
            if count:
                call.note(note)
        in_order = call.options.get("order", self._settings.order) == "rank"
        return choice.hits if in_order else _best_at_the_ends(choice.hits)

    def _limits(self, question: str, call: Call) -> Limits:
        option, settings = call.options.get, self._settings
        kind = option("kind", settings.kind)
        is_much = kind == "research" or (kind == "auto" and is_research(question))
        name = "passages_research" if is_much else "passages_factual"
        tokens: Any = option("max_tokens", settings.max_tokens)
        if self._llm is not None:
            tokens = min(tokens, self._llm.context_token_count - settings.reserved_tokens)
        count: Any = option(name, getattr(settings, name))
        same: Any = option("same", settings.same)
        return Limits(count, tokens, same)

    def _count(self, passage: Passage) -> int:
        read = "\n".join((*passage.heading_path, passage.full_text))
        return _ELEMENT_TOKENS + (_estimate(read) if self._llm is None else self._llm.count_tokens(read))

    def _is_good(self, hit: Hit) -> bool:
        """Of a kind that several stages gave a score of, the last one's counts; a hit without one stays."""
        scores = {each.kind: each.score for each in hit.stage_scores if each.score is not None}
        if hit.score is not None:
            scores[hit.kind] = hit.score
        return all(scores.get(kind, least) >= least for kind, least in self._settings.min_scores.items())


def _best_at_the_ends(hits: Sequence[Hit]) -> Sequence[Hit]:
    """The first, third, … and then back: the second is last, the least ones stand in the middle."""
    return [*hits[::2], *reversed(hits[1::2])]


def _estimate(text: str) -> int:
    """As `Llm.count_tokens` without a tokenizer."""
    return -(-len(text.encode()) // 3)
