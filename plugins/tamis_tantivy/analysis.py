"""How text becomes terms: the same for documents and queries."""

from __future__ import annotations

import re
import unicodedata

import tantivy

from tamis.languages import stemmer

__all__ = ["analyzer", "bigrams", "identity", "query_terms", "spaced"]

MOST_QUERY_TERMS = 64
_LONGEST_TERM = 128  # bytes; the default of 40 would drop long words of ordinary German or Finnish

_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao, Burmese, Khmer
    "\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff"  # Japanese
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Han
    "\uac00-\ud7af]+"  # Korean, which has spaces, and particles stuck to its words
)


def analyzer(language: str) -> tantivy.TextAnalyzer:
    """Splits at what is neither letter nor digit, lower-cases and stems. Raises `ConfigurationError`."""
    return (
        tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
        .filter(tantivy.Filter.remove_long(_LONGEST_TERM))
        .filter(tantivy.Filter.lowercase())
        .filter(tantivy.Filter.stemmer(stemmer(language)))
        .build()
    )


def identity() -> tantivy.TextAnalyzer:
    """Leaves a text as one term."""
    return tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.raw()).build()


def spaced() -> tantivy.TextAnalyzer:
    """Splits at white space alone."""
    return tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace()).build()


def bigrams(text: str) -> list[str]:
    """Every two neighbouring characters of what is written without spaces, and every character that stands alone.

    So that Chinese or Japanese is found without a dictionary. Half-width and full-width forms are the same (NFKC).
    """
    found: list[str] = []
    for run in _UNSPACED.findall(unicodedata.normalize("NFKC", text)):
        found += [run] if len(run) == 1 else [run[place : place + 2] for place in range(len(run) - 1)]
    return found


def query_terms(text: str, analysis: tantivy.TextAnalyzer) -> list[str]:
    """The first distinct terms of a query, at most `MOST_QUERY_TERMS`; whatever the text, nothing in it is syntax."""
    return list(dict.fromkeys(analysis.analyze(text)))[:MOST_QUERY_TERMS]
