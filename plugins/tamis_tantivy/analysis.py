"""How text becomes terms: the same for documents and queries."""

from __future__ import annotations

import tantivy

from tamis.languages import stemmer

__all__ = ["analyzer", "identity", "query_terms"]

MOST_QUERY_TERMS = 64
_LONGEST_TERM = 128  # bytes; the default of 40 would drop long words of ordinary German or Finnish


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


def query_terms(text: str, analysis: tantivy.TextAnalyzer) -> list[str]:
    """The first distinct terms of a query, at most `MOST_QUERY_TERMS`; whatever the text, nothing in it is syntax."""
    return list(dict.fromkeys(analysis.analyze(text)))[:MOST_QUERY_TERMS]
