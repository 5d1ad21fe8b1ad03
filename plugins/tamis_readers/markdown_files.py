"""The reader of Markdown."""

from __future__ import annotations

import itertools
import re
from typing import Any

from tamis.model import Document
from tamis_readers.outline import Outline
from tamis_readers.text_files import TextFileReader

__all__ = ["MarkdownReader"]

_FRONT_MATTER = re.compile(r"---[ \t]*\r?\n(.*?)^(?:---|\.\.\.)[ \t]*\r?$", re.DOTALL | re.MULTILINE)
_TITLE = re.compile(r"^title:[ \t]*(\S.*?)[ \t\r]*$", re.MULTILINE)
_MOST_FRONT_MATTER = 16_384


class MarkdownReader(TextFileReader):
    """Markdown as it is written, so that lines are the file's lines; CommonMark's own parser finds the headings."""

    suffixes = (".md", ".markdown")
    format = "markdown"

    async def open(self) -> None:
        from markdown_it import MarkdownIt

        MarkdownIt("commonmark")

    def document(self, text: str, stem: str, name: str) -> Document:
        title, hidden = _front_matter(text)
        outline = _outlined(text, hidden)
        return Document(name, text, outline.title(title, stem), landmarks=tuple(outline.landmarks))


def _front_matter(text: str) -> tuple[str, int]:
    """The title that stands before the text, and how many lines what stands there takes."""
    found = _FRONT_MATTER.match(text, 0, _MOST_FRONT_MATTER)
    if not found:
        return "", 0
    title = _TITLE.search(found[1])
    return (title[1].strip("\"'") if title else ""), found[0].count("\n") + 1


def _outlined(text: str, hidden: int) -> Outline:
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark")
    # Lines as CommonMark counts them; the parser normalises all three line ends to one.
    lines = re.split("(?<=\n)|(?<=\r)(?!\n)", text)
    shown = ["\n"] * min(hidden, len(lines)) + lines[hidden:]
    environment: dict[str, Any] = {}
    parser.core.ruler.enableOnly(["normalize", "block"])
    tokens = parser.parse("".join(shown), environment)
    outline, line = Outline(), 0
    for token, inline in itertools.pairwise(tokens):
        if token.type == "heading_open" and token.map:
            outline.add("".join(lines[line : token.map[0]]))
            line = token.map[0]
            outline.heading(_plain(parser, inline.content, environment), int(token.tag[1:]))
    return outline


def _plain(parser: Any, content: str, environment: dict[str, Any]) -> str:
    """A heading's words, without what makes them bold or a link."""
    found: list[Any] = []
    parser.inline.parse(content, parser, environment, found)
    return "".join(each.content or (" " if "break" in each.type else "") for each in found)
