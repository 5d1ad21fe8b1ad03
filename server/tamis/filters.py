"""Structured filters over metadata, and the reference that says what each operator means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import TypeAlias, Union

from tamis.model import Value

__all__ = [
    "And",
    "Compare",
    "Exists",
    "Filter",
    "In",
    "Not",
    "Operator",
    "Or",
    "Scalar",
    "leaves",
    "matches",
    "operators",
    "order_key",
]


Scalar: TypeAlias = Union[None, bool, int, float, str, datetime]


class Operator(Enum):
    """What a filter may ask."""

    AND = "and"
    OR = "or"
    NOT = "not"
    EQUAL = "="
    NOT_EQUAL = "!="
    LESS = "<"
    LESS_OR_EQUAL = "<="
    GREATER = ">"
    GREATER_OR_EQUAL = ">="
    IN = "in"
    EXISTS = "exists"


@dataclass(frozen=True, slots=True)
class And:
    """True when all operands are; true when there are none."""

    operands: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """True when any operand is; false when there are none."""

    operands: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """True when the operand is false."""

    operand: Filter


@dataclass(frozen=True, slots=True)
class Compare:
    """Compares the field at `path` with `value` by one of = != < <= > >=."""

    path: tuple[str, ...]
    operator: Operator
    value: Scalar


@dataclass(frozen=True, slots=True)
class In:
    """True when the field equals any of `values`; false when there are none."""

    path: tuple[str, ...]
    values: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Exists:
    """True when the field is present, be it null."""

    path: tuple[str, ...]


Filter: TypeAlias = Union[And, Or, Not, Compare, In, Exists]


def matches(filter: Filter, metadata: Mapping[str, Value]) -> bool:
    """Whether `metadata` satisfies `filter`: the reference every index is tested against.

    The truth table stands in `filter.proto`. In short: a list matches when any element does; `!=` is the negation of
    `=`; an ordering between different types (numbers are one type) is false; null equals null only.
    """
    match filter:
        case And(operands):
            return all(matches(each, metadata) for each in operands)
        case Or(operands):
            return any(matches(each, metadata) for each in operands)
        case Not(operand):
            return not matches(operand, metadata)
        case Compare(path, Operator.NOT_EQUAL, value):
            return not any(_equal(found, value) for found in leaves(metadata, path))
        case Compare(path, Operator.EQUAL, value):
            return any(_equal(found, value) for found in leaves(metadata, path))
        case Compare(path, operator, value):
            return any(_ordered(found, operator, value) for found in leaves(metadata, path))
        case In(path, values):
            return any(_equal(found, value) for found in leaves(metadata, path) for value in values)
        case Exists(path):
            return bool(_present(metadata, path))


def operators(filter: Filter) -> frozenset[Operator]:
    """Every operator that occurs in `filter`."""
    match filter:
        case And(operands):
            return frozenset({Operator.AND}).union(*map(operators, operands))
        case Or(operands):
            return frozenset({Operator.OR}).union(*map(operators, operands))
        case Not(operand):
            return frozenset({Operator.NOT}) | operators(operand)
        case Compare(_, operator, _):
            return frozenset({operator})
        case In():
            return frozenset({Operator.IN})
        case Exists():
            return frozenset({Operator.EXISTS})


def _present(value: Value, path: Sequence[str]) -> list[Value]:
    """Every value at `path`. A list on the way stands for each of its elements."""
    if not path:
        return [value]
    if isinstance(value, Mapping):
        return _present(value[path[0]], path[1:]) if path[0] in value else []
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [found for element in value for found in _present(element, path)]
    return []


def leaves(metadata: Mapping[str, Value], path: Sequence[str]) -> list[Scalar]:
    """The scalars at `path`, lists of any depth opened, maps left out."""
    found: list[Scalar] = []
    pending = _present(metadata, path)
    while pending:
        value = pending.pop()
        if isinstance(value, Sequence) and not isinstance(value, str):
            pending.extend(value)
        elif not isinstance(value, Mapping):
            found.append(value)
    return found


def order_key(value: Scalar) -> tuple[int, object]:
    """What values sort by: numbers, then strings by code point, then instants, then bools, then null.

    Equal exactly where a filter's `=` holds two values equal.
    """
    if value is None:
        return 4, 0
    if isinstance(value, bool):
        return 3, value
    if isinstance(value, datetime):
        return 2, value
    return (1, value) if isinstance(value, str) else (0, value)


def _type(value: Value) -> type:
    """The type in which values are comparable: bool is not a number, int and float are one."""
    if value is None or isinstance(value, (bool, str, datetime)):
        return type(value)
    return float


def _equal(found: Value, value: Scalar) -> bool:
    return _type(found) is _type(value) and found == value


def _ordered(found: Value, operator: Operator, value: Scalar) -> bool:
    if _type(found) is not _type(value) or _type(value) in (bool, type(None)):
        return False
    if operator is Operator.LESS:
        return found < value  # type: ignore[operator]
    if operator is Operator.LESS_OR_EQUAL:
        return found <= value  # type: ignore[operator]
    if operator is Operator.GREATER:
        return found > value  # type: ignore[operator]
    return found >= value  # type: ignore[operator]
