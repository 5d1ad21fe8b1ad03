"""What a query asks for: words, what is written without spaces, and phrases. Nothing but quotes has a meaning in it."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass, replace

import tantivy

from tamis_tantivy.analysis import UNSPACED, pairs, runs, separated

__all__ = ["MOST_QUERY_TERMS", "Asked", "Phrase", "read"]

MOST_QUERY_TERMS = 64
"""The most terms a query is looked for by. A longer one is a text, and the quotes in it are quotations."""

_MOST_SINGLES = 8
_MARKS = '"“”„‟«»＂'
# A mark right behind a letter or digit ends something, or stands for inches; it begins no phrase.
_QUOTED = re.compile(rf"(?<![^\W{UNSPACED}])[{_MARKS}]([^{_MARKS}]*)[{_MARKS}]")
_PARTS = re.compile(rf"([{UNSPACED}]+)|[^\W{UNSPACED}]+")


@dataclass(frozen=True, slots=True)
class Phrase:
    """What stood between quotes: terms with their places, and the runs between the words, in groups.

    Between a word and a run the index cannot tell what stands next to what; each part is looked for by itself.
    """

    words: tuple[tuple[int, str], ...]
    groups: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a hit may have, the more the better, and the phrases it must have.

    Words and pairs of characters come with how often they are asked for; `singles` are characters that stand alone.
    """

    words: Counter[str]
    pairs: Counter[str]
    singles: tuple[str, ...]
    phrases: tuple[Phrase, ...] = ()


def read(text: str, analysis: tantivy.TextAnalyzer) -> Asked:
    """Takes a query apart, whatever stands in it."""
    everything = _asked(text, analysis)
    if everything.words.total() + everything.pairs.total() > MOST_QUERY_TERMS:
        return everything
    quoted = [_phrase(found[1], analysis) for found in _QUOTED.finditer(text)]
    phrases = tuple(dict.fromkeys(each for each in quoted if each.words or each.groups))
    if not phrases:
        return everything
    rest = _asked(_QUOTED.sub(" ", text), analysis)
    return replace(rest, phrases=phrases)


def _asked(text: str, analysis: tantivy.TextAnalyzer) -> Asked:
    found = runs(text)
    return Asked(
        words=Counter(analysis.analyze(separated(text))),
        pairs=Counter(pair for run in found if len(run) > 1 for pair in pairs(run)),
        singles=tuple(dict.fromkeys(run for run in found if len(run) == 1))[:_MOST_SINGLES],
    )


def _phrase(text: str, analysis: tantivy.TextAnalyzer) -> Phrase:
    source = separated(text)
    tokens = analysis.pre_tokenize(source).tokens
    words = [
        (each.position, each.text) for each in tokens if not runs(source[each.char_offset_from : each.char_offset_to])
    ]
    groups: list[list[str]] = [[]]
    for part in _PARTS.finditer(unicodedata.normalize("NFKC", text)):
        if part[1]:
            groups[-1].append(part[1])
        elif groups[-1]:
            groups.append([])
    start = words[0][0] if words else 0
    return Phrase(
        tuple((place - start, word) for place, word in words), tuple(tuple(group) for group in groups if group)
    )
