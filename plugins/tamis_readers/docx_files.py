"""The reader of Word files."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tamis.model import Document
from tamis.reading import Reader, Unreadable
from tamis_readers.outline import Outline

__all__ = ["DocxReader"]

_MOST_UNPACKED = 1 << 29
_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_HEADING = re.compile(r"(?i)heading (\d)$")


class DocxReader(Reader):
    """Paragraphs, headings by their style, lists and tables of the body of Word files."""

    suffixes = (".docx",)
    format = "docx"

    async def open(self) -> None:
        import docx  # noqa: F401

    def read(self, path: Path, name: str) -> Iterator[Document | Unreadable]:
        import docx
        from docx.opc.exceptions import PackageNotFoundError
        from lxml.etree import LxmlError

        try:
            with zipfile.ZipFile(path) as archive:
                size = sum(each.file_size for each in archive.infolist())
            if size > _MOST_UNPACKED:
                yield Unreadable(path, f"unpacks to more than {_MOST_UNPACKED >> 20} MiB")
                return
            file = docx.Document(str(path))
            outline = _outlined(file)
            title = outline.title(file.core_properties.title or "", path.stem)
        except (zipfile.BadZipFile, PackageNotFoundError, LxmlError, EOFError, NotImplementedError) as error:
            yield Unreadable(path, _reason(path, error))
        except (KeyError, ValueError, AttributeError, TypeError, IndexError, RuntimeError, zipfile.zlib.error) as error:  # type: ignore[attr-defined]
            # python-docx trusts what it finds in the package: parts that are missing or of another kind end like this.
            yield Unreadable(path, _reason(path, error))
        else:
            if outline.text.strip():
                yield Document(name, outline.text, title, landmarks=tuple(outline.landmarks))
            else:
                yield Unreadable(path, "holds no text")


def _reason(path: Path, error: Exception) -> str:
    with path.open("rb") as file:
        start = file.read(8)
    if start.startswith(b"\xd0\xcf\x11\xe0"):
        return "is encrypted, or in the format of Word before 2007"
    return f"is damaged, or is not a Word file ({type(error).__name__})"


def _outlined(file: Any) -> Outline:
    outline, styles = Outline(), dict[str | None, str]()
    for element in _elements(file.element.body):
        if element.tag == f"{_W}p":
            _add_paragraph(outline, element, _style(file, element, styles))
        elif element.tag == f"{_W}tbl":
            rows = [[_text(cell) for cell in row.iterchildren(f"{_W}tc")] for row in element.iterchildren(f"{_W}tr")]
            outline.add("".join(f"| {' | '.join(' '.join(cell.split()) for cell in row)} |\n" for row in rows) + "\n")
    return outline


def _elements(body: Any) -> Iterator[Any]:
    """What stands in the body, what stands in its content controls included."""
    waiting = list(reversed(body))
    while waiting:
        element = waiting.pop()
        if element.tag == f"{_W}sdt":
            waiting.extend(reversed([each for content in element.iterchildren(f"{_W}sdtContent") for each in content]))
        else:
            yield element


def _style(file: Any, element: Any, styles: dict[str | None, str]) -> str:
    """The name of a paragraph's style; looked up once, for the library searches all styles each time."""
    key = element.style
    if key not in styles:
        found = file.styles.get_by_id(key, 1) if key else None
        styles[key] = (found.name or "") if found is not None else ""
    return styles[key]


def _add_paragraph(outline: Outline, element: Any, style: str) -> None:
    text = _text(element)
    if not text.strip():
        return
    heading = _HEADING.match(style)
    if heading or style == "Title":
        outline.heading(text, int(heading[1]) if heading else 1)
    is_item = style.startswith("List") or element.find(f"{_W}pPr/{_W}numPr") is not None
    outline.add(f"- {text}\n" if is_item and not heading else f"{text}\n\n")


def _text(element: Any) -> str:
    """The words of a paragraph or cell, deleted ones left out."""
    parts: list[str] = []
    for each in element.iter(f"{_W}t", f"{_W}tab", f"{_W}br", f"{_W}cr", f"{_W}p"):
        if each.tag == f"{_W}t":
            parts.append(each.text or "")
        elif each is not element:
            parts.append("\t" if each.tag == f"{_W}tab" else "\n")
    return "".join(parts).strip("\n")
