"""The reader of reStructuredText."""

from __future__ import annotations

import re

from tamis.model import Document
from tamis_readers.outline import Outline
from tamis_readers.text_files import TextFileReader

__all__ = ["RstReader"]

_ADORNMENT = re.compile(r"([!-/:-@\[-`{-~])\1{2,}[ \t\r]*$")


class RstReader(TextFileReader):
    """reStructuredText as it is written, so that lines are the file's lines. Nothing in it is run or included."""

    suffixes = (".rst",)
    format = "rst"

    def document(self, text: str, stem: str, name: str) -> Document:
        outline = _outlined(text.split("\n"))
        return Document(name, text, outline.title("", stem), landmarks=tuple(outline.landmarks))


def _outlined(lines: list[str]) -> Outline:
    """Titles as docutils finds them: underlined or framed, levels in the order of appearance."""
    outline, styles, begun, number = Outline(), list[tuple[str, bool]](), 0, 0
    while number < len(lines):
        found = _framed(lines, number) or _underlined(lines, number)
        if found is None:
            number += 1
            continue
        text, style, length = found
        if style not in styles:
            styles.append(style)
        outline.add("".join(f"{each}\n" for each in lines[begun:number]))
        outline.heading(text, styles.index(style) + 1)
        begun, number = number, number + length
    return outline


def _framed(lines: list[str], number: int) -> tuple[str, tuple[str, bool], int] | None:
    if number + 2 >= len(lines):
        return None
    over, under = _ADORNMENT.match(lines[number]), _ADORNMENT.match(lines[number + 2])
    text = lines[number + 1].strip()
    if over and under and over[1] == under[1] and text and len(text) <= len(over[0].rstrip()):
        return text, (over[1], True), 3
    return None


def _underlined(lines: list[str], number: int) -> tuple[str, tuple[str, bool], int] | None:
    text = lines[number].rstrip()
    if not text or text[0].isspace() or number + 1 >= len(lines) or _ADORNMENT.match(text):
        return None
    under = _ADORNMENT.match(lines[number + 1])
    follows_blank = number == 0 or not lines[number - 1].strip() or _ADORNMENT.match(lines[number - 1])
    if under and follows_blank and len(under[0].rstrip()) >= min(len(text), 200) - 1:
        return text, (under[1], False), 2
    return None
