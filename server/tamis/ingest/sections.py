"""Divides a document by its headings, those it was given or those that its text shows."""

from __future__ import annotations

import re
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tamis.ingest.blocks import Kind, blocks
from tamis.model import Document, Heading, Locator, PageBreak

__all__ = ["Places", "Section", "byte_offsets", "sections"]

_MARKDOWN = re.compile(r"(#{1,6})[ \t]+(\S.*)$")
_UNDERLINE = re.compile(r"([=\-~^\"'*+#`:.])\1{2,}\s*$")
_LONGEST = 200


@dataclass(frozen=True, slots=True)
class Section:
    """A stretch of text, in characters, and the headings above it, the outermost first; the title left out."""

    start: int
    end: int
    path: tuple[str, ...]


def sections(document: Document) -> Iterator[Section]:
    """The stretches between headings, in order, none missing; the heading stands at its stretch's start."""
    text = document.text
    start, stack = 0, list[tuple[int, str]]()
    for heading, position in _headings(document):
        if position > start:
            yield Section(start, position, _path(stack, document.title))
        while stack and stack[-1][0] >= heading.level:
            stack.pop()
        stack.append((heading.level, " ".join(heading.text.split())))
        start = position
    yield Section(start, len(text), _path(stack, document.title))


class Places:
    """Where the lines and pages of a document begin."""

    def __init__(self, document: Document) -> None:
        text = document.text
        self._lines = array("q", (match.end() for match in re.finditer("\n", text)))
        breaks = [each for each in document.landmarks if isinstance(each, PageBreak)]
        characters = _characters(text, [each.start for each in breaks])
        self._pages, self._page_starts = [each.page for each in breaks], characters

    def locator(self, start: int, end: int) -> Locator:
        """The lines and pages of a stretch, in characters."""
        last = max(start, end - 1)
        first_line, last_line = (bisect_right(self._lines, each) + 1 for each in (start, last))
        return Locator(self._page(start), self._page(last), first_line, last_line)

    def _page(self, position: int) -> int:
        place = bisect_right(self._page_starts, position)
        return self._pages[place - 1] if place else 0


def byte_offsets(text: str, characters: Iterable[int]) -> dict[int, int]:
    """Where characters stand in the UTF-8 text, in one pass."""
    wanted = sorted(set(characters))
    if text.isascii():
        return {each: each for each in wanted}
    found, position, offset = dict[int, int](), 0, 0
    for each in wanted:
        offset += len(text[position:each].encode())
        found[each], position = offset, each
    return found


def _characters(text: str, offsets: list[int]) -> list[int]:
    """Rising byte offsets as characters, in one pass; what lies beyond the end stands at it."""
    if text.isascii() or not offsets:
        return offsets
    data, found, position, character = text.encode(), list[int](), 0, 0
    for each in offsets:
        character += len(data[position:each].decode(errors="ignore"))
        found.append(character)
        position = each
    return found


def _headings(document: Document) -> Iterator[tuple[Heading, int]]:
    """Each heading with the character it begins at."""
    if document.landmarks:
        given = [each for each in document.landmarks if isinstance(each, Heading)]
        yield from zip(given, _characters(document.text, [each.start for each in given]), strict=True)
    else:
        yield from _recognised(document.text)


def _recognised(text: str) -> Iterator[tuple[Heading, int]]:
    """Markdown's `# …`, and lines underlined as in reStructuredText, whose levels are in the order of appearance."""
    underlines: list[str] = []
    for block in blocks(text):
        if block.kind is not Kind.PROSE:
            continue
        first, _, rest = text[block.start : min(block.end, block.start + 2 * _LONGEST)].partition("\n")
        if markdown := _MARKDOWN.match(first.rstrip()):
            name = markdown[2][0] + markdown[2][1:].rstrip(" \t\r#")
            yield Heading(0, name[:_LONGEST], len(markdown[1])), block.start
            continue
        second = rest.partition("\n")[0]
        if not _UNDERLINE.match(first) and (found := _UNDERLINE.match(second)) and len(first) <= _LONGEST:
            if found[1] not in underlines:
                underlines.append(found[1])
            yield Heading(0, first.strip(), min(9, underlines.index(found[1]) + 1)), block.start


def _path(stack: list[tuple[int, str]], title: str) -> tuple[str, ...]:
    path = tuple(text for _, text in stack)
    return path[1:] if path and path[0] == title else path
