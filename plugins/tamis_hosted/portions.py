"""Divides texts among requests, so that none is larger than an endpoint takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated

from pydantic import Field

from tamis.component import Settings

__all__ = ["PortionSettings", "portions"]

_LONGEST_TOKEN = 8  # characters; no text is so wordy that its tokens are longer on average


class PortionSettings(Settings):
    """`passages_per_request` and `tokens_per_request` bound one request, `tokens_per_passage` what is sent of one
    passage and of the query. Tokens are estimated, with care, at three bytes each."""

    passages_per_request: Annotated[int, Field(ge=1, le=1_000)] = 100
    tokens_per_passage: Annotated[int, Field(ge=16)] = 4_096
    tokens_per_request: Annotated[int, Field(ge=1_024)] = 300_000

    @property
    def most_characters(self) -> int:
        """How many characters of a text are sent at most."""
        return self.tokens_per_passage * _LONGEST_TOKEN

    def cut(self, text: str) -> str:
        """The beginning of `text`, never less than what `tokens_per_passage` allow: the endpoint cuts exactly."""
        return text[: self.most_characters]

    def token_count(self, text: str) -> int:
        """How many tokens of `text` the endpoint reads, at most."""
        return min(-(-len(text.encode()) // 3), self.tokens_per_passage)


def portions(query: str, texts: Sequence[str], settings: PortionSettings) -> Iterator[Sequence[str]]:
    """`texts` in runs, in order, each as long as one request may be; a run is never empty.

    The query counts with each of its texts, as providers count it.
    """
    start = tokens = 0
    asked = settings.token_count(query)
    for end, text in enumerate(texts):
        cost = asked + settings.token_count(text)
        is_full = end - start == settings.passages_per_request or tokens + cost > settings.tokens_per_request
        if is_full and end > start:
            yield texts[start:end]
            start, tokens = end, 0
        tokens += cost
    if texts:
        yield texts[start:]
