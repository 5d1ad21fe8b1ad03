"""What a model writes, on its way to the caller: stopped where it must end, without foreign links, with citations."""

from __future__ import annotations

from collections.abc import Sequence

from tamis.context import Call
from tamis.generator import AnswerDelta
from tamis.model import FinishReason, Passage
from tamis.models import CUT_AT_LIMIT
from tamis_llm.citing import CitationStream
from tamis_llm.links import LinkFilter
from tamis_llm.opening import Opening
from tamis_llm.quoting import MARK

__all__ = ["Writing"]

_REPEATED, _REPEATS, _LOOKED_AT = 60, 4, 8_000
_CHARACTERS_PER_TOKEN = 32  # no tokenizer has so many on average: who writes more ignores its limit
_STEP = 1_000


class Writing:
    """One answer under way. `feed` it until `is_over`, then `end` it, then ask for the `finish`."""

    def __init__(self, passages: Sequence[Passage], question: str, stops: Sequence[str], max_tokens: int) -> None:
        sources = [question, *(each.text for each in passages)]
        self._opening, self._links, self._stream = Opening(), LinkFilter(sources), CitationStream(passages)
        self._stops = stops
        self._room = max_tokens * _CHARACTERS_PER_TOKEN
        self._tail = ""  # what may be the beginning of a stop
        self._is_stopped = False
        self._has_text = False
        self.is_repeating = False
        self.raw: list[str] = []
        """All that the model wrote."""

    @property
    def has_begun(self) -> bool:
        """Whether anything of the answer has been passed on."""
        return bool(self._stream.text)

    @property
    def is_refusal(self) -> bool:
        """Whether the model said that the passages do not answer."""
        return self._opening.is_refusal

    @property
    def is_empty(self) -> bool:
        """Whether the model wrote nothing but white space."""
        return not any(each.strip() for each in self.raw)

    @property
    def is_over(self) -> bool:
        """Whether nothing that the model may still write belongs to the answer."""
        return self.is_refusal or self._is_stopped or self.is_repeating or self._room <= 0

    def feed(self, piece: str) -> list[AnswerDelta]:
        """What can be sent now."""
        deltas: list[AnswerDelta] = []
        piece = piece[: self._room]
        self.raw.append(piece)
        for start in range(0, len(piece), _STEP):
            if self.is_over:
                break
            part = piece[start : start + _STEP]
            self._room -= len(part)
            deltas += self._passed(self._opening.feed(part.replace(MARK, " ")))
            self.is_repeating = _repeats(self._stream.text[-_LOOKED_AT:])
        return deltas

    def end(self) -> list[AnswerDelta]:
        """What was still held back."""
        deltas = self._passed(self._opening.end())
        rest, self._tail = self._tail, ""
        return [*deltas, *self._stream.feed(self._links.feed(rest) + self._links.end()), *self._stream.end()]

    def _passed(self, text: str) -> list[AnswerDelta]:
        """Up to a stop. White space before the answer is none of it."""
        if self._is_stopped:
            return []
        text, self._tail = self._tail + text, ""
        if not self._has_text:
            text = text.lstrip()
        self._has_text = self._has_text or bool(text)
        ends = [text.find(each) for each in self._stops if each in text]
        if ends:
            self._is_stopped, text = True, text[: min(ends)]
        else:
            begun = max((_begun(each, text) for each in self._stops), default=0)
            text, self._tail = text[: len(text) - begun], text[len(text) - begun :]
        return self._stream.feed(self._links.feed(text))

    def finish(self, call: Call) -> FinishReason:
        """Why it ended, with a note on everything that had to be mended."""
        stream = self._stream
        for is_so, note in (
            (stream.unknown_count, "citation of a passage that does not exist dropped"),
            (self._links.dropped_count, "image, or link that no passage has, dropped"),
            (self.is_repeating, "the model repeated itself and was stopped"),
            (self._room <= 0, "the model wrote more than it was asked for and was stopped"),
            (self.is_empty, "the model wrote nothing"),
            (stream.text.strip() and not stream.citation_count, "the answer cites nothing"),
        ):
            if is_so:
                call.note(note)
        if not stream.text.strip():
            return FinishReason.INSUFFICIENT_EVIDENCE
        is_cut = self.is_repeating or self._room <= 0 or (CUT_AT_LIMIT in call.notes and not self._is_stopped)
        return FinishReason.TRUNCATED if is_cut else FinishReason.ANSWERED


def _repeats(text: str) -> bool:
    """Whether the end of a text has come several times already."""
    return len(text) >= _REPEATED * _REPEATS and text.count(text[-_REPEATED:]) >= _REPEATS


def _begun(stop: str, text: str) -> int:
    """How many characters of the stop stand at the end of the text, short of all."""
    return next((length for length in range(len(stop) - 1, 0, -1) if text.endswith(stop[:length])), 0)
