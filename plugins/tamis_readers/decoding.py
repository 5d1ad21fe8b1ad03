"""Bytes as text, in UTF-8 or in an encoding that has to be found out."""

from __future__ import annotations

import codecs
import re

__all__ = ["MOST_BYTES", "NotText", "decoded"]

MOST_BYTES = 32 << 20
"""What the text of one document may have."""

_SAMPLE = 1 << 18
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_DECLARED = re.compile(rb"<meta[^>]{0,200}charset\s*=\s*[\"']?\s*([A-Za-z0-9_.:-]{1,40})", re.IGNORECASE)


class NotText(Exception):
    """Why bytes are no text, in one line for people."""


def decoded(data: bytes, *, is_html: bool = False) -> str:
    """The text without its byte order mark. Raises `NotText`.

    UTF-8 is tried first, then what an HTML page declares, then what charset-normalizer finds likely.
    """
    for mark, name in _MARKS:
        if data.startswith(mark):
            return _strict(data[len(mark) :], name)
    if b"\0" in data:
        raise NotText("is not text: it holds zero bytes")
    try:
        return data.decode()
    except UnicodeDecodeError:
        pass
    if is_html and (declared := _DECLARED.search(data, 0, 4_096)) and (name := _known(declared[1].decode())):
        return data.decode(name, errors="replace")
    return _strict(data, _likely(data))


def _known(name: str) -> str:
    """The codec of a charset's name, as browsers read it; empty if there is none for text."""
    if name.lower() in ("iso-8859-1", "latin1", "us-ascii", "ascii"):
        return "cp1252"
    try:
        found = codecs.lookup(name)
    except LookupError:
        return ""
    return found.name if getattr(found, "_is_text_encoding", True) else ""


def _likely(data: bytes) -> str:
    from charset_normalizer import from_bytes

    # A sample that ends within a character would rule out the very encoding that it is in.
    sample = data if len(data) <= _SAMPLE else data[: data.rfind(b"\n", 0, _SAMPLE) + 1] or data[:_SAMPLE]
    best = from_bytes(sample).best()
    if best is None:
        raise NotText("is not text in UTF-8 or in any encoding that could be recognised")
    return best.encoding


def _strict(data: bytes, encoding: str) -> str:
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise NotText(f"is not {encoding} throughout (byte {error.start})") from None
    if "\0" in text:
        raise NotText("is not text: it holds zero bytes")
    return text
