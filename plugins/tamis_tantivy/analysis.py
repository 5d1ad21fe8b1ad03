"""How text becomes terms: the same for documents and queries."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence

import tantivy

from tamis.languages import stemmer

__all__ = [
    "SEPARATOR",
    "UNSPACED",
    "analyzer",
    "bigrams",
    "identity",
    "located_runs",
    "pairs",
    "runs",
    "separated",
    "spaced",
    "surface",
]

UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao, Burmese, Khmer
    "\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff"  # Japanese
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Han
    "\uac00-\ud7af"  # Korean, which has spaces, and particles stuck to its words
)
"""Characters written without spaces between words, as the inside of a regular expression's class."""

SEPARATOR = "\ufdd0"
"""Stands in stored texts where a word touches what is written without spaces; never a character of anybody's text."""

_LONGEST_TERM = 128  # bytes; the default of 40 would drop long words of ordinary German or Finnish
_LONGEST_SURFACE = 64
_RUN = re.compile(f"[{UNSPACED}]+")
_BORDER = re.compile(rf"(?<=[{UNSPACED}])(?=[^\W{UNSPACED}])|(?<=[^\W{UNSPACED}])(?=[{UNSPACED}])")
# What NFKC makes such characters of: radicals, half-width and circled forms, single Korean letters.
_NEARLY = re.compile(
    f"[{UNSPACED}\u1100-\u11ff\u2e80-\u2fdf\u3130-\u33ff\ua960-\ua97f\ud7b0-\ud7ff\ufe30-\ufe4f\uff00-\uffef]+"
)
# A character with those after it that NFKC joins to it: sound marks and Korean vowels and finals.
_JOINED = re.compile("[\\s\\S][\u0300-\u036f\u1160-\u11ff\u3099\u309a\uff9e\uff9f\uffa0-\uffdc]*")


def analyzer(language: str) -> tantivy.TextAnalyzer:
    """Splits at what is neither letter nor digit, lower-cases and stems. Raises `ConfigurationError`."""
    return (
        tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
        .filter(tantivy.Filter.remove_long(_LONGEST_TERM))
        .filter(tantivy.Filter.lowercase())
        .filter(tantivy.Filter.stemmer(stemmer(language)))
        .build()
    )


def surface() -> tantivy.TextAnalyzer:
    """Words as they are written, lower-cased: what a suggestion is made of."""
    return (
        tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
        .filter(tantivy.Filter.remove_long(_LONGEST_SURFACE))
        .filter(tantivy.Filter.lowercase())
        .build()
    )


def identity() -> tantivy.TextAnalyzer:
    """Leaves a text as one term."""
    return tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.raw()).build()


def spaced() -> tantivy.TextAnalyzer:
    """Splits at white space alone."""
    return tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace()).build()


def separated(text: str) -> str:
    """The text with a separator where a word touches what is written without spaces, so that both are found."""
    return _BORDER.sub(SEPARATOR, text) if _RUN.search(text) else text


def runs(text: str) -> list[str]:
    """What is written without spaces, run by run. Half-width and full-width forms are the same (NFKC)."""
    return _RUN.findall(unicodedata.normalize("NFKC", text))


def pairs(run: str) -> list[str]:
    """Every two neighbouring characters of a run, or its only one."""
    return [run[place : place + 2] for place in range(len(run) - 1)] or [run]


def bigrams(text: str) -> Iterator[str]:
    """The pairs of every run, each run's last character behind them: one term for each character, in its place.

    So that Chinese or Japanese is found without a dictionary: words by their pairs, a single character as the
    beginning of a term.
    """
    for run in runs(text):
        yield from (run[place : place + 2] for place in range(len(run)))


def located_runs(text: str) -> Iterator[tuple[str, Sequence[tuple[int, int]]]]:
    """Like `runs`, each with where in `text` its characters come from, start and end for each."""
    for found in _NEARLY.finditer(text):
        places: list[tuple[int, int]] = []
        letters = ""
        for each in _JOINED.finditer(found[0]):
            normal = unicodedata.normalize("NFKC", each[0])
            letters += normal
            places += [(found.start() + each.start(), found.start() + each.end())] * len(normal)
        for run in _RUN.finditer(letters):
            yield run[0], places[run.start() : run.end()]
