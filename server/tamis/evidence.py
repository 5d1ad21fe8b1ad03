"""Resolves what a generator cites to passages that the caller has seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tamis.locators import located
from tamis.model import Citation, Hit, Passage, Span

__all__ = ["Evidence"]


class Evidence:
    """What a generator reads (`context`), and the hits it was chosen and merged from (`seen`)."""

    def __init__(self, context: Sequence[Hit], seen: Sequence[Hit]) -> None:
        given = {hit.passage.id: hit.passage for hit in seen}
        self._read = {hit.passage.id: hit.passage for hit in context}
        self._parts = {
            id: [each] if given.get(id) == each else [part for part in given.values() if _is_part(part, each)]
            for id, each in self._read.items()
        }

    def resolved(self, citation: Citation, length: int) -> Sequence[Citation]:
        """The citation, if it points into the first `length` bytes of the answer and into a passage of the context.

        One into a merged passage becomes one into the part that has all of its span, or one into each of the fewest
        parts that have it together. Each says on which pages and lines it stands. None when it does not resolve.
        """
        passage = self._read.get(citation.passage_id)
        if passage is None or citation.answer_span.end > length or not _is_within(citation, passage):
            return ()
        rest, found = citation.document_span, list[Citation]()
        while not found or rest.start < rest.end:
            holding = [each for each in self._parts[passage.id] if _begins_in(rest, each)]
            if not holding:
                return ()
            best = max(holding, key=lambda each: (min(each.span.end, rest.end), each.id == passage.id))
            end = min(best.span.end, rest.end)
            cited = Span(rest.start, end)
            place = located(best, cited)
            found.append(replace(citation, passage_id=best.id, document_span=cited, locator=place))
            rest = Span(end, rest.end)
        return found


def _is_within(citation: Citation, passage: Passage) -> bool:
    return (
        citation.document_id == passage.document_id
        and citation.document_version == passage.document_version
        and passage.span.start <= citation.document_span.start
        and citation.document_span.end <= passage.span.end
    )


def _is_part(part: Passage, whole: Passage) -> bool:
    return (
        (part.document_id, part.document_version) == (whole.document_id, whole.document_version)
        and whole.span.start <= part.span.start
        and part.span.end <= whole.span.end
    )


def _begins_in(span: Span, passage: Passage) -> bool:
    """Whether the passage has the span's first byte; of an empty span, its place."""
    return passage.span.start <= span.start and span.start + (span.start < span.end) <= passage.span.end
