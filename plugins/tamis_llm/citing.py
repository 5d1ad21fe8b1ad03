"""Takes `[n]` out of a streamed answer and turns it into citations."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tamis.generator import AnswerDelta
from tamis.model import Citation, Passage, Span
from tamis_llm.support import Supports

__all__ = ["CitationStream"]

_NUMBER = r"\d{1,4}(?: ?[-–] ?\d{1,4})?"
_MARKER = re.compile(
    rf"(?P<space>[ \t]*)[\[【] ?(?:[Pp]assages? ?)?(?P<numbers>{_NUMBER}(?: ?[,;] ?{_NUMBER}){{0,19}}) ?[\]】]"
)
_UNDECIDED = re.compile(r"[ \t]*(?:[\[【] ?(?:[Pp][a-z]{0,7} ?)?[\d ,;–-]{0,300})?\Z|(?<!`)`{1,2}\Z")
_CODE = re.compile(r"```|`")
_SENTENCE_START = re.compile(r"(?<=[.!?。！？])[\"')]*\s+(?=\S)|\n+(?=\S)")
_CLAIM_LENGTH = 1_000
_MOST_IN_RANGE = 10


class CitationStream:
    """Fed with pieces of an answer, gives deltas without markers and with citations.

    A marker cites the sentence it stands in or right behind. Text that may still become a marker is held back until
    that is decided. Code between backticks is left alone, and so is what looks like an index into code outside of them:
    `items[0]`, `grid[7]` with three passages. Any other number that no passage has is dropped; `unknown_count` says how
    often.
    """

    def __init__(self, passages: Sequence[Passage]) -> None:
        self._passages, self._supports = passages, Supports(passages)
        self._held = ""
        self._fence = ""  # what ends the code that has begun
        self._claim = ""  # the end of what has been sent
        self._length = 0  # bytes sent
        self.text = ""
        self.unknown_count = 0
        self.citation_count = 0

    def feed(self, piece: str) -> list[AnswerDelta]:
        """What can be sent now."""
        self._held += piece
        undecided = _UNDECIDED.search(self._held)
        cut = undecided.start() if undecided else len(self._held)
        ready, self._held = self._held[:cut], self._held[cut:]
        return self._read(ready)

    def end(self) -> list[AnswerDelta]:
        """What was still held back."""
        rest, self._held = self._held.rstrip(), ""
        return self._read(rest)

    def _read(self, text: str) -> list[AnswerDelta]:
        deltas: list[AnswerDelta] = []
        while text:
            if self._fence:
                code, text = self._code(text)
                deltas += self._sent(code, ())
                continue
            fence, marker = _CODE.search(text), _MARKER.search(text)
            if fence and (marker is None or fence.start() < marker.start()):
                self._fence = fence[0]
                deltas += self._sent(text[: fence.end()], ())
                text = text[fence.end() :]
            elif marker:
                deltas += self._marked(text[: marker.start()], marker)
                text = text[marker.end() :]
            else:
                return deltas + self._sent(text, ())
        return deltas

    def _code(self, text: str) -> tuple[str, str]:
        """Up to the end of the code, and what follows. A single backtick reaches no further than its line."""
        closing = ("`", "\n") if self._fence == "`" else (self._fence,)
        ends = [text.find(each) + len(each) for each in closing if each in text]
        if not ends:
            return text, ""
        self._fence = ""
        return text[: min(ends)], text[min(ends) :]

    def _marked(self, before: str, marker: re.Match[str]) -> list[AnswerDelta]:
        numbers = _numbers(marker["numbers"])
        known = [each for each in numbers if 1 <= each <= len(self._passages)]
        if not known and self._is_index(before, marker, numbers):
            return self._sent(before + marker[0], ())
        self.unknown_count += len(numbers) - len(known)
        return self._sent(before, known)

    def _is_index(self, before: str, marker: re.Match[str], numbers: Sequence[int]) -> bool:
        """Passages are numbered from 1, and a citation of one that does not exist stands apart from the word before."""
        last = (before or self._claim)[-1:]
        return numbers == [0] or (not marker["space"] and bool(re.match(r"[\w)\]]", last)))

    def _sent(self, text: str, numbers: Sequence[int]) -> list[AnswerDelta]:
        self._claim = (self._claim + text)[-2 * _CLAIM_LENGTH :]
        self._length += len(text.encode())
        self.text += text
        citations = tuple(self._citation(number - 1) for number in numbers)
        self.citation_count += len(citations)
        return [AnswerDelta(text, citations)] if text or citations else []

    def _citation(self, place: int) -> Citation:
        """Of the last sentence, to the part of the passage that says the same, or to the whole of it."""
        trimmed = self._claim.rstrip()
        claim = trimmed[-_CLAIM_LENGTH:]
        starts = [match.end() for match in _SENTENCE_START.finditer(claim)]
        claim = claim[starts[-1] :] if starts else claim.lstrip()
        end = self._length - len(self._claim[len(trimmed) :].encode())
        passage, span = self._passages[place], self._supports.span(place, claim)
        answer_span = Span(end - len(claim.encode()), end)
        return Citation(answer_span, passage.id, passage.document_id, passage.document_version, span)


def _numbers(listed: str) -> list[int]:
    """Of `1, 3-5` each once; a range too long to be meant is its two ends."""
    found: list[int] = []
    for each in re.split(r"[,;]", listed):
        ends = [int(number) for number in re.findall(r"\d+", each)]
        is_range = len(ends) == 2 and 0 < ends[1] - ends[0] < _MOST_IN_RANGE
        found += range(ends[0], ends[1] + 1) if is_range else ends
    return list(dict.fromkeys(found))
