"""Takes `[n]` out of a streamed answer and turns it into citations."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tamis.generator import AnswerDelta
from tamis.model import Citation, Passage, Span

__all__ = ["CitationStream"]

_MARKER = re.compile(r"[ \t]*\[\s*(\d{1,4}(?:\s*[,;]\s*\d{1,4})*)\s*\]")
_UNDECIDED = re.compile(r"[ \t]*(?:\[[\d\s,;]{0,40})?\Z")
_SENTENCE_START = re.compile(r"(?<=[.!?。！？])[\"')]*\s+(?=\S)|\n+(?=\S)")


class CitationStream:
    """Fed with pieces of an answer, gives deltas without markers and with citations.

    A marker cites the sentence it stands in or right behind. Text that may still become a marker is held back until
    that is decided. A number that no passage has is dropped; `unknown_count` says how often.
    """

    def __init__(self, passages: Sequence[Passage]) -> None:
        self._passages = passages
        self._held = ""
        self._claim = ""  # what has been sent since the last sentence that was cited
        self._length = 0  # bytes sent
        self.text = ""
        self.unknown_count = 0
        self.citation_count = 0

    def feed(self, piece: str) -> list[AnswerDelta]:
        """What can be sent now."""
        self._held += piece
        deltas = []
        while marker := _MARKER.search(self._held):
            before, numbers = self._held[: marker.start()], marker[1]
            self._held = self._held[marker.end() :]
            deltas += self._sent(before, self._numbers(numbers))
        undecided = _UNDECIDED.search(self._held)
        cut = undecided.start() if undecided else len(self._held)
        ready, self._held = self._held[:cut], self._held[cut:]
        return deltas + self._sent(ready, ())

    def end(self) -> list[AnswerDelta]:
        """What was still held back."""
        rest, self._held = self._held.rstrip(), ""
        return self._sent(rest, ())

    def _sent(self, text: str, numbers: Sequence[int]) -> list[AnswerDelta]:
        self._claim += text
        self._length += len(text.encode())
        self.text += text
        citations = tuple(self._citation(self._passages[number - 1]) for number in numbers)
        self.citation_count += len(citations)
        return [AnswerDelta(text, citations)] if text or citations else []

    def _numbers(self, listed: str) -> list[int]:
        numbers = [int(each) for each in re.findall(r"\d+", listed)]
        known = [each for each in dict.fromkeys(numbers) if 1 <= each <= len(self._passages)]
        self.unknown_count += len(numbers) - len(known)
        return known

    def _citation(self, passage: Passage) -> Citation:
        """Of the last sentence, to the whole passage: a model says which passage it used, not where in it."""
        claim = self._claim.rstrip()
        start = max(
            (match.end() for match in _SENTENCE_START.finditer(claim)), default=len(claim) - len(claim.lstrip())
        )
        end = self._length - len(self._claim.encode()) + len(claim.encode())
        length = len(claim[start:].encode())
        return Citation(
            Span(end - length, end), passage.id, passage.document_id, passage.document_version, passage.span
        )
