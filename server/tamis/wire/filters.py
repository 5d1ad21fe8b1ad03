"""Filters from `tamis.v1.Filter`."""

from __future__ import annotations

from datetime import datetime

from tamis.errors import InvalidRequest
from tamis.filters import And, Compare, Exists, Filter, In, Not, Operator, Or, Scalar
from tamis.v1 import filter_pb2, value_pb2
from tamis.wire.checks import unreserved
from tamis.wire.values import to_value

__all__ = ["split_path", "to_filter", "to_path", "to_selection"]

_DEEPEST = 16
_MOST_CONDITIONS = 1_000
_MOST_VALUES = 10_000
_OPERATORS = {
    filter_pb2.COMPARISON_OPERATOR_EQUAL: Operator.EQUAL,
    filter_pb2.COMPARISON_OPERATOR_NOT_EQUAL: Operator.NOT_EQUAL,
    filter_pb2.COMPARISON_OPERATOR_LESS: Operator.LESS,
    filter_pb2.COMPARISON_OPERATOR_LESS_OR_EQUAL: Operator.LESS_OR_EQUAL,
    filter_pb2.COMPARISON_OPERATOR_GREATER: Operator.GREATER,
    filter_pb2.COMPARISON_OPERATOR_GREATER_OR_EQUAL: Operator.GREATER_OR_EQUAL,
}
_ORDERINGS = frozenset({Operator.LESS, Operator.LESS_OR_EQUAL, Operator.GREATER, Operator.GREATER_OR_EQUAL})


def to_filter(message: filter_pb2.Filter, field: str = "filter") -> Filter:
    """Raises `InvalidRequest` with the path of the first condition that makes no sense."""
    return _Reader(field).read(message, field, 1)


def to_selection(message: filter_pb2.Filter, field: str = "filter") -> Filter:
    """A filter that says which documents to change; one with an empty list in it, which may choose all, is refused."""
    found = to_filter(message, field)
    _check_selects(found, field)
    return found


def _check_selects(filter: Filter, field: str) -> None:
    match filter:
        case And(()) | Or(()) | In(_, ()):
            raise InvalidRequest.of(field, "has an empty list of conditions or values; nothing is changed by accident")
        case And(operands) | Or(operands):
            kind = "and" if isinstance(filter, And) else "or"
            for place, each in enumerate(operands):
                _check_selects(each, f"{field}.{kind}.filters[{place}]")
        case Not(operand):
            _check_selects(operand, f"{field}.not")


class _Reader:
    """Counts what one filter has in all; `field` is where it is in its request."""

    def __init__(self, field: str) -> None:
        self._field, self._count, self._value_count = field, 0, 0

    def read(self, message: filter_pb2.Filter, field: str, depth: int) -> Filter:
        self._count += 1
        if self._count > _MOST_CONDITIONS:
            raise InvalidRequest.of(self._field, f"has more than {_MOST_CONDITIONS:,} conditions")
        if depth > _DEEPEST:
            raise InvalidRequest.of(field, f"conditions nest more than {_DEEPEST} deep")
        kind = message.WhichOneof("condition")
        match kind:
            case "and":
                return And(self._all(getattr(message, "and"), f"{field}.and", depth))
            case "or":
                return Or(self._all(getattr(message, "or"), f"{field}.or", depth))
            case "not":
                return Not(self.read(getattr(message, "not"), f"{field}.not", depth + 1))
            case "comparison":
                return _comparison(message.comparison, f"{field}.comparison")
            case "membership":
                return self._membership(message.membership, f"{field}.membership")
            case "existence":
                return Exists(to_path(message.existence.field, f"{field}.existence.field"))
        raise InvalidRequest.of(field, "has no condition: set one of and, or, not, comparison, membership, existence")

    def _all(self, message: filter_pb2.FilterList, field: str, depth: int) -> tuple[Filter, ...]:
        return tuple(
            self.read(each, f"{field}.filters[{place}]", depth + 1) for place, each in enumerate(message.filters)
        )

    def _membership(self, message: filter_pb2.Membership, field: str) -> In:
        self._value_count += len(message.values)
        if self._value_count > _MOST_VALUES:
            raise InvalidRequest.of(f"{field}.values", f"makes more than {_MOST_VALUES:,} in the whole filter")
        path = to_path(message.field, f"{field}.field")
        return In(path, tuple(_scalar(each, f"{field}.values[{place}]") for place, each in enumerate(message.values)))


def _comparison(message: filter_pb2.Comparison, field: str) -> Compare:
    path = to_path(message.field, f"{field}.field")
    operator = _OPERATORS.get(message.operator)
    if operator is None:
        allowed = ", ".join(f"COMPARISON_OPERATOR_{each.name}" for each in _OPERATORS.values())
        raise InvalidRequest.of(f"{field}.operator", f"is one of {allowed}")
    value = _scalar(message.value, f"{field}.value")
    if operator in _ORDERINGS and (value is None or isinstance(value, bool)):
        kind = "null" if value is None else "a bool"
        message_text = f"{operator.value} takes an int, double, string or timestamp, not {kind}"
        raise InvalidRequest.of(f"{field}.value", message_text)
    return Compare(path, operator, value)


def _scalar(message: value_pb2.Value, field: str) -> Scalar:
    value = to_value(message, field)
    if value is None or isinstance(value, (bool, int, float, str, datetime)):
        return value
    raise InvalidRequest.of(field, "is a list or a map; a filter compares with a scalar")


def split_path(text: str) -> tuple[tuple[str, ...], bool]:
    """Names separated by dots; a backslash takes the character after it as it is. And whether one at the end has
    nothing to take."""
    names, escaped = [""], False
    for character in text:
        if escaped or character not in "\\.":
            names[-1] += character
            escaped = False
        elif character == "\\":
            escaped = True
        else:
            names.append("")
    return tuple(names), escaped


def to_path(text: str, field: str) -> tuple[str, ...]:
    """The names of a path that a caller may ask for. Raises `InvalidRequest`."""
    names, is_unfinished = split_path(text)
    if is_unfinished:
        raise InvalidRequest.of(field, "ends with a backslash that escapes nothing")
    if not all(names):
        description = "is required" if not text else "has an empty name between its dots"
        raise InvalidRequest.of(field, description)
    unreserved(names[0], field)
    return names
