"""The reader of PDF."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby, islice
from pathlib import Path
from typing import Any

from tamis.locators import PAGE_END
from tamis.model import Document
from tamis.reading import Reader, Unreadable
from tamis_readers.outline import Outline, shortened

__all__ = ["PdfReader"]

_MOST_OUTLINE = 10_000
_HYPHEN = "￾"  # PDFium's mark of a word divided at the end of a line
_NO_TITLE = re.compile(r"(?i)^(?:untitled|microsoft word|.*\.(?:docx?|pdf|tex|dvi|indd|qxd|ps))\b")


class PdfReader(Reader):
    """The text of PDF files, by PDFium, page by page. The outline, if there is one, gives the headings."""

    suffixes = (".pdf",)
    format = "pdf"

    async def open(self) -> None:
        import pypdfium2  # noqa: F401

    def read(self, path: Path, name: str) -> Iterator[Document | Unreadable]:
        import pypdfium2

        try:
            file = pypdfium2.PdfDocument(path)
        except pypdfium2.PdfiumError as error:
            yield Unreadable(path, _reason(str(error)))
            return
        try:
            outline = _outlined(file, path)
        except pypdfium2.PdfiumError as error:
            yield Unreadable(path, _reason(str(error)))
            return
        if not outline.text.strip():
            yield Unreadable(path, "holds no text; if its pages are images, it needs text recognition first")
            return
        given = file.get_metadata_dict().get("Title", "")
        title = outline.title("" if _NO_TITLE.match(given) else given, path.stem)
        yield Document(name, outline.text, title, landmarks=tuple(outline.landmarks))


def _reason(message: str) -> str:
    if "password" in message.lower():
        return "is encrypted; its password is not known"
    return "is damaged, or is not a PDF file"


def _outlined(file: Any, path: Path) -> Outline:
    outline, count = Outline(), len(file)
    headings = _headings(file)
    for number in range(count):
        text = _page(file[number])
        outline.page(number + 1)
        _add(outline, text, headings.get(number, []))
        if number + 1 < count:
            ended = text.rstrip().endswith((".", "!", "?", ":", "。"))
            outline.add(f"\n\n{PAGE_END}" if ended or not text.strip() else f"\n{PAGE_END}")
    return outline


def _page(page: Any) -> str:
    text_page = page.get_textpage()
    try:
        text: str = text_page.get_text_range()
    finally:
        text_page.close()
        page.close()
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "").replace(PAGE_END, "\n")
    return text.replace(f"{_HYPHEN}\n", "").replace(_HYPHEN, "")


def _headings(file: Any) -> dict[int, list[tuple[str, int]]]:
    """Titles and levels of the outline, by page, from 0."""
    found = []
    for each in islice(file.get_toc(max_depth=9), _MOST_OUTLINE):
        destination = each.get_dest()
        page = destination.get_index() if destination else None
        if page is not None:
            found.append((page, each.get_title(), each.level + 1))
    found.sort(key=lambda entry: entry[0])
    return {page: [entry[1:] for entry in group] for page, group in groupby(found, key=lambda entry: entry[0])}


def _add(outline: Outline, text: str, headings: list[tuple[str, int]]) -> None:
    """A page's text, each heading where its words stand, else where the one before it stands."""
    position = 0
    for title, level in headings:
        words = shortened(title).split()
        pattern = r"\s+".join(map(re.escape, words[:20]))
        place = re.compile(pattern).search(text, position) if words else None
        if place:
            outline.add(text[position : place.start()])
            position = place.start()
        outline.heading(title, level)
    outline.add(text[position:])
