"""Tells near-duplicates by the runs of words they share."""

from __future__ import annotations

import re

from tamis.model import Passage

__all__ = ["Shingles", "resemblance", "shingles"]

Shingles = frozenset[str]
_SIZE = 5
_WIDE = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"  # written without spaces
_WORD = re.compile(rf"[{_WIDE}]|[^\W_{_WIDE}]+")


def shingles(passage: Passage) -> Shingles:
    """Every run of five words, or of all if there are fewer; characters where a script leaves no spaces.

    Broder, "On the Resemblance and Containment of Documents", 1997. A passage without words in its text is told by its
    title.
    """
    words = _WORD.findall(passage.text.lower()) or passage.full_text.lower().split()
    return frozenset(" ".join(words[start : start + _SIZE]) for start in range(max(1, len(words) - _SIZE + 1)))


def resemblance(one: Shingles, other: Shingles) -> float:
    """Their Jaccard index: the share of all runs that both have, 0 to 1."""
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared)
