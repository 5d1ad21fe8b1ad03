"""Reads what a language model answered: an order of labels, or one label; and says what had to be repaired."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from tamis_llm_rankers import notes

__all__ = ["Reading", "permutation", "pick", "without_thoughts"]

_GROUP = re.compile(r"\[([^\[\]]{1,400})\]")
_APART = re.compile(r"[\s,;>]+")
_PIECES = re.compile(r"[>,;\n]+")
_PIECE = re.compile(r"\W*(?:(?:passage|document)\s*)?(\w{1,6})\W*", re.IGNORECASE)
_NAMED = r"(?:passage|document|answer(?:\s+is)?|option|choice)"


@dataclass(frozen=True, slots=True)
class Reading:
    """What an answer meant. `order` are positions of labels, each once, best first, maybe not all, maybe none."""

    order: tuple[int, ...]
    notes: tuple[str, ...] = ()


def without_thoughts(answer: str) -> str:
    """What a model said after it had thought aloud; nothing while it still does."""
    return answer.rpartition("</think>")[2].partition("<think>")[0]


def permutation(answer: str, labels: Sequence[str]) -> Reading:
    """The order that an answer such as `[2] > [1]` gives, read strictly first and otherwise repaired.

    Names without brackets count where they stand alone between commas, `>` or line breaks. What is missing is left to
    the caller.
    """
    places = {label.upper(): place for place, label in enumerate(labels)}
    named = _named(answer, places)
    known = [places[each] for each in named if each in places]
    order = tuple(dict.fromkeys(known))
    if not order:
        return Reading((), (notes.NOTHING,))
    made_up = len(known) < len(named)
    said = {
        notes.UNKNOWN: made_up,
        notes.REPEATED: len(order) < len(known),
        notes.MISSING: len(order) < len(labels),
        notes.PROSE: not made_up and not _is_strict(answer, labels),
    }
    return Reading(order, tuple(note for note, holds in said.items() if holds))


def pick(answer: str, labels: Sequence[str]) -> Reading:
    """The one label that an answer names, such as `B` or `Passage B`; none where it names none or wavers."""
    names = "|".join(map(re.escape, labels))
    alone = re.compile(rf"\W*(?:the\s+)?(?:{_NAMED}\W{{0,4}})*({names})\W*", re.IGNORECASE)
    lines = [line for line in answer.splitlines() if line.strip()]
    if len(lines) == 1 and (whole := alone.fullmatch(lines[0])):
        return Reading((_place(whole[1], labels),))
    mentions = re.compile(rf"\b(?i:{_NAMED})\W{{0,4}}({names})\b|[\[(*\"']({names})[\])*\"']")
    mentioned = {first or second for first, second in mentions.findall(answer)}
    opening = alone.fullmatch(lines[0]) if lines else None
    opening = opening or re.match(rf"\W*(?:(?i:{_NAMED})\W{{1,4}}({names})\b|({names})[.:,)\]])", answer)
    found = mentioned if len(mentioned) == 1 else {each for each in opening.groups() if each} if opening else set()
    if len(found) != 1:
        return Reading((), (notes.AMBIGUOUS,))
    return Reading((_place(found.pop(), labels),), (notes.PROSE,))


def _place(name: str, labels: Sequence[str]) -> int:
    return [label.upper() for label in labels].index(name.upper())


def _named(answer: str, places: dict[str, int]) -> list[str]:
    """Everything that may be a label, in order, in capitals."""
    groups = [each for group in _GROUP.findall(answer) for each in _APART.split(group.strip()) if each]
    named = [each.upper() for each in groups]
    if any(each in places for each in named):
        return named
    pieces = (_PIECE.fullmatch(piece) for piece in _PIECES.split(answer) if piece.strip())
    return [piece[1].upper() for piece in pieces if piece]


def _is_strict(answer: str, labels: Sequence[str]) -> bool:
    names = "|".join(map(re.escape, labels))
    return re.fullmatch(rf"\s*\[?(?:{names})\]?(?:\s*>\s*\[?(?:{names})\]?)*\s*(?:\.\s*)?", answer) is not None
