"""The listwise reranker: a language model sorts a window of passages, which slides from the back to the front."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Sequence
from typing import Annotated, Literal

from pydantic import Field, model_validator

from tamis.context import Call
from tamis.errors import ConfigurationError
from tamis.stage import Order
from tamis_llm_rankers.asking import Asking
from tamis_llm_rankers.ranker import AskingReranker, AskingSettings
from tamis_llm_rankers.template import PromptTable

__all__ = ["ListwiseLlmReranker", "ListwiseLlmSettings", "pass_count", "windows"]

BuiltIn = Literal["instruct", "few-shot", "rank-gpt", "rank-zephyr", "rank-vicuna", "first", "letter"]


class ListwiseLlmSettings(AskingSettings):
    """`window` passages are sorted at a time; the window moves by `stride`, in at most `passes` passes. `method` is
    `permutation`, the model writes the order, or `first`, it is read off the probabilities of its first token, which
    needs a prompt with letters. `prompt` is a built-in one or a table, without one `instruct` or, for `first`,
    `letter`."""

    prompt: BuiltIn | PromptTable | None = None
    method: Literal["permutation", "first"] = "permutation"
    window: Annotated[int, Field(ge=2, le=100)] = 20
    stride: Annotated[int, Field(ge=1, le=99)] = 10
    passes: Annotated[int, Field(ge=1, le=20)] = 1

    @model_validator(mode="after")
    def _overlaps(self) -> ListwiseLlmSettings:
        if self.stride >= self.window:
            raise ValueError("stride is less than window: what one window found must stand in the next")
        return self


class ListwiseLlmReranker(AskingReranker):
    """Sun et al., "Is ChatGPT Good at Search?", 2023 (RankGPT); Pradeep et al., "RankVicuna" and "RankZephyr", 2023.

    A pass brings the best `window - stride` to the front, so there are no more passes than `top_n` needs, and none
    after one that changed nothing.
    """

    Settings = ListwiseLlmSettings
    role = "listwise"

    def __init__(self, settings: ListwiseLlmSettings) -> None:
        self._by_first_token = settings.method == "first"
        super().__init__(
            settings,
            settings.prompt or ("letter" if self._by_first_token else "instruct"),
            width=settings.window,
            answer_count=settings.window,
            in_words=not self._by_first_token,
        )
        self._settings = settings
        if len(self._template.labels(settings.window)) < settings.window:
            raise ConfigurationError(f"the prompt has fewer labels than a window of {settings.window} passages needs")
        if self._by_first_token and self._template.table.labels == "numbers":
            raise ConfigurationError("method = 'first' needs a prompt whose labels are letters: 'first' or 'letter'")
        if not self._by_first_token and settings.prompt == "letter":
            raise ConfigurationError("the prompt 'letter' asks for one label and not for an order: method = 'first'")

    async def orders(self, asking: Asking, texts: Sequence[str], top: int, call: Call) -> AsyncGenerator[Order, None]:
        settings, order = self._settings, list(range(len(texts)))
        ranked: frozenset[int] = frozenset()
        known: dict[tuple[int, ...], list[int] | None] = {}
        for _ in range(min(settings.passes, pass_count(len(order), top, settings.window, settings.stride))):
            before = tuple(order)
            for start, end in windows(len(order), settings.window, settings.stride):
                members = tuple(order[start:end])
                if members in known:
                    call.usage.cache_hit_count += 1
                else:
                    known[members] = await asking.ordered(members, by_first_token=self._by_first_token)
                found = known[members]
                if found is not None:
                    order[start:end] = found
                    ranked |= frozenset(members)
                    yield Order(tuple(order), ranked)
            if tuple(order) == before:
                return


def windows(count: int, window: int, stride: int) -> Iterator[tuple[int, int]]:
    """The half-open ranges that one pass sorts, from the back; the last begins at 0.

    One where `count` is at most `window`, else `1 + ceil((count - window) / stride)`.
    """
    end = count
    while True:
        start = max(0, end - window)
        yield start, end
        if start == 0:
            return
        end = max(end - stride, min(window, count))


def pass_count(count: int, top: int, window: int, stride: int) -> int:
    """How many passes put the best `top` of `count` in front, when every window is sorted rightly."""
    return 1 if count <= window else -(-min(top, count) // (window - stride))
