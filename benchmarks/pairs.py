"""Minimal pairs: two passages that differ in little, of which exactly one fits the question.

python benchmarks/pairs.py     # what the set is made of, and what counting words reaches on it
"""

from __future__ import annotations

import json
import math
import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "FOLDER",
    "KINDS",
    "MinimalPair",
    "Share",
    "balanced_orders",
    "read_pairs",
    "word_overlap",
    "words",
    "words_alone",
]

FOLDER = Path(__file__).parent / "minimal_pairs"
KINDS = ("negation", "qualification", "time", "direction")
_WORD = re.compile(r"\w+")
_Z = 1.959964  # of a two-sided interval of 95 %
_K1, _B = 1.2, 0.75


@dataclass(frozen=True, slots=True)
class MinimalPair:
    """`right` fits the query, `wrong` does not. `marked` is the side with the marker of its kind: the negation, the
    qualifier, the later time, the relation that is turned round or that hinders; each side has it equally often."""

    id: str
    kind: str
    query: str
    right: str
    wrong: str
    marked: str


@dataclass(frozen=True, slots=True)
class Share:
    """How often the right passage stood above the wrong one; a tie counts half. Chance is 0.5."""

    wins: float
    count: int

    @property
    def value(self) -> float:
        """From 0 to 1."""
        return self.wins / self.count if self.count else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """Of 95 %. Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", 1927."""
        if not self.count:
            return 0.0, 1.0
        n, p = self.count, self.value
        middle = (p + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
        half = _Z * math.sqrt(p * (1 - p) / n + _Z**2 / (4 * n * n)) / (1 + _Z**2 / n)
        return max(0.0, middle - half), min(1.0, middle + half)

    @property
    def is_beyond_chance(self) -> bool:
        """Whether chance lies outside of the interval."""
        low, high = self.interval
        return not low <= 0.5 <= high


def read_pairs(most: int | None = None, folder: Path = FOLDER) -> list[MinimalPair]:
    """All pairs, or the first `most` of each kind, in which the sides are as balanced as in all."""
    found = []
    for kind in KINDS:
        lines = (folder / f"{kind}.jsonl").read_text(encoding="utf-8").splitlines()
        found += [MinimalPair(**json.loads(line)) for line in lines[:most]]
    return found


def balanced_orders(pairs: Sequence[MinimalPair]) -> list[bool]:
    """For each pair whether the right passage is shown first: every other time, of each kind and each marked side.

    So a reranker that leaves everything as it came reaches 0.5.
    """
    seen: dict[tuple[str, str], int] = {}
    shown = []
    for each in pairs:
        key = each.kind, each.marked
        seen[key] = seen.get(key, 0) + 1
        shown.append(seen[key] % 2 == 1)
    return shown


def words_alone(pairs: Sequence[MinimalPair]) -> dict[str, Share]:
    """What BM25 over all passages reaches, by kind. Robertson and Zaragoza, 2009."""
    texts = [words(side) for each in pairs for side in (each.right, each.wrong)]
    average = statistics.fmean(map(len, texts))
    frequency: dict[str, int] = {}
    for text in texts:
        for word in set(text):
            frequency[word] = frequency.get(word, 0) + 1

    def score(query: str, passage: str) -> float:
        found, asked = words(passage), set(words(query))
        norm = _K1 * (1 - _B + _B * len(found) / average)
        weights = {w: math.log(1 + (len(texts) - n + 0.5) / (n + 0.5)) for w in asked if (n := frequency.get(w, 0))}
        return sum(weights[w] * c * (_K1 + 1) / (c + norm) for w in weights if (c := found.count(w)))

    outcomes: dict[str, list[float]] = {}
    for each in pairs:
        right, wrong = score(each.query, each.right), score(each.query, each.wrong)
        outcomes.setdefault(each.kind, []).append(1.0 if right > wrong else 0.5 if right == wrong else 0.0)
    return {kind: Share(sum(values), len(values)) for kind, values in outcomes.items()}


def word_overlap(first: str, second: str) -> float:
    """How many of all words of two texts they have in common, from 0 to 1."""
    one, other = set(words(first)), set(words(second))
    return len(one & other) / len(one | other) if one | other else 0.0


def words(text: str) -> list[str]:
    """In lower case, in order."""
    return _WORD.findall(text.lower())


def described(pairs: Sequence[MinimalPair]) -> Mapping[str, Mapping[str, float]]:
    """For each kind: how many, how long, how alike, how the query's words fall on the two sides, what BM25 reaches."""
    reached = words_alone(pairs)
    found = {}
    for kind in KINDS:
        some = [each for each in pairs if each.kind == kind]
        hits = [(_shared(each.query, each.right), _shared(each.query, each.wrong)) for each in some]
        found[kind] = {
            "pairs": len(some),
            "words": statistics.fmean(len(words(each.right)) for each in some),
            "alike": statistics.fmean(word_overlap(each.right, each.wrong) for each in some),
            "marked right": statistics.fmean(each.marked == "right" for each in some),
            "more in right": statistics.fmean(right > wrong for right, wrong in hits),
            "more in wrong": statistics.fmean(right < wrong for right, wrong in hits),
            "bm25": reached[kind].value,
        }
    return found


def _shared(query: str, passage: str) -> int:
    return len(set(words(query)) & set(words(passage)))


if __name__ == "__main__":
    for name, figures in described(read_pairs()).items():
        print(f"{name:14}", *(f"{key} {value:.4g}" for key, value in figures.items()), sep="  ")
