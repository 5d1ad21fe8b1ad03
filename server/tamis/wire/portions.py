"""Divides what is sent into messages that are not too large."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

__all__ = ["MOST_BYTES", "portions"]

T = TypeVar("T")

MOST_BYTES = 1 << 20
"""How large a message may grow before another one is begun."""


def portions(items: Iterable[tuple[T, int]], *, most: int = MOST_BYTES) -> Iterator[list[T]]:
    """Items, each with its size, in groups of at most `most` bytes or of one item. None is empty."""
    group: list[T] = []
    size = 0
    for item, count in items:
        if group and size + count > most:
            yield group
            group, size = [], 0
        group.append(item)
        size += count
    if group:
        yield group
