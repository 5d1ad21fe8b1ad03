"""Finds the part of a passage that a claim rests on, where the words make that clear."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tamis.model import Passage, Span

__all__ = ["Supports"]

_END = re.compile(r"(?<=[.!?])[\"'”’)\]]*\s+(?=[^a-z\s])|(?<=[。！？])|\n\s*\n")
_WIDE = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"  # written without spaces
_WORD = re.compile(rf"[{_WIDE}]|[^\W_{_WIDE}]+")
_MOST = 3
"""So many sentences in a row at most, else the whole passage is the evidence."""
_CLEAR, _WORTH, _LEAD = 0.5, 0.25, 0.1  # measured: benchmarks/answers.py --narrowing


@dataclass(frozen=True, slots=True)
class _Sentence:
    """A sentence of a passage: where it stands in the passage's text, in bytes, and its words."""

    span: Span
    words: frozenset[str]


class Supports:
    """The passages a model read, each divided into sentences once, when it is first cited."""

    def __init__(self, passages: Sequence[Passage]) -> None:
        self._passages = passages
        self._sentences: dict[int, list[_Sentence]] = {}

    def span(self, place: int, claim: str) -> Span:
        """Where in its document the passage at `place` says what the claim says; without a clear answer, all of it.

        Clear is one sentence that has half of the claim's words, weighted by how few sentences of the passage have
        them, and more of them than any other; sentences beside it count as long as they add to that.
        """
        passage = self._passages[place]
        if place not in self._sentences:
            self._sentences[place] = list(_sentences(passage.text))
        sentences = self._sentences[place]
        claimed = frozenset(_words(claim))
        first, last = _clearest(sentences, claimed)
        if first is None or last is None:
            return passage.span
        return Span(sentences[first].span.start, sentences[last].span.end).shifted(passage.span.start)


def _clearest(sentences: Sequence[_Sentence], claimed: frozenset[str]) -> tuple[int, int] | tuple[None, None]:
    """The run of sentences, first and last, that the claim rests on."""
    frequency = Counter(word for each in sentences for word in each.words & claimed)
    weights = {word: math.log(1 + len(sentences) / (0.5 + frequency[word])) for word in claimed}
    total = sum(weights.values())

    def share(words: frozenset[str]) -> float:
        return sum(weights[word] for word in words & claimed) / total if total else 0.0

    shares = [share(each.words) for each in sentences]
    best = max(range(len(sentences)), key=lambda place: shares[place], default=None)
    if best is None or not total:
        return None, None
    first = last = best
    words = sentences[best].words
    while last - first + 1 < _MOST:
        beside = [place for place in (first - 1, last + 1) if 0 <= place < len(sentences)]
        gains = {place: share(words | sentences[place].words) - share(words) for place in beside}
        added = max(gains, key=lambda place: gains[place], default=None)
        if added is None or gains[added] < _WORTH:
            break
        words |= sentences[added].words
        first, last = min(first, added), max(last, added)
    rivals = [shares[place] for place in range(len(sentences)) if not first <= place <= last]
    is_clear = share(words) >= _CLEAR and shares[best] >= max(rivals, default=0.0) + _LEAD
    return (first, last) if is_clear else (None, None)


def _sentences(text: str) -> Iterator[_Sentence]:
    start, offset = 0, 0
    ends = [*((match.start(), match.end()) for match in _END.finditer(text)), (len(text), len(text))]
    for end, following in ends:
        sentence = text[start:end]
        if sentence.strip():
            length = len(sentence.encode())
            yield _Sentence(Span(offset, offset + length), frozenset(_words(sentence)))
        offset += len(text[start:following].encode())
        start = following


def _words(text: str) -> Iterator[str]:
    return (match[0] for match in _WORD.finditer(text.lower()))
