"""How text becomes weighted terms without a model: stems and pairs of characters, hashed."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Mapping
from functools import lru_cache
from hashlib import blake2b
from itertools import pairwise
from threading import Lock

import numpy as np
import snowballstemmer

from tamis.languages import STEMMERS
from tamis.models import SparseVector

__all__ = ["MOST_QUERY_TERMS", "Analyzer", "sparse"]

MOST_QUERY_TERMS = 256
_LONGEST_TERM = 128  # characters

_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao, Burmese, Khmer
    "\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff"  # Japanese
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Han
    "\uac00-\ud7af"  # Korean, which has spaces, and particles stuck to its words
)
_RUN = re.compile(rf"([{_UNSPACED}]+)|((?:(?![{_UNSPACED}])[^\W_])+)")


class Analyzer:
    """The terms of texts in one language: lower-cased stems, and pairs of characters of what is written without spaces.

    Safe to call from any thread.
    """

    def __init__(self, language: str) -> None:
        """`language` is an ISO 639-1 code; words of one without a stemmer are left as they are."""
        self._one_at_a_time = Lock()  # a stemmer keeps state
        name = STEMMERS.get(language)
        self._stem = lru_cache(100_000)(snowballstemmer.stemmer(name).stemWord) if name else str

    def terms(self, text: str) -> list[str]:
        """In the order of the text, each as often as it occurs."""
        with self._one_at_a_time:
            return self._terms(text)

    def query(self, text: str) -> SparseVector:
        """Each distinct term, at most `MOST_QUERY_TERMS`, with weight 1; the server multiplies by its rarity."""
        return sparse(dict.fromkeys(list(dict.fromkeys(self.terms(text)))[:MOST_QUERY_TERMS], 1.0))

    def passage(self, text: str, *, k1: float, b: float, average_length: float) -> SparseVector:
        """BM25's saturated term frequencies, without the rarity. `average_length` counts terms of a passage."""
        counts = Counter(self.terms(text))
        length = k1 * (1 - b + b * counts.total() / average_length)
        return sparse({term: count * (k1 + 1) / (count + length) for term, count in counts.items()})

    def _terms(self, text: str) -> list[str]:
        found: list[str] = []
        for unspaced, word in _RUN.findall(unicodedata.normalize("NFKC", text).casefold()):
            if word:
                found.append(self._stem(word[:_LONGEST_TERM]))
            else:
                found += [unspaced] if len(unspaced) == 1 else map("".join, pairwise(unspaced))
        return found


def sparse(weights: Mapping[str, float]) -> SparseVector:
    """Terms by a 32-bit digest; those few that share one are added up."""
    by_index: defaultdict[int, float] = defaultdict(float)
    for term, weight in weights.items():
        by_index[_index(term)] += weight
    indices = sorted(by_index)
    return SparseVector(np.array(indices, np.uint32), np.array([by_index[each] for each in indices], np.float32))


@lru_cache(100_000)
def _index(term: str) -> int:
    return int.from_bytes(blake2b(term.encode("utf-8", "surrogatepass"), digest_size=4).digest(), "big")
