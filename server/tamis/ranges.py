"""Ordered values as places in a trie, and ranges of them as few of its nodes, for indexes that can look terms up.

After Schindler and Diepenbroek, "Generic XML-based framework for metadata portals" (Computers & Geosciences, 2008).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import inf, nextafter
from typing import TypeAlias, Union

__all__ = ["TRIE", "Node", "Ordered", "Trie", "instant"]

Ordered: TypeAlias = Union[int, float, str, datetime]
"""Values that have an order. Integers are 64-bit signed, floats finite, datetimes aware."""

Node: TypeAlias = tuple[int, int]
"""A level, and the leading bits that all values below the node share. One level more than there are stands for what is
in a leaf and is not the first value there."""

_MICROSECOND = timedelta(microseconds=1)
_BEGINNING = datetime(1, 1, 1, tzinfo=UTC)
_DAY = 86_400  # an offset may put an instant a day before the first one of UTC


@dataclass(frozen=True, slots=True)
class Trie:
    """Each type's values in their order, divided again and again into `2 ** step` parts, `levels` times.

    What is left in one leaf is not ordered any further, but its first value is told from the others. So a range that
    ends at a first value is exact. With 40 bits, first are whole seconds, strings of five bytes at most that do not end
    with a NUL, and numbers of at most 29 binary digits, as all integers below 2^29 are. Any other range is known from
    outside and from inside, and the two differ by values in the leaf of its end alone.
    """

    step: int
    levels: int

    def nodes(self, value: Ordered) -> Iterator[Node]:
        """Every node that the value is below."""
        leaf, is_first = self._place(value)
        for level in range(1, self.levels + 1):
            yield level, leaf >> self.step * (self.levels - level)
        if not is_first:
            yield self.levels + 1, leaf

    def less(self, value: Ordered, *, outer: bool) -> Iterator[Node]:
        """Nodes that every lesser value is below one of; if not `outer`, nodes that only lesser values are below."""
        leaf, is_first = self._place(value)
        for level, prefix, digit in self._digits(leaf):
            yield from ((level, prefix - each) for each in range(1, digit + 1))
        if outer and not is_first:
            yield self.levels, leaf

    def greater(self, value: Ordered, *, outer: bool) -> Iterator[Node]:
        """Nodes that every greater value is below one of; if not `outer`, nodes that only greater values are below."""
        leaf, is_first = self._place(value)
        for level, prefix, digit in self._digits(leaf):
            yield from ((level, prefix + each) for each in range(1, 2**self.step - digit))
        if outer or is_first:
            yield self.levels + 1, leaf

    def _digits(self, leaf: int) -> Iterator[tuple[int, int, int]]:
        for level in range(1, self.levels + 1):
            prefix = leaf >> self.step * (self.levels - level)
            yield level, prefix, prefix & (2**self.step - 1)

    def _place(self, value: Ordered) -> tuple[int, bool]:
        """The leaf, which never falls while the value grows, and whether the value is the first in it."""
        bits = self.step * self.levels
        if isinstance(value, str):
            return _string(value, bits)
        if isinstance(value, datetime):
            return _cut(*divmod(instant(value), 1_000_000), 40, bits)
        return _cut(*_number(value), 64, bits)


TRIE = Trie(step=4, levels=10)
"""What indexes are made with: whole seconds, integers below 2^29 and strings of up to five bytes are exact."""


def instant(value: datetime) -> int:
    """Microseconds, from the day before the first one; equal exactly for equal instants."""
    return (value - _BEGINNING) // _MICROSECOND + _DAY * 1_000_000


def _number(value: float) -> tuple[int, int]:
    """64 bits in the order of floats, -0.0 as 0.0; then whether the value, an integer, is above that float."""
    number = float(value)
    if number > value:
        number = nextafter(number, -inf)
    (bits,) = struct.unpack(">q", struct.pack(">d", abs(number)))
    return (bits if number >= 0 else -bits) + (1 << 63), int(number != value)


def _cut(key: int, rest: int, width: int, bits: int) -> tuple[int, bool]:
    """The leading `bits` of a key as wide as `width`, and whether nothing else is left of it."""
    leaf = key >> width - bits if bits <= width else key << bits - width
    whole = leaf << width - bits if bits <= width else key
    return leaf, whole == key and not rest


def _string(value: str, bits: int) -> tuple[int, bool]:
    """The leading bits in UTF-8, whose order is that of code points, with NULs for what is missing."""
    text = value.encode(errors="surrogatepass")
    length = -(-bits // 8)
    leaf = int.from_bytes(text[:length].ljust(length, b"\0"), "big")
    return _cut(leaf, len(text) > length or text.endswith(b"\0"), 8 * length, bits)
