"""Byte spans of the wire in Python's units."""

from __future__ import annotations

from tamis.v1 import passage_pb2

__all__ = ["text_of"]


def text_of(span: passage_pb2.ByteSpan, text: str) -> str:
    """The part of `text` that a span of UTF-8 bytes covers."""
    return text.encode()[span.start : span.end].decode()
