"""Splits a document into passages short enough to rank, on headings, paragraphs and sentences."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tamis.model import Document, Passage, Span

__all__ = ["split"]

TARGET = 900
"""Characters a passage aims at: about what a small encoder reads (256 tokens of English)."""

_MARKDOWN_HEADING = re.compile(r"#{1,6}[ \t]+(\S.*)$")
_UNDERLINE = re.compile(r"([=\-~^\"'*+#`:.])\1{2,}\s*$")
_BLOCK = re.compile(r"^(?:[^\n]*\S[^\n]*(?:\n|\Z))+", re.MULTILINE)  # the ^ keeps a blank line from costing its square
_SENTENCE_END = re.compile(r"(?<=[.!?。！？])[\"')\]]*\s+|\n")


@dataclass(frozen=True, slots=True)
class _Block:
    """A run of lines without an empty one, as character offsets; `heading` is what stands above it."""

    start: int
    end: int
    heading: str


def split(document: Document) -> tuple[Passage, ...]:
    """The passages of a document, in order, none overlapping, together covering all but white space.

    The same document always splits the same way, in time linear in its length. A document with a title and no text
    becomes one passage with an empty text, so that its title can be found; an empty one becomes none.
    """
    text = document.text
    pieces = [(start, end, heading) for start, end, heading in _pieces(text) if text[start:end].strip()]
    if not pieces:
        return (_passage(document, 0, "", Span(0, 0), ""),) if document.title else ()
    spans = _byte_spans(text, [(start, end) for start, end, _ in pieces])
    return tuple(
        _passage(document, ordinal, text[start:end], span, heading)
        for ordinal, ((start, end, heading), span) in enumerate(zip(pieces, spans, strict=True))
    )


def _passage(document: Document, ordinal: int, text: str, span: Span, heading: str) -> Passage:
    heading = "" if heading == document.title else heading
    return Passage(
        f"{document.id}#{ordinal}",
        document.id,
        document.version,
        text,
        document.title,
        heading,
        span,
        document.metadata,
    )


def _pieces(text: str) -> Iterator[tuple[int, int, str]]:
    """Neighbouring blocks under one heading, merged up to the target; blocks above it, divided."""
    current: _Block | None = None
    for block in _blocks(text):
        for start, end in _divided(text, block.start, block.end):
            fits = current is not None and current.heading == block.heading and end - current.start <= TARGET
            if current is not None and not fits:
                yield current.start, current.end, current.heading
            current = _Block(current.start if fits and current else start, end, block.heading)
    if current is not None:
        yield current.start, current.end, current.heading


def _blocks(text: str) -> Iterator[_Block]:
    """Runs of non-empty lines. A heading begins a new run and names those that follow."""
    heading = ""
    for match in _BLOCK.finditer(text):
        start = match.start()
        found = _heading(match[0])
        if found is not None:
            heading = found
        end = match.end()
        while end > start and text[end - 1].isspace():
            end -= 1
        yield _Block(start, end, heading)


def _heading(block: str) -> str | None:
    """The heading that a block begins with: Markdown's `# …`, or reStructuredText's underlined line."""
    first, _, rest = block.partition("\n")
    if markdown := _MARKDOWN_HEADING.match(first):
        return markdown[1][0] + markdown[1][1:].rstrip(" \t\r#")
    second = rest.partition("\n")[0]
    if first.strip() and not _UNDERLINE.match(first) and _UNDERLINE.match(second) and len(first) <= 200:
        return first.strip()
    return None


def _divided(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Parts of at most the target length, cut after a sentence or a line, else at a space, else anywhere."""
    while end - start > TARGET:
        cut = _cut(text, start)
        stop = cut
        while stop > start and text[stop - 1].isspace():
            stop -= 1
        yield start, stop
        start = cut
        while start < end and text[start].isspace():
            start += 1
    if start < end:
        yield start, end


def _cut(text: str, start: int) -> int:
    ends = [match.end() for match in _SENTENCE_END.finditer(text, start + TARGET // 2, start + TARGET)]
    if ends:
        return ends[-1]
    space = text.rfind(" ", start + TARGET // 2, start + TARGET)
    return space + 1 if space > start else start + TARGET


def _byte_spans(text: str, ranges: list[tuple[int, int]]) -> list[Span]:
    """Character ranges, in order and apart, as UTF-8 byte spans, in one pass."""
    spans, position, offset = list[Span](), 0, 0
    for start, end in ranges:
        offset += len(text[position:start].encode())
        length = len(text[start:end].encode())
        spans.append(Span(offset, offset + length))
        offset, position = offset + length, end
    return spans
