"""Context builder and generator: from hits to a streamed answer whose citations resolve."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace

from tamis.component import Component
from tamis.context import Call
from tamis.model import Citation, FinishReason, Hit, Locator, Passage, Query, Span

__all__ = ["AnswerDelta", "ContextBuilder", "Generator", "is_given", "merged"]


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
        """A selection of `hits`, in the order the generator should read them.

        A hit may stand for several whose passages touch or overlap: the best one, with the passage that `merged` makes
        of theirs. Anything else that is changed is put back as it was.
        """


class Generator(Component):
    """Answers a query from hits, and from nothing else."""

    @abstractmethod
    def answer(self, query: Query, context: Sequence[Hit], *, call: Call) -> AsyncIterator[AnswerDelta]:
        """The answer as it is written. Every citation names a passage of `context` and lies inside its span."""


def merged(passages: Sequence[Passage]) -> Passage:
    """The first passage, widened to cover all of them: the same id, the whole span and its text, all pages and lines.

    The others may come in any order. Raises `ValueError` unless all are of one version of one document, leave no gap
    between them, and say the same where they overlap.
    """
    if len(passages) == 1:
        return passages[0]
    best, text = passages[0], bytearray()
    ordered = sorted(passages, key=lambda each: (each.span.start, each.span.end))
    start = end = ordered[0].span.start
    for each in ordered:
        piece, overlap = each.text.encode(), end - each.span.start
        if (each.document_id, each.document_version) != (best.document_id, best.document_version):
            raise ValueError("passages of different documents or versions")
        if overlap < 0 or len(piece) != each.span.end - each.span.start:
            raise ValueError("passages with a gap between them")
        if not bytes(text[len(text) - overlap :]).startswith(piece[:overlap]):
            raise ValueError("passages that differ where they overlap")
        text += piece[overlap:]
        end = max(end, each.span.end)
    locator = _whole([each.locator for each in ordered])
    return replace(best, text=text.decode(), span=Span(start, end), locator=locator)


def is_given(hit: Hit, hits: Sequence[Hit]) -> bool:
    """Whether a hit is one of `hits`, or one of them with what `merged` makes of it and others of them."""
    same = next((each for each in hits if each.passage.id == hit.passage.id), None)
    if same is None or hit == same:
        return same is not None
    passage = hit.passage
    inside = [same.passage, *(each.passage for each in hits if each is not same and _lies_in(each.passage, passage))]
    try:
        return hit == replace(same, passage=merged(inside))
    except ValueError:
        return False


def _lies_in(part: Passage, whole: Passage) -> bool:
    return (
        (part.document_id, part.document_version) == (whole.document_id, whole.document_version)
        and whole.span.start <= part.span.start
        and part.span.end <= whole.span.end
    )


def _whole(locators: Sequence[Locator]) -> Locator:
    return Locator(
        min((each.first_page for each in locators if each.first_page), default=0),
        max(each.last_page for each in locators),
        min((each.first_line for each in locators if each.first_line), default=0),
        max(each.last_line for each in locators),
    )
