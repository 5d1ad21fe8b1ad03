"""Whether built pages say what the pages of the repository say: dialects of Markdown differ in lists and tables."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from markdown_it import MarkdownIt
from selectolax.lexbor import LexborHTMLParser, LexborNode

_MARKDOWN = MarkdownIt("commonmark").enable("table")
_ADDED = "a.headerlink, button, .md-code__nav"


def differences(source: str, built: str) -> Iterator[str]:
    """What a page in Markdown, read as GitHub reads it, has as a block and its HTML has not, or the other way round."""
    meant, shown = _blocks(LexborHTMLParser(_MARKDOWN.render(source)).body), _blocks(_article(built))
    yield from (f"is not shown so: {each}" for each in meant if each not in shown)
    yield from (f"is not meant so: {each}" for each in shown if each not in meant)


def page_of(name: str) -> Path:
    """Where the page of this name is built."""
    return Path(re.sub(r"README\.md$", "index.md", name)).with_suffix(".html")


def _article(built: str) -> LexborNode | None:
    article = LexborHTMLParser(built).css_first("article")
    for added in article.css(_ADDED) if article else ():
        added.decompose()
    return article


def _blocks(node: LexborNode | None) -> list[str]:
    """List items, cells, code and headings, each with its kind; paragraphs differ in what holds them alone."""
    found = node.css("li, td, th, pre, h1, h2, h3, h4") if node else []
    texts = ((each.tag, re.sub(r"\s+", " ", each.text()).strip(" ¶")) for each in found)
    return [f"{tag} {text[:100]}" for tag, text in texts if text]
