"""Divides long texts where tokenizers lose nothing: at white space."""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["windows"]

_LOOK_BACK = 1_024


def windows(text: str, size: int = 1 << 16) -> Iterator[tuple[int, str]]:
    """Where each window begins, in characters, and its text; about `size` characters each, in order, none missing.

    A window begins with a line or a word where there is one, else anywhere.
    """
    start = 0
    while len(text) - start > size:
        end = start + size
        cut = max(text.rfind("\n", end - _LOOK_BACK, end), text.rfind(" ", end - _LOOK_BACK, end))
        end = cut if cut > start else end
        yield start, text[start:end]
        start = end
    yield start, text[start:]
