"""Weighs the sentences of a context against a question."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tamis.model import Hit, Passage
from tamis_extractive.sentences import Sentence, sentences
from tamis_extractive.words import Words

__all__ = ["Chosen", "Selection"]

_TITLE_SHARE = 0.6  # what a question's word counts that stands in the title but not in the sentence
_RANK_DISCOUNT = 0.08  # a place further down in the ranking
_POSITION_DISCOUNT = 0.02  # a sentence further down in its passage: what a text says first says what it is about
_AGAINST_BEST = 0.6
_SAME = 0.6  # overlap of stems (Jaccard) from which two sentences say the same
_FEWEST_WORDS, _MOST_WORDS = 4, 60


@dataclass(frozen=True, slots=True)
class Chosen:
    """A sentence, its passage, its place, and what it is worth."""

    passage: Passage
    sentence: Sentence
    stems: frozenset[str]
    place: tuple[int, int]
    coverage: float
    worth: float


class Selection:
    """The sentences of a context, each weighed once.

    Coverage is the share of the question's words a sentence has, weighted by their inverse document frequency among
    the sentences (Spärck Jones, 1972).
    """

    def __init__(
        self, words: Words, question: str, context: Sequence[Hit], check: Callable[[], None] = lambda: None
    ) -> None:
        """`check` is called before each passage, and may raise to end the work."""
        self._words = words
        self._asked = frozenset(words.stems(question)) or frozenset(question.lower().split())
        read = []
        for rank, hit in enumerate(context):
            check()
            read += [
                (rank, place, hit.passage, sentence, frozenset(words.stems(sentence.text)))
                for place, sentence in enumerate(sentences(hit.passage.text))
            ]
        frequency = Counter(stem for *_, stems in read for stem in stems)
        self._weights = {stem: math.log(1 + len(read) / (0.5 + frequency[stem])) for stem in self._asked}
        self._sentences = [self._weighed(*each) for each in read]

    def best(self, limit: int, min_coverage: float) -> list[Chosen]:
        """At most `limit` sentences that say different things; the best one's passage first, each in its own order."""
        ordered = sorted(self._sentences, key=lambda each: (-each.worth, each.place))
        if not ordered or ordered[0].coverage < min_coverage:
            return []
        chosen: list[Chosen] = []
        for each in ordered:
            if len(chosen) == limit or each.worth < _AGAINST_BEST * ordered[0].worth:
                break
            if each.coverage >= min_coverage and not any(_alike(each, other) for other in chosen):
                chosen.append(each)
        passages = list(dict.fromkeys(each.place[0] for each in chosen))
        return sorted(chosen, key=lambda each: (passages.index(each.place[0]), each.place))

    def _weighed(self, rank: int, place: int, passage: Passage, sentence: Sentence, stems: frozenset[str]) -> Chosen:
        title = frozenset(self._words.stems(f"{passage.title} {passage.heading}"))
        total = sum(self._weights.values())
        said = sum(self._weights[stem] for stem in self._asked & stems)
        named = sum(self._weights[stem] for stem in (self._asked & title) - stems)
        coverage = (said + _TITLE_SHARE * named) / total if total else 0.0
        worth = coverage * _fitness(sentence) / (1 + _RANK_DISCOUNT * rank + _POSITION_DISCOUNT * place)
        return Chosen(passage, sentence, stems, (rank, place), coverage, worth)


def _fitness(sentence: Sentence) -> float:
    """Fragments and whole paragraphs make poor answers, and so does what only announces what follows."""
    count = len(sentence.text.split())
    length = min(1.0, count / _FEWEST_WORDS, _MOST_WORDS / count)
    return length * (0.5 if sentence.text[-1] not in ".!?。！？\"')" else 1.0)


def _alike(one: Chosen, other: Chosen) -> bool:
    union = len(one.stems | other.stems)
    return union > 0 and len(one.stems & other.stems) / union >= _SAME
