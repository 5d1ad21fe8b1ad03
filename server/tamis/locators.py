"""Where in a document a part of a passage stands, on which pages and lines."""

from __future__ import annotations

from tamis.model import Locator, Passage, Span

__all__ = ["PAGE_END", "located"]

PAGE_END = "\f"
"""What readers put between two pages, so that they can be counted in a passage; white space otherwise."""


def located(passage: Passage, span: Span) -> Locator:
    """The pages and lines of `span`, a part of the document inside the passage's own span.

    Lines are exact. Pages are where the passage's text marks each of its page ends by a form feed; else they are all
    the passage's pages. Nothing is known of a passage that says nothing of itself.
    """
    whole = passage.locator
    if whole == Locator():
        return whole
    data, start = passage.text.encode(), passage.span.start
    before, inside = data[: span.start - start], data[span.start - start : span.end - start].rstrip()
    line = whole.first_line + before.count(b"\n") if whole.first_line else 0
    last_line = line + inside.count(b"\n") if line else 0
    first_page, last_page = whole.first_page, whole.last_page
    if first_page and passage.text.count(PAGE_END) == last_page - first_page:
        first_page += before.count(PAGE_END.encode())
        last_page = first_page + inside.count(PAGE_END.encode())
    return Locator(first_page, last_page, line, last_line)
