"""Packs sentences, lines and code blocks into stretches of about equal cost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate

from tamis.ingest.blocks import Block, Kind, blocks, sentences
from tamis.ingest.tokens import TokenCounts

__all__ = ["packed"]

_LEAST_FILL = 0.5  # how full a stretch must be to end with a paragraph rather than within the next one


@dataclass(frozen=True, slots=True)
class _Atom:
    """What is not divided any further, in characters."""

    start: int
    end: int
    cost: int
    begins_block: bool
    is_sentence: bool


def packed(
    text: str, start: int, end: int, counts: TokenCounts, budget: int, overlap: int
) -> Iterator[tuple[int, int]]:
    """Stretches that cost at most `budget`, in order, none ending inside an atom; each begins with up to `overlap`
    tokens of whole sentences that ended the one before it.

    They are about equally long, so that no crumb is left at the end, and end with a paragraph where that leaves them
    half full.
    """
    atoms = list(_atoms(text, start, end, counts, budget))
    left = [*accumulate((each.cost for each in reversed(atoms)), initial=0)][::-1]
    place, first = 0, 0
    while place < len(atoms):
        repeated = sum(each.cost for each in atoms[first:place])
        if repeated + atoms[place].cost > budget:
            first, repeated = place, 0
        whole = repeated + left[place]
        goal = whole / -(-whole // budget) if whole else 0
        stop = _stop(atoms, place, repeated, goal, budget)
        yield atoms[first].start, atoms[stop - 1].end
        first, place = _overlapping(atoms, first, stop, overlap), stop


def _stop(atoms: list[_Atom], place: int, size: int, goal: float, budget: int) -> int:
    """One past the last atom of the stretch that goes on at `place`, `size` of it being there already."""
    paragraph = 0
    stop = place
    while stop < len(atoms) and size + atoms[stop].cost <= budget:
        size += atoms[stop].cost
        stop += 1
        if stop < len(atoms) and atoms[stop].begins_block and size >= _LEAST_FILL * goal:
            paragraph = stop
            if size >= goal:
                return stop
    if stop == len(atoms):
        return stop
    return paragraph or max(stop, place + 1)


def _overlapping(atoms: list[_Atom], first: int, stop: int, overlap: int) -> int:
    """The atom with which the next stretch begins: `stop`, or an earlier sentence, but never `first` itself."""
    size, start = 0, stop
    while start - 1 > first and atoms[start - 1].is_sentence and size + atoms[start - 1].cost <= overlap:
        start -= 1
        size += atoms[start].cost
    return start


def _atoms(text: str, start: int, end: int, counts: TokenCounts, budget: int) -> Iterator[_Atom]:
    for block in blocks(text, start, end):
        begins = True
        for first, last, is_sentence in _parts(text, block, counts, budget):
            for one, other in _cut(text, first, last, counts, budget):
                whole = is_sentence and (one, other) == (first, last)
                yield _Atom(one, other, counts.cost(one, other), begins, whole)
                begins = False


def _parts(text: str, block: Block, counts: TokenCounts, budget: int) -> Iterator[tuple[int, int, bool]]:
    """Sentences of prose; code and tables whole, so that they are cut between lines and only if they must."""
    if block.kind is Kind.PROSE:
        yield from ((start, end, True) for start, end in sentences(text, block.start, block.end))
    else:
        yield block.start, block.end, False


def _cut(text: str, start: int, end: int, counts: TokenCounts, budget: int) -> Iterator[tuple[int, int]]:
    """Parts that cost at most the budget, cut after a line, else at a space, else anywhere."""
    while counts.cost(start, end) > budget:
        reach = counts.reach(start, end, budget)
        middle = start + (reach - start) // 2
        cut = max(text.rfind("\n", middle, reach), start) if reach < end else end
        if cut == start:
            space = text.rfind(" ", middle, reach)
            cut = space if space > start else reach
        stop = cut
        while stop > start and text[stop - 1].isspace():
            stop -= 1
        if stop > start:
            yield start, stop
        start = cut
        while start < end and text[start].isspace():
            start += 1
    if start < end:
        yield start, end
