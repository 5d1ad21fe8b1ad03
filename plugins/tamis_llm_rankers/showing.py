"""Cuts query and passages to what a language model can read of them in one prompt, and never lets them break out."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from tamis.context import Call
from tamis.errors import ConfigurationError
from tamis.model import Passage
from tamis.models import Llm
from tamis_llm_rankers.quoting import cut, one_line
from tamis_llm_rankers.template import PromptTemplate

__all__ = ["Showing"]

_MESSAGE_TOKENS = 8  # what a chat template puts around a turn
_JOINT_TOKENS = 2  # what counting piece by piece may miss
_LEAST_TOKENS = 16  # of a passage; with fewer nothing can be told of it


class Showing:
    """Prompts of one template with up to `width` passages, and room for an answer.

    A passage is cut to `passage_tokens`, or to its equal share where that is less; a query to a quarter of what the
    model reads. Where the prompt does not say the query, it is the answer.
    """

    def __init__(self, llm: Llm, template: PromptTemplate, *, width: int, passage_tokens: int) -> None:
        self._llm = llm
        self._template = template
        self._width = width
        self._passage_tokens = passage_tokens
        marked = template.prompt("\x00", [""] * width)
        self._times = sum(each.text.count("\x00") for each in marked.messages)  # that the query stands in a prompt
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="tamis-llm-rankers")

    def check(self, answer_tokens: int) -> None:
        """Raises `ConfigurationError` for a model that reads too little. Call it once the model is open."""
        if self._share("", answer_tokens) < _LEAST_TOKENS:
            read = self._llm.context_token_count
            message = f"the model reads {read} tokens; prompt and answer leave no room for {self._width} passages"
            raise ConfigurationError(message)

    def close(self) -> None:
        """Gives up what is being counted."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    async def shown(
        self, query: str, passages: Sequence[Passage], answer_tokens: int, call: Call
    ) -> tuple[str, list[str]]:
        """The query and each passage as they may stand in a prompt. Raises `CallEnded` while it counts."""
        loop = asyncio.get_running_loop()
        asked = await call.wait(loop.run_in_executor(self._executor, self._query, query, answer_tokens))
        if not self._times:
            answer_tokens += await self.token_count(asked, call)
        share = await call.wait(loop.run_in_executor(self._executor, self._share, asked, answer_tokens))
        texts: list[str] = []
        for each in passages:
            texts.append(await call.wait(loop.run_in_executor(self._executor, self._text, each, share)))
        return asked, texts

    async def token_count(self, text: str, call: Call) -> int:
        """How many tokens a text costs, counted beside the event loop. Raises `CallEnded` while it counts."""
        loop = asyncio.get_running_loop()
        return await call.wait(loop.run_in_executor(self._executor, self._llm.count_tokens, text))

    def _query(self, query: str, answer_tokens: int) -> str:
        spare = self._room("", answer_tokens) - self._width * (_LEAST_TOKENS + _JOINT_TOKENS)
        limit = max(1, min(self._llm.context_token_count // 4, spare // max(1, self._times)))
        return cut(one_line(query, limit), limit, self._llm.count_tokens)

    def _text(self, passage: Passage, share: int) -> str:
        return cut(one_line(passage.full_text, share), share, self._llm.count_tokens)

    def _share(self, query: str, answer_tokens: int) -> int:
        """How many tokens of each passage can be shown."""
        return min(self._passage_tokens, self._room(query, answer_tokens) // self._width - _JOINT_TOKENS)

    def _room(self, query: str, answer_tokens: int) -> int:
        """How many tokens are left for passages."""
        prompt = self._template.prompt(query, [""] * self._width)
        fixed = sum(_MESSAGE_TOKENS + self._llm.count_tokens(each.text) for each in prompt.messages)
        return self._llm.context_token_count - answer_tokens - fixed
