"""Mends a query's words from those of the index.

After Kernighan, Church and Gale, "A Spelling Correction Program Based on a Noisy Channel Model", COLING 1990: how
likely the word is, and how likely it is to be written so.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import tantivy
from rapidfuzz.distance import OSA

from tamis_tantivy.analysis import SEPARATOR, runs, separated
from tamis_tantivy.asked import MOST_QUERY_TERMS

__all__ = ["suggestion"]

_SHORTEST = 4  # letters; shorter words have too many neighbours
_TWO_ERRORS_FROM = 6
_MOST_MENDED = 8
_ROUNDS = 4
_PASSAGES = 16
_ERROR = 4.0  # what an error costs, as the logarithm of a frequency: a second one needs a word 55 times as frequent
_FIRST_LETTER = 2.0  # people seldom get that one wrong


def suggestion(
    text: str,
    searcher: tantivy.Searcher,
    schema: tantivy.Schema,
    words: tantivy.TextAnalyzer,
    surface: tantivy.TextAnalyzer,
    check: Callable[[], None],
) -> str:
    """The text with the first unknown words mended; empty when none is, and for texts too long to be queries."""
    text = separated(text)
    tokens = surface.pre_tokenize(text).tokens
    if len(tokens) > MOST_QUERY_TERMS:
        return ""
    index = _Words(searcher, schema, words, surface)
    mended: dict[str, str] = {}
    for word in dict.fromkeys(each.text for each in tokens):
        check()
        if len(mended) < _MOST_MENDED and _mendable(word) and not index.has(word) and (near := index.nearest(word)):
            mended[word] = near
    pieces, end = list[str](), 0
    for each in tokens:
        if each.text in mended:
            written = text[each.char_offset_from : each.char_offset_to]
            pieces += [text[end : each.char_offset_from], _in_case_of(written, mended[each.text])]
            end = each.char_offset_to
    return "".join([*pieces, text[end:]]).replace(SEPARATOR, "") if pieces else ""


def _mendable(word: str) -> bool:
    return len(word) >= _SHORTEST and not any(map(str.isnumeric, word)) and not runs(word)


def _in_case_of(written: str, word: str) -> str:
    if len(written) > 1 and written.isupper():
        return word.upper()
    return word[0].upper() + word[1:] if written[0].isupper() else word


class _Words:
    """The words of one index, deleted passages left out."""

    def __init__(
        self,
        searcher: tantivy.Searcher,
        schema: tantivy.Schema,
        words: tantivy.TextAnalyzer,
        surface: tantivy.TextAnalyzer,
    ) -> None:
        self._searcher, self._schema, self._words, self._surface = searcher, schema, words, surface

    def has(self, word: str) -> bool:
        """Whether a passage has the word or another form of it."""
        stems = [(field, term) for term in self._words.analyze(word) for field in ("text", "title")]
        terms = [("surface", word), *stems]
        queries = [tantivy.Query.term_query(self._schema, field, term) for field, term in terms]
        shoulds = [(tantivy.Occur.Should, each) for each in queries]
        return bool(self._searcher.search(tantivy.Query.boolean_query(shoulds), 1, count=False).hits)

    def nearest(self, word: str) -> str:
        """The likeliest word of the index that this one may have been meant to be; empty when there is none near.

        Fewer errors and more passages make a word likelier. Ties go to the first in the alphabet.
        """
        most = 2 if len(word) >= _TWO_ERRORS_FROM else 1
        near = self._near(word, 1, {})
        if most == 2:
            near = self._near(word, 2, near)
        return min(near, key=lambda each: (-self._likelihood(word, each, near[each]), each), default="")

    def _near(self, word: str, most: int, known: dict[str, int]) -> dict[str, int]:
        """Words with their errors. Passages that have one are read, then others that have none of those found: so
        frequent words come first, and each round finds at least one."""
        found = dict(known)
        fuzzy = tantivy.Query.fuzzy_term_query(self._schema, "surface", word, most)
        for _ in range(_ROUNDS):
            others = tantivy.Query.boolean_query([(tantivy.Occur.Must, fuzzy), *map(self._without, found)])
            hits = self._searcher.search(others, _PASSAGES, count=False).hits
            before = len(found)
            for _, address in hits:
                self._read(self._searcher.doc(address), word, most, found)
            if len(hits) < _PASSAGES or len(found) == before:
                break
        return found

    def _without(self, word: str) -> tuple[tantivy.Occur, tantivy.Query]:
        return tantivy.Occur.MustNot, tantivy.Query.term_query(self._schema, "surface", word, "basic")

    def _read(self, document: tantivy.Document, word: str, most: int, found: dict[str, int]) -> None:
        for text in (*document.get_all("title"), *document.get_all("text")):
            for each in self._surface.analyze(text):
                if each not in found and abs(len(each) - len(word)) <= most:
                    errors = OSA.distance(word, each, score_cutoff=most)
                    if errors <= most and len(each) >= _SHORTEST - 1:
                        found[each] = errors

    def _likelihood(self, word: str, near: str, errors: int) -> float:
        first_letter = _FIRST_LETTER if word[0] != near[0] else 0.0
        return math.log(self._searcher.doc_freq("surface", near)) - _ERROR * errors - first_letter
