"""Byte spans of the wire in Python's units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

__all__ = ["Span", "text_of"]


class _Bounds(Protocol):
    @property
    def start(self) -> int: ...
    @property
    def end(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Span:
    """A half-open range of UTF-8 bytes that never cuts a character."""

    start: int
    end: int

    def of(self, text: str) -> str:
        """The part of `text` that it covers."""
        return text_of(self, text)

    def characters(self, text: str) -> slice:
        """The same part of `text`, counted in characters as Python does: `text[span.characters(text)]`."""
        packed = text.encode()
        return slice(len(packed[: self.start].decode()), len(packed[: self.end].decode()))


def text_of(span: _Bounds, text: str) -> str:
    """The part of `text` that a span of UTF-8 bytes covers; `span` may also be a `ByteSpan` message."""
    return text.encode()[span.start : span.end].decode()
