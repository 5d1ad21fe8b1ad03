"""Adds hits to a context one by one, as far as they are new and there is room."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from tamis.generator import merged
from tamis.model import Hit, Passage
from tamis_context.shingles import Shingles, resemblance, shingles

__all__ = ["Choice", "Limits"]


@dataclass(frozen=True, slots=True)
class Limits:
    """At most so many given passages and tokens; no two passages that resemble each other as much as `same`."""

    passage_count: int
    token_count: int
    same: float


@dataclass(frozen=True, slots=True)
class _Part:
    """What will be one passage of the context: given hits, the best first, and what they make together."""

    hits: tuple[Hit, ...]
    passage: Passage
    shingles: Shingles
    token_count: int


class Choice:
    """The context as far as it is chosen. `count_tokens` says what a passage costs the reader.

    Whatever is offered, the limits hold after it, and what was chosen before stays, alone or inside a merged passage.
    """

    def __init__(self, limits: Limits, count_tokens: Callable[[Passage], int]) -> None:
        self._limits, self._count = limits, count_tokens
        self._parts: list[_Part] = []
        self.duplicate_count = 0
        self.oversize_count = 0

    @property
    def is_full(self) -> bool:
        """Whether it has as many given passages as it may."""
        return sum(len(each.hits) for each in self._parts) >= self._limits.passage_count

    @property
    def hits(self) -> list[Hit]:
        """One hit a part, the best first: the part's best hit, with the part's passage."""
        return [replace(each.hits[0], passage=each.passage) for each in self._parts]

    def offer(self, hit: Hit) -> None:
        """Adds a hit, unless the context says the same already or there is no room for it."""
        new = self._part((hit,))
        joined = [each for each in self._parts if new is not None and _touch(each.passage, hit.passage)]
        whole = self._part((*(each for part in joined for each in part.hits), hit)) if joined else new
        if whole is None:  # neighbours that contradict each other stand apart
            joined, whole = [], new
        if new is None or whole is None:
            return
        others = [each for each in self._parts if each not in joined]
        if self._holds(joined, hit) or self._is_known(new, others) or (joined and self._is_known(whole, others)):
            self.duplicate_count += 1
        elif whole.token_count + sum(each.token_count for each in others) > self._limits.token_count:
            self.oversize_count += 1
        else:
            place = self._parts.index(joined[0]) if joined else len(self._parts)
            self._parts = [each for each in self._parts if each not in joined]
            self._parts.insert(place, whole)

    def _part(self, hits: tuple[Hit, ...]) -> _Part | None:
        try:
            passage = merged([each.passage for each in hits])
        except ValueError:
            return None
        return _Part(hits, passage, shingles(passage), self._count(passage))

    def _is_known(self, part: _Part, others: Sequence[_Part]) -> bool:
        return any(resemblance(part.shingles, each.shingles) >= self._limits.same for each in others)

    @staticmethod
    def _holds(parts: Sequence[_Part], hit: Hit) -> bool:
        """Whether one of the parts has every byte of the hit already."""
        span = hit.passage.span
        return any(each.passage.span.start <= span.start and span.end <= each.passage.span.end for each in parts)


def _touch(one: Passage, other: Passage) -> bool:
    return (
        (one.document_id, one.document_version) == (other.document_id, other.document_version)
        and one.span.start <= other.span.end
        and other.span.start <= one.span.end
    )
