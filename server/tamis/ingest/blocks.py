"""Divides a text into paragraphs, fenced code and tables, and prose into sentences."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

__all__ = ["Block", "Kind", "blocks", "sentences"]

_SOMETHING = re.compile(r"\S")
_BLANK = re.compile(r"\n[^\S\n]*(?:\n|\Z)")
_FENCE = re.compile(r"^ {0,3}(```|~~~)", re.MULTILINE)
_CLOSED = {mark: re.compile(rf"^ {{0,3}}{mark}+[ \t]*$\n?", re.MULTILINE) for mark in ("```", "~~~")}
_ROW = re.compile(r"[ \t]*(?:\|.*\||[+|][-=+|:]{3,}.*)[ \t]*$")
_ITEM = re.compile(r"^[ \t]*(?:[*+\-•‣◦]|\(?\d{1,3}[.)]|\(?[a-zA-Z]\))[ \t]+(?=\S)", re.MULTILINE)
_END = re.compile(r"(?<=[.!?…])[\"'”’»)\]]*\s+(?=\S)|(?<=[。！？])[」』”’）]*\s*(?=\S)")
_ABBREVIATION = re.compile(
    r"(?:^|[\s(\[])(?:e\.g|i\.e|z\.B|d\.h|u\.a|etc|vs|cf|ca|approx|Mr|Mrs|Ms|Dr|Prof|St|No|Nr|Fig|Abb|Eq|Sec|Ch|Vol|pp?|ed|al"
    r"|bzw|vgl|usw|resp|incl|[A-Z])\.$"
)


class Kind(Enum):
    """What a block is made of."""

    PROSE = "prose"
    CODE = "code"
    TABLE = "table"


@dataclass(frozen=True, slots=True)
class Block:
    """A run of lines, in characters, without white space at its end."""

    start: int
    end: int
    kind: Kind


def blocks(text: str, start: int = 0, end: int | None = None) -> Iterator[Block]:
    """What stands between empty lines, in order. A fenced code block is one, empty lines in it or not.

    A fence that nothing closes is none. In time linear in the length.
    """
    position, end = start, len(text) if end is None else end
    unclosed: set[str] = set()
    stop = position
    while (found := _SOMETHING.search(text, position, end)) is not None:
        begin = text.rfind("\n", position, found.start()) + 1 or position
        if found.end() > stop:  # else the empty line found before still is the next one
            blank = _BLANK.search(text, found.end(), end)
            stop = blank.start() if blank else end
        fence = _fence(text, begin, stop, end, unclosed)
        if fence is None:
            yield from _block(text, begin, stop)
            position = stop
        else:
            yield from _block(text, begin, fence[0])
            yield from _block(text, *fence, Kind.CODE)
            position = fence[1]


def sentences(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The sentences and list items of prose, in order, each without white space around it."""
    cuts = {match.start() for match in _ITEM.finditer(text, start, end)}
    cuts |= {match.end() for match in _END.finditer(text, start, end) if _ends(text, start, match)}
    for cut in (*sorted(cuts - {start}), end):
        yield from _stripped(text, start, cut)
        start = cut


def _fence(text: str, start: int, stop: int, end: int, unclosed: set[str]) -> tuple[int, int] | None:
    for opened in _FENCE.finditer(text, start, stop):
        mark = opened[1]
        if mark in unclosed or (mark == "~~~" and opened.start() > start):  # there it underlines a heading
            continue
        closed = _CLOSED[mark].search(text, min(end, opened.end()), end)
        if closed is not None:
            return opened.start(), closed.end()
        unclosed.add(mark)
    return None


def _block(text: str, start: int, end: int, kind: Kind | None = None) -> Iterator[Block]:
    for first, last in _stripped(text, start, end):
        if kind is None:
            line, _, rest = text[first : min(last, first + 4_096)].partition("\n")
            second = rest.partition("\n")[0]
            kind = Kind.TABLE if _ROW.match(line) and (not second or _ROW.match(second)) else Kind.PROSE
        yield Block(first, last, kind)


def _ends(text: str, start: int, match: re.Match[str]) -> bool:
    """Whether a sentence ends here, and not only an abbreviation, an initial or a number."""
    before, after = text[max(start, match.start() - 12) : match.start()], text[match.end()]
    if not before.endswith("."):
        return True
    return not (after.islower() or _ABBREVIATION.search(before))


def _stripped(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    if start < end:
        yield start, end
