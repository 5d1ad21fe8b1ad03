"""Where people open what was found: a page of a file, lines of a text."""

from __future__ import annotations

from pathlib import Path

from tamis.ingest.ledger import MARK
from tamis.v1 import passage_pb2 as pb

__all__ = ["link", "place"]

_WRITTEN_IN_LINES = frozenset(("text", "markdown", "rst"))


def place(passage: pb.Passage, locator: pb.Locator, span: pb.ByteSpan | None = None) -> str:
    """`handbook.pdf p. 12`, `notes.md:34-36`, `table.csv:7`; without pages and lines that people see, the bytes."""
    name = passage.document_id
    metadata = passage.metadata
    if locator.first_page:
        return f"{name} p. {_range(locator.first_page, locator.last_page)}"
    if metadata["format"].string_value in _WRITTEN_IN_LINES if "format" in metadata else False:
        return f"{name}:{_range(locator.first_line, locator.last_line)}"
    if MARK in metadata and "line" in metadata and (line := metadata["line"].int_value):
        return f"{metadata['path'].string_value or name}:{line}"
    return f"{name}, bytes {span.start:,} to {span.end:,}" if span is not None and MARK not in metadata else name


def link(passage: pb.Passage) -> str:
    """The file it was read from as a `file:` address, if it is here; else nothing."""
    if MARK not in passage.metadata:
        return ""
    mark = passage.metadata[MARK].map_value.fields
    root, name = mark["root"].string_value, mark["path"].string_value
    path = Path(root).joinpath(*name.split("/")[1:])
    page = passage.locator.first_page
    return f"{path.as_uri()}{f'#page={page}' if page else ''}" if path.is_absolute() and path.is_file() else ""


def _range(first: int, last: int) -> str:
    return str(first) if last <= first else f"{first}-{last}"
