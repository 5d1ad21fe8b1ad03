"""What the listwise, pairwise and setwise rerankers share: settings, opening, and how a request begins."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import Field

from tamis.component import Capabilities, Ref, Settings
from tamis.context import Call
from tamis.model import Passage, Query
from tamis.models import Llm
from tamis.stage import ListwiseReranker, Order
from tamis_llm_rankers import notes
from tamis_llm_rankers.asking import Asking, CallsSpent, Voice
from tamis_llm_rankers.showing import Showing
from tamis_llm_rankers.template import PromptTable, PromptTemplate, Role

__all__ = ["AskingReranker", "AskingSettings"]


class AskingSettings(Settings):
    """`prompt_file`, a TOML file, replaces the prompt. `passage_tokens` is how much of a passage is shown at most, and
    `max_candidates` how many are ranked. `call_limit` bounds a request's questions, of which `concurrency` are asked at
    a time. `thinking_tokens` is how much a model may think aloud before it answers."""

    llm: Ref[Llm]
    prompt_file: Path | None = None
    passage_tokens: Annotated[int, Field(ge=16)] = 400
    max_candidates: Annotated[int, Field(ge=2, le=1_000)] = 100
    call_limit: Annotated[int, Field(ge=1)] = 1_000
    concurrency: Annotated[int, Field(ge=1, le=64)] = 4
    thinking_tokens: Annotated[int, Field(ge=0, le=65_536)] = 0


class AskingReranker(ListwiseReranker):
    """Ranks by questions about a few passages at a time. Gives an order and no scores."""

    capabilities = Capabilities(cross_document=True)
    role: ClassVar[Role]

    def __init__(
        self, settings: Any, prompt: str | PromptTable, *, width: int, answer_count: int, in_words: bool
    ) -> None:
        """`width` passages stand in a prompt at most, of which an answer names `answer_count`."""
        super().__init__(settings)
        self.capabilities = replace(type(self).capabilities, max_candidates=settings.max_candidates)
        self._common: AskingSettings = settings
        self._template = PromptTemplate(self.role, prompt, settings.prompt_file)
        llm: Any = settings.llm
        self._voice = Voice(llm, self._template, in_words=in_words, thinking_tokens=settings.thinking_tokens)
        self._showing = Showing(llm, self._template, width=width, passage_tokens=settings.passage_tokens)
        self._answer = " > ".join(self._template.answers(width)[:answer_count])

    async def open(self) -> None:
        self._showing.check(self._voice.limit(self._answer))

    async def close(self) -> None:
        self._showing.close()

    async def order(
        self, query: Query, passages: Sequence[Passage], *, top_n: int, call: Call
    ) -> AsyncIterator[Sequence[int] | Order]:
        call.check()
        head = passages[: self._common.max_candidates]
        if len(head) < len(passages):
            call.note(notes.TOO_MANY)
        if len(head) < 2:
            yield Order(range(len(head)), frozenset(range(len(head))))
            return
        asked, texts = await self._showing.shown(query.text, head, self._voice.limit(self._answer), call)
        asking = Asking(
            self._voice, asked, texts, call, limit=self._common.call_limit, at_once=self._common.concurrency
        )
        try:
            async with aclosing(self.orders(asking, texts, max(1, top_n), call)) as orders:
                async for each in orders:
                    yield each
        except CallsSpent:
            call.note(notes.CALL_LIMIT)

    @abstractmethod
    def orders(self, asking: Asking, texts: Sequence[str], top: int, call: Call) -> AsyncGenerator[Order, None]:
        """Better and better orders of two texts or more, of which the first `top` matter. May raise `CallsSpent`."""
