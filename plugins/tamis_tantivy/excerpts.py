"""Short excerpts around what was asked for, with the spans of it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import tantivy

from tamis.model import Span
from tamis_tantivy.analysis import SEPARATOR, located_runs
from tamis_tantivy.asked import Asked, Phrase
from tamis_tantivy.query import any_of

__all__ = ["Excerpts"]

_PIECE = re.compile(rf"[^\s{SEPARATOR}]+")
_WHOLE = 1 << 30


class _Spot(NamedTuple):
    """Where a text has something asked for, in characters."""

    start: int
    end: int
    term: str


class Excerpts:
    """Makes the excerpts of one search. Words of a phrase count where the phrase stands, other words everywhere."""

    def __init__(
        self, asked: Asked, searcher: tantivy.Searcher, schema: tantivy.Schema, analysis: tantivy.TextAnalyzer
    ) -> None:
        self._words, self._analysis = frozenset(asked.words), analysis
        self._phrases = [each for each in asked.phrases if each.words]
        runs = [run for phrase in asked.phrases for group in phrase.groups for run in group]
        self._needles = list(dict.fromkeys([*asked.pairs, *asked.singles, *runs]))
        self._terms: dict[str, str] = {}
        terms = self._words.union(term for phrase in self._phrases for _, term in phrase.words)
        queries = [tantivy.Query.term_query(schema, "text", term) for term in terms]
        self._generator = tantivy.SnippetGenerator.create(searcher, any_of(queries), schema, "text")
        self._generator.set_max_num_chars(_WHOLE)

    def excerpt(self, document: tantivy.Document, length: int) -> tuple[str, tuple[Span, ...]]:
        """At most `length` characters with as much as possible of what was asked for, white space made single spaces.

        The spans are those of words and runs in it. Empty when the text has nothing of it.
        """
        text: str = document["text"][0]
        spots = sorted([*self._word_spots(document, text), *self._run_spots(text)])
        spots = [each for each in spots if each.end - each.start <= length]
        if not spots:
            return "", ()
        start, end = _window(text, spots, length)
        return _normalised(text[start:end], list(_merged(spots, start, end)))

    def _word_spots(self, document: tantivy.Document, text: str) -> Iterator[_Spot]:
        """Tantivy marks every occurrence of every term; which of them count is decided here."""
        found = self._generator.snippet_from_doc(document)
        first = found.fragment_range().start
        marked = [(first + each.start, first + each.end) for each in found.highlighted()]
        spots = [_Spot(start, end, self._term(text[start:end])) for start, end in _in_characters(text, marked)]
        yield from (each for each in spots if each.term in self._words)
        for phrase in self._phrases:
            yield from _occurrences(phrase, spots, text)

    def _run_spots(self, text: str) -> Iterator[_Spot]:
        if self._needles:
            for run, places in located_runs(text):
                for needle in self._needles:
                    at = run.find(needle)
                    while at >= 0:
                        yield _Spot(places[at][0], places[at + len(needle) - 1][1], needle)
                        at = run.find(needle, at + 1)

    def _term(self, word: str) -> str:
        if word not in self._terms:
            self._terms[word] = "".join(self._analysis.analyze(word)[:1])
        return self._terms[word]


def _in_characters(text: str, spans: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Spans of bytes, in order, as spans of characters."""
    if text.isascii():
        yield from spans
        return
    data, at, characters = text.encode(), 0, 0
    for start, end in spans:
        begin = characters + len(data[at:start].decode())
        characters, at = begin + len(data[start:end].decode()), end
        yield begin, characters


def _occurrences(phrase: Phrase, spots: Sequence[_Spot], text: str) -> Iterator[_Spot]:
    """The spots that together are the phrase: its terms in order and, where no word is left out, nothing between."""
    places, terms = zip(*phrase.words, strict=True)
    for first in range(len(spots) - len(terms) + 1):
        some = spots[first : first + len(terms)]
        if tuple(each.term for each in some) == terms and all(
            places[number] + 1 != places[number + 1] or not any(map(str.isalnum, text[left.end : right.start]))
            for number, (left, right) in enumerate(pairwise(some))
        ):
            yield from some


def _window(text: str, spots: Sequence[_Spot], length: int) -> tuple[int, int]:
    """The first stretch of at most `length` characters with the most different terms, and words left whole."""
    held, last = Counter[str](), 0
    best = (0, 0, 0)
    for first, spot in enumerate(spots):
        while last < len(spots) and spots[last].end - spot.start <= length:
            held[spots[last].term] += 1
            last += 1
        if (len(held), last - first) > best[:2]:
            best = len(held), last - first, first
        held[spot.term] -= 1
        if not held[spot.term]:
            del held[spot.term]
    chosen = spots[best[2] : best[2] + best[1]]
    left, right = chosen[0].start, max(each.end for each in chosen)
    start = max(0, left - (length - (right - left)) // 3)
    end = min(len(text), start + length)
    start = max(0, min(start, end - length))
    return _whole_words(text, start, end, left, right)


def _whole_words(text: str, start: int, end: int, left: int, right: int) -> tuple[int, int]:
    """The stretch without the halves of words at its ends, as long as it keeps what stands between left and right."""
    if start and not text[start - 1].isspace():
        cut = re.compile(r"\s").search(text, start, left)
        start = cut.end() if cut else start
    if end < len(text) and not text[end].isspace():
        cuts = [each.start() for each in re.compile(r"\s").finditer(text, right, end)]
        end = cuts[-1] if cuts else end
    return start, end


def _merged(spots: Sequence[_Spot], start: int, end: int) -> Iterator[tuple[int, int]]:
    """Spans of the spots within a stretch, relative to it; those that overlap become one."""
    current: tuple[int, int] | None = None
    for spot in spots:
        if spot.start < start or spot.end > end:
            continue
        if current and spot.start < current[1]:
            current = current[0], max(current[1], spot.end)
            continue
        if current:
            yield current[0] - start, current[1] - start
        current = spot.start, spot.end
    if current:
        yield current[0] - start, current[1] - start


def _normalised(stretch: str, spans: Sequence[tuple[int, int]]) -> tuple[str, tuple[Span, ...]]:
    """The stretch with single spaces and without separators; its spans, none of which holds white space, in bytes."""
    if stretch.isascii() and stretch == " ".join(stretch.split()):
        return stretch, tuple(Span(start, end) for start, end in spans)
    excerpt, size, before, waiting = list[str](), 0, 0, list(reversed(spans))
    highlights: list[Span] = []
    for piece in _PIECE.finditer(stretch):
        if excerpt and stretch[before : piece.start()] != SEPARATOR:
            excerpt.append(" ")
            size += 1
        while waiting and waiting[-1][1] <= piece.end():
            start, end = waiting.pop()
            lead = size + len(stretch[piece.start() : start].encode())
            highlights.append(Span(lead, lead + len(stretch[start:end].encode())))
        excerpt.append(piece[0])
        size, before = size + len(piece[0].encode()), piece.end()
    return "".join(excerpt), tuple(highlights)
