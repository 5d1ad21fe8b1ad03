"""Context builder and generator: from hits to a streamed answer whose citations resolve."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from tamis.component import Component
from tamis.context import Call
from tamis.model import Citation, FinishReason, Hit, Query

__all__ = ["AnswerDelta", "ContextBuilder", "Generator"]


@dataclass(frozen=True, slots=True)
class AnswerDelta:
    """A piece of an answer. The texts concatenate to the answer.

    A citation's `answer_span` counts bytes from the start of the whole answer and never reaches beyond what has been
    sent so far. Exactly the last delta carries a finish reason.
    """

    text: str = ""
    citations: tuple[Citation, ...] = ()
    finish_reason: FinishReason | None = None


class ContextBuilder(Component):
    """Chooses which hits a generator gets to see, and in which order."""

    @abstractmethod
    async def build(self, query: Query, hits: Sequence[Hit], *, call: Call) -> Sequence[Hit]:
        """A selection of `hits`, in the order the generator should read them."""


class Generator(Component):
    """Answers a query from hits, and from nothing else."""

    @abstractmethod
    def answer(self, query: Query, context: Sequence[Hit], *, call: Call) -> AsyncIterator[AnswerDelta]:
        """The answer as it is written. Every citation names a passage of `context` and lies inside its span."""
