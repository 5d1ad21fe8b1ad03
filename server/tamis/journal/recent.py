"""What was read lately and still holds, so that it need not be read again."""

from __future__ import annotations

import threading
from collections.abc import Generator, Hashable, Mapping, Sequence, Set
from contextlib import contextmanager
from itertools import count
from typing import Any

from tamis.model import Passage, Value

__all__ = ["Recent", "size_of"]

_MOST_EDITIONS = 10_000
_SIZE_OF_ONE, _SIZE_OF_VALUE = 500, 50  # what a passage, and a value of its metadata, take beside their texts
_CHANGING = 0  # the edition of what is being changed: nothing is kept of it


class Recent:
    """Values read of collections, at most so many characters of them; those kept longest go first.

    An edition is a collection between two commits that change it. What belongs to one is forgotten before the next
    commit begins, and nothing is kept until that has ended: whoever asks is given what he would have read, or nothing.
    Safe from any thread.
    """

    def __init__(self, most: int) -> None:
        """With 0 nothing is ever kept."""
        self._most, self._size = most, 0
        self._guard = threading.Lock()
        self._numbers = count(_CHANGING + 1)
        self._editions: dict[str, int] = {}
        self._changing: Set[str] | None = frozenset()
        self._values: dict[Hashable, tuple[Any, int]] = {}

    def __len__(self) -> int:
        """How many values are kept."""
        return len(self._values)

    def edition(self, collection: str) -> int:
        """Ask for it before reading what is to be kept under it."""
        with self._guard:
            if not self._most or self._changing is None or collection in self._changing:
                return _CHANGING
            if (found := self._editions.get(collection)) is None:
                if len(self._editions) >= _MOST_EDITIONS:  # anybody may ask for any name
                    self._editions.clear()
                found = self._editions[collection] = next(self._numbers)
            return found

    def get(self, edition: int, *key: Hashable) -> Any:
        """What was kept, or None."""
        found = self._values.get((edition, *key))
        return None if found is None else found[0]

    def keep(self, value: object, size: int, edition: int, *key: Hashable) -> None:
        """Keeps what was read since the edition was asked for."""
        if edition == _CHANGING or size > self._most:
            return
        with self._guard:
            if (edition, *key) not in self._values:
                self._values[(edition, *key)] = value, size
                self._size += size
                while self._size > self._most:
                    self._size -= self._values.pop(next(iter(self._values)))[1]

    @contextmanager
    def changing(self, collections: Set[str] | None) -> Generator[None, None, None]:
        """Around a commit that changes these collections, None standing for any. One at a time."""
        with self._guard:
            self._changing = collections
            for each in list(self._editions) if collections is None else collections:
                self._editions.pop(each, None)
        try:
            yield
        finally:
            with self._guard:
                self._changing = frozenset()


def size_of(passage: Passage) -> int:
    """About how many characters a passage takes in memory."""
    texts = (passage.text, passage.title, passage.heading, *passage.heading_path)
    return _SIZE_OF_ONE + sum(map(len, texts)) + _size_of_value(passage.metadata)


def _size_of_value(value: Value) -> int:
    if isinstance(value, str):
        return _SIZE_OF_VALUE + len(value)
    if isinstance(value, Mapping):
        return _SIZE_OF_VALUE + sum(len(key) + _size_of_value(each) for key, each in value.items())
    if isinstance(value, Sequence):
        return _SIZE_OF_VALUE + sum(map(_size_of_value, value))
    return _SIZE_OF_VALUE
