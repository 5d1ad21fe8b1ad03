"""Divides a passage into sentences, leaving out code, tables and headings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tamis.model import Span

__all__ = ["Sentence", "sentences"]

_PARAGRAPH = re.compile(r"(?:[^\n]*\S[^\n]*(?:\n|\Z))+")
_END = re.compile(r"(?<=[.!?。！？])[\"'”’)\]]*(?:\s+|\Z)|(?<=[。！？])")
_ABBREVIATION = re.compile(r"(?:\b(?:e\.g|i\.e|etc|vs|cf|approx|Mr|Mrs|Dr|No|Fig)|\b[A-Z])\.$")
_ITEM = re.compile(r"\s*(?:[*+\-•]|\d+[.)])\s+(?=\S)")
_CODE = re.compile(
    r"\s*(?:>>> |\.\.\. |\$ |#!|import \w|from \w+ import|def \w|class \w+.*:$"
    r"|[\w.]+\(.*\)(?:\s*->.*)?\s*$|[|+=\-~^*_`#]{3,})"
)


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence with its white space made single spaces, and where it stands in the text, in UTF-8 bytes."""

    text: str
    span: Span


def sentences(text: str) -> Iterator[Sentence]:
    """The sentences of a text, in order, none overlapping."""
    offset = _ByteOffsets(text)
    for start, end in _prose(text):
        for first, last in _divided(text, start, end):
            words = " ".join(text[first:last].split())
            if words:
                yield Sentence(words, Span(offset(first), offset(last)))


def _prose(text: str) -> Iterator[tuple[int, int]]:
    """Paragraphs and list items, without lines that look like code."""
    for match in _PARAGRAPH.finditer(text):
        start = position = match.start()
        for line in match[0].splitlines(keepends=True):
            if _CODE.match(line) or (item := _ITEM.match(line)):
                yield start, position
                start = position + (len(line) if _CODE.match(line) else item.end() if item else 0)
            position += len(line)
        yield start, position


def _divided(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    for match in _END.finditer(text, start, end):
        if match.start() > start and not _ABBREVIATION.search(text, max(start, match.start() - 10), match.start()):
            yield _stripped(text, start, match.end())
            start = match.end()
    yield _stripped(text, start, end)


def _stripped(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end


class _ByteOffsets:
    """Character offsets, asked for in rising order, as byte offsets."""

    def __init__(self, text: str) -> None:
        self._text, self._characters, self._bytes = text, 0, 0

    def __call__(self, characters: int) -> int:
        self._bytes += len(self._text[self._characters : characters].encode())
        self._characters = characters
        return self._bytes
