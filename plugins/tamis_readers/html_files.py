"""The reader of HTML."""

from __future__ import annotations

import re
from typing import Any

from tamis.model import Document
from tamis_readers.outline import Outline, shortened
from tamis_readers.text_files import TextFileReader

__all__ = ["HtmlReader"]

_LEFT_OUT = frozenset(
    [
        "script",
        "style",
        "noscript",
        "template",
        "nav",
        "head",
        "svg",
        "math",
        "canvas",
        "iframe",
        "object",
        "embed",
        "audio",
        "video",
        "select",
        "button",
        "textarea",
        "input",
        "dialog",
        "datalist",
        "map",
    ]
)
_BLOCKS = frozenset(
    [
        "address",
        "article",
        "aside",
        "blockquote",
        "body",
        "caption",
        "details",
        "dd",
        "div",
        "dl",
        "dt",
        "fieldset",
        "figcaption",
        "figure",
        "footer",
        "form",
        "header",
        "hr",
        "html",
        "legend",
        "main",
        "ol",
        "p",
        "section",
        "summary",
        "table",
        "tbody",
        "tfoot",
        "thead",
        "ul",
    ]
)
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_ROLES = frozenset(("navigation", "search", "banner", "contentinfo"))
_SPACE = re.compile(r"\s+")


class HtmlReader(TextFileReader):
    """What a page says, as text: blocks apart, lists, tables and code kept, scripts and navigation left out."""

    suffixes = (".html", ".htm", ".xhtml")
    format = "html"
    is_html = True

    async def open(self) -> None:
        from selectolax.lexbor import LexborHTMLParser

        LexborHTMLParser("")

    def document(self, text: str, stem: str, name: str) -> Document:
        from selectolax.lexbor import LexborHTMLParser

        parser: Any = LexborHTMLParser(text)
        title = parser.css_first("title")
        page = _Page()
        main = parser.css("main, [role=main]")
        page.walk(main[0] if len(main) == 1 else parser.body)
        if len(main) == 1 and not page.outline.text.strip():
            page = _Page()
            page.walk(parser.body)
        given = shortened(title.text()) if title is not None else ""
        outline = page.outline
        return Document(name, outline.text, outline.title(given, stem), landmarks=tuple(outline.landmarks))


class _Page:
    """The text of a page as it is put together, in one walk that no depth of nesting makes recursive."""

    def __init__(self) -> None:
        self.outline = Outline()
        self._gap = 0  # line ends that go before the next word
        self._space = False
        self._pre = 0
        self._lists: list[int | None] = []
        self._prefix = ""
        self._heading: tuple[int, int, int] | None = None

    def walk(self, root: Any) -> None:
        """Adds everything below `root`."""
        node, going_down = root, root is not None
        while node is not None:
            if going_down and self._enter(node) and (child := node.first_child) is not None:
                node = child
                continue
            if not (going_down and not self._entered):
                self._leave(node)
            if node is root or node.mem_id == root.mem_id:
                return
            following = node.next
            node, going_down = (following, True) if following is not None else (node.parent, False)

    def _enter(self, node: Any) -> bool:
        """Whether what is inside counts."""
        tag = node.tag
        self._entered = True
        if node.is_text_node:
            self._words(node.text_content or "")
            self._entered = False
            return False
        if node.is_comment_node or tag in _LEFT_OUT or _is_aside(node, tag):
            self._entered = False
            return False
        self._begin(tag, node)
        return True

    def _begin(self, tag: str, node: Any) -> None:
        if tag in _HEADINGS:
            self._break(2)
            self._heading = (_HEADINGS[tag], len(self.outline.parts), self.outline.size)
        elif tag == "pre":
            self._break(2)
            self._put("```\n")
            self._pre += 1
        elif tag in ("li", "tr"):
            self._break(1)
            self._prefix = "| " if tag == "tr" else self._item()
        elif tag in ("td", "th"):
            if not self._prefix:
                self._put(" | ")
        elif tag == "br":
            self._gap, self._space = max(self._gap, 1), False
        elif tag in _BLOCKS:
            if not self._prefix:  # what begins an item or a row stands beside its mark
                self._break(1 if tag in ("dd", "dt", "ul", "ol") and self._lists else 2)
            if tag in ("ul", "ol"):
                self._lists.append(0 if tag == "ol" else None)

    def _leave(self, node: Any) -> None:
        tag = node.tag
        if tag in _HEADINGS and self._heading is not None:
            self._end_heading()
        elif tag == "pre":
            self._pre -= 1
            self._gap = 0
            self._put("```" if self.outline.parts[-1].endswith("\n") else "\n```")
            self._break(2)
        elif tag == "tr":
            if not self._prefix:
                self._put(" |")
            self._prefix = ""
            self._break(1)
        elif tag == "li":
            self._prefix = ""
            self._break(1)
        elif tag in _BLOCKS:
            if tag in ("ul", "ol") and self._lists:
                self._lists.pop()
            self._break(1 if tag in ("dd", "dt") or self._lists else 2)

    def _end_heading(self) -> None:
        level, first, _ = self._heading or (1, 0, 0)
        self._heading = None
        text = "".join(self.outline.parts[first:])
        leading = len(text) - len(text.lstrip())
        size = self.outline.size
        self.outline.size -= len(text[leading:].encode())
        self.outline.heading(text, level)
        self.outline.size = size
        self._break(2)

    def _words(self, text: str) -> None:
        if self._pre:
            if text:
                self._flush()
                self.outline.add(text)
            return
        words = _SPACE.sub(" ", text)
        if not words.strip():
            self._space = self._space or bool(words)
            return
        if words[0] == " " or self._space:
            self._space = True
        self._put(words.strip())
        self._space = words[-1] == " "

    def _put(self, text: str) -> None:
        self._flush()
        self.outline.add(text)

    def _flush(self) -> None:
        """What stands between the last word and the next one."""
        if self._gap and self.outline.parts:
            self.outline.add("\n" * self._gap)
        elif self._space and self.outline.parts:
            self.outline.add(" ")
        self._gap, self._space = 0, False
        if self._prefix:
            self.outline.add(self._prefix)
            self._prefix = ""

    def _break(self, lines: int) -> None:
        self._gap, self._space = max(self._gap, lines), False

    def _item(self) -> str:
        if not self._lists:
            return "- "
        indent = "  " * min(len(self._lists) - 1, 8)
        count = self._lists[-1]
        if count is None:
            return f"{indent}- "
        self._lists[-1] = count + 1
        return f"{indent}{count + 1}. "


def _is_aside(node: Any, tag: str) -> bool:
    """Navigation, what is hidden, and the signs beside headings that link to them."""
    attributes = node.attributes
    if not attributes:
        return False
    if tag == "a":
        return bool({"headerlink", "anchor"} & set((attributes.get("class") or "").split()))
    return attributes.get("role") in _ROLES or "hidden" in attributes
