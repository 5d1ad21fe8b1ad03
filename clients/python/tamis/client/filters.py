"""Filters as expressions: `(field("year") >= 2020) & field("lang").one_of(["de", "en"])`.

Values travel as values and never as syntax, so that no value can mean anything but itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NoReturn, TypeAlias

from tamis.client.values import Value, from_value, to_value
from tamis.v1 import filter_pb2, value_pb2
from tamis.v1 import search_service_pb2 as pb

__all__ = ["Boost", "Field", "Filter", "Scalar", "SortKey", "all_of", "any_of", "field", "field_named"]

Scalar: TypeAlias = None | bool | int | float | str | datetime
"""What a field is compared with."""


class Filter:
    """A condition on a document's metadata. Joined by `&`, `|` and `~`; immutable, and made from a `field`."""

    __slots__ = ("_message",)

    def __init__(self, message: filter_pb2.Filter) -> None:
        self._message = message

    @property
    def message(self) -> filter_pb2.Filter:
        """A copy, as it is sent."""
        copied = filter_pb2.Filter()
        copied.CopyFrom(self._message)
        return copied

    def __and__(self, other: Filter) -> Filter:
        return all_of([self, other])

    def __or__(self, other: Filter) -> Filter:
        return any_of([self, other])

    def __invert__(self) -> Filter:
        message = filter_pb2.Filter()
        getattr(message, "not").CopyFrom(self._message)
        return Filter(message)

    def __bool__(self) -> NoReturn:
        raise TypeError("a filter is true or false of a document only: join filters by & | ~, not by and, or, not")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Filter) and self._message == other._message

    def __hash__(self) -> int:
        return hash(self._message.SerializeToString(deterministic=True))

    def __repr__(self) -> str:
        return f"Filter({_shown(self._message)})"


class SortKey:
    """An order by a field: `field("year").descending()`."""

    __slots__ = ("message",)

    def __init__(self, message: pb.SortKey) -> None:
        self.message = message


class Boost:
    """What raises hits: `field("updated").recent(timedelta(days=30))`, or a condition: `Boost.where(filter, 0.2)`."""

    __slots__ = ("message",)

    def __init__(self, message: pb.Boost) -> None:
        self.message = message

    @classmethod
    def where(cls, condition: Filter, weight: float = 1.0) -> Boost:
        """Adds `weight`, -10 to 10 and not 0, where the condition holds."""
        return cls(pb.Boost(weight=weight, condition=condition.message))


class Field:
    """A field of the metadata, to be compared. `==` and the other operators make a `Filter`.

    `!=` is the opposite of `==`: it also holds where the field is missing. A list matches when any element does.
    """

    __slots__ = ("_path",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, path: str) -> None:
        self._path = path

    def __eq__(self, value: Scalar) -> Filter:  # type: ignore[override]
        return self._compared(filter_pb2.COMPARISON_OPERATOR_EQUAL, value)

    def __ne__(self, value: Scalar) -> Filter:  # type: ignore[override]
        return self._compared(filter_pb2.COMPARISON_OPERATOR_NOT_EQUAL, value)

    def __lt__(self, value: Scalar) -> Filter:
        return self._compared(filter_pb2.COMPARISON_OPERATOR_LESS, value)

    def __le__(self, value: Scalar) -> Filter:
        return self._compared(filter_pb2.COMPARISON_OPERATOR_LESS_OR_EQUAL, value)

    def __gt__(self, value: Scalar) -> Filter:
        return self._compared(filter_pb2.COMPARISON_OPERATOR_GREATER, value)

    def __ge__(self, value: Scalar) -> Filter:
        return self._compared(filter_pb2.COMPARISON_OPERATOR_GREATER_OR_EQUAL, value)

    def one_of(self, values: Iterable[Scalar]) -> Filter:
        """Equal to any of the values; with none, nothing is."""
        if isinstance(values, str):
            raise TypeError("one_of takes several values, such as a list of strings")
        found = filter_pb2.Membership(field=self._path, values=[_scalar(each) for each in values])
        return Filter(filter_pb2.Filter(membership=found))

    def exists(self) -> Filter:
        """The field is there, be it null."""
        return Filter(filter_pb2.Filter(existence=filter_pb2.Existence(field=self._path)))

    def ascending(self) -> SortKey:
        """The least first."""
        return SortKey(pb.SortKey(field=self._path))

    def descending(self) -> SortKey:
        """The greatest first."""
        return SortKey(pb.SortKey(field=self._path, descending=True))

    def recent(self, half_life: timedelta, weight: float = 1.0) -> Boost:
        """Adds `weight` to what is new, half of it after a half-life."""
        boost = pb.Boost(weight=weight, recency=pb.Recency(field=self._path))
        boost.recency.half_life_duration.FromTimedelta(half_life)
        return Boost(boost)

    def __str__(self) -> str:
        return self._path

    def __repr__(self) -> str:
        return f"field({self._path!r})"

    def _compared(self, operator: filter_pb2.ComparisonOperator, value: Scalar) -> Filter:
        found = filter_pb2.Comparison(field=self._path, operator=operator, value=_scalar(value))
        return Filter(filter_pb2.Filter(comparison=found))


def field(path: str) -> Field:
    """The field at a path: names separated by dots, `author.name`. For names that hold dots see `field_named`."""
    return Field(path)


def field_named(*names: str) -> Field:
    """The field at a path of names that are taken as they are, dots and backslashes included."""
    return Field(".".join(each.replace("\\", "\\\\").replace(".", "\\.") for each in names))


def all_of(filters: Iterable[Filter]) -> Filter:
    """True where every filter is; everywhere when there are none."""
    return _joined("and", filters)


def any_of(filters: Iterable[Filter]) -> Filter:
    """True where any filter is; nowhere when there are none."""
    return _joined("or", filters)


def _joined(word: str, filters: Iterable[Filter]) -> Filter:
    """Lists within lists of the same word are opened: `a & b & c` is one list, not two nested ones."""
    message = filter_pb2.Filter()
    joined: filter_pb2.FilterList = getattr(message, word)
    joined.SetInParent()
    for each in filters:
        inner = each.message
        joined.filters.extend(getattr(inner, word).filters if inner.WhichOneof("condition") == word else [inner])
    return Filter(message)


def _scalar(value: Value) -> value_pb2.Value:
    if isinstance(value, (list, tuple, dict)):
        raise TypeError("a field is compared with one value; for several there is one_of")
    return from_value(value)


_SIGNS = {1: "=", 2: "!=", 3: "<", 4: "<=", 5: ">", 6: ">="}


def _shown(message: filter_pb2.Filter) -> str:
    kind = message.WhichOneof("condition")
    if kind in ("and", "or"):
        parts = [_shown(each) for each in getattr(message, kind).filters]
        return f"({f' {kind} '.join(parts)})" if parts else f"{kind} []"
    if kind == "not":
        return f"not {_shown(getattr(message, 'not'))}"
    if kind == "comparison":
        found = message.comparison
        return f"{found.field} {_SIGNS.get(found.operator, '?')} {to_value(found.value)!r}"
    if kind == "membership":
        return f"{message.membership.field} in {[to_value(each) for each in message.membership.values]!r}"
    return f"{message.existence.field} exists"
