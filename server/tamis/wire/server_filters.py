"""Filters as the server has compiled them, its own conditions among them, to and from `tamis.v1.Filter`."""

from __future__ import annotations

from typing import Any, cast

from tamis.errors import InvalidRequest
from tamis.filters import And, Compare, Exists, Filter, In, Not, Operator, Or, Scalar
from tamis.v1 import filter_pb2
from tamis.wire.filters import split_path
from tamis.wire.values import from_value, to_value

__all__ = ["from_filter", "to_server_filter"]

_NUMBERS = {
    Operator.EQUAL: filter_pb2.COMPARISON_OPERATOR_EQUAL,
    Operator.NOT_EQUAL: filter_pb2.COMPARISON_OPERATOR_NOT_EQUAL,
    Operator.LESS: filter_pb2.COMPARISON_OPERATOR_LESS,
    Operator.LESS_OR_EQUAL: filter_pb2.COMPARISON_OPERATOR_LESS_OR_EQUAL,
    Operator.GREATER: filter_pb2.COMPARISON_OPERATOR_GREATER,
    Operator.GREATER_OR_EQUAL: filter_pb2.COMPARISON_OPERATOR_GREATER_OR_EQUAL,
}
_OPERATORS = {number: operator for operator, number in _NUMBERS.items()}


def from_filter(filter: Filter) -> filter_pb2.Filter:
    """Any filter, the server's own conditions among it."""
    match filter:
        case And(operands):
            return _named("and", _listed(operands))
        case Or(operands):
            return _named("or", _listed(operands))
        case Not(operand):
            return _named("not", from_filter(operand))
        case Compare(path, operator, value):
            comparison = filter_pb2.Comparison(field=_field(path), operator=_NUMBERS[operator], value=from_value(value))
            return filter_pb2.Filter(comparison=comparison)
        case In(path, values):
            membership = filter_pb2.Membership(field=_field(path), values=[from_value(each) for each in values])
            return filter_pb2.Filter(membership=membership)
        case Exists(path):
            return filter_pb2.Filter(existence=filter_pb2.Existence(field=_field(path)))


def to_server_filter(message: filter_pb2.Filter, field: str = "filter") -> Filter:
    """What `from_filter` was given. Raises `InvalidRequest` for what is no filter at all."""
    match message.WhichOneof("condition"):
        case "and":
            return And(_all(getattr(message, "and"), f"{field}.and"))
        case "or":
            return Or(_all(getattr(message, "or"), f"{field}.or"))
        case "not":
            return Not(to_server_filter(getattr(message, "not"), f"{field}.not"))
        case "comparison":
            found = message.comparison
            if found.operator not in _OPERATORS:
                raise InvalidRequest.of(f"{field}.comparison.operator", "is not known here")
            return Compare(_path(found.field), _OPERATORS[found.operator], _scalar(found.value, field))
        case "membership":
            values = tuple(_scalar(each, field) for each in message.membership.values)
            return In(_path(message.membership.field), values)
        case "existence":
            return Exists(_path(message.existence.field))
    raise InvalidRequest.of(field, "has no condition that is known here")


def _named(condition: str, operand: object) -> filter_pb2.Filter:
    """For names that are words of Python's."""
    fields: Any = {condition: operand}
    return filter_pb2.Filter(**fields)


def _listed(operands: tuple[Filter, ...]) -> filter_pb2.FilterList:
    return filter_pb2.FilterList(filters=[from_filter(each) for each in operands])


def _all(message: filter_pb2.FilterList, field: str) -> tuple[Filter, ...]:
    return tuple(to_server_filter(each, f"{field}.filters[{place}]") for place, each in enumerate(message.filters))


def _scalar(message: object, field: str) -> Scalar:
    return cast(Scalar, to_value(message, field))  # type: ignore[arg-type]


def _field(path: tuple[str, ...]) -> str:
    return ".".join(name.replace("\\", "\\\\").replace(".", "\\.") for name in path)


def _path(field: str) -> tuple[str, ...]:
    names, _ = split_path(field)
    return names
