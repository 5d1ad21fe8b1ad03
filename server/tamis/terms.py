"""Metadata as a set of terms and filters as conditions on it, for indexes that can look terms up."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeAlias, Union

from tamis.filters import And, Compare, Exists, Filter, In, Not, Operator, Or, Scalar
from tamis.model import Value

__all__ = ["AllOf", "AnyOf", "HasTerm", "NoneOf", "TermCondition", "superset", "terms"]


@dataclass(frozen=True, slots=True)
class HasTerm:
    """The document has the term."""

    term: str


@dataclass(frozen=True, slots=True)
class AllOf:
    """Every operand holds; true when there are none."""

    operands: tuple[TermCondition, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Some operand holds; false when there are none."""

    operands: tuple[TermCondition, ...]


@dataclass(frozen=True, slots=True)
class NoneOf:
    """The operand does not hold."""

    operand: TermCondition


TermCondition: TypeAlias = Union[HasTerm, AllOf, AnyOf, NoneOf]

_NOTHING = AnyOf(())


def terms(metadata: Mapping[str, Value]) -> frozenset[str]:
    """The terms of a document: one for each path that exists, each value at a path, each type at a path.

    Each is 32 hexadecimal digits, whatever the length of the value.
    """
    return frozenset(_terms(metadata, ()))


def superset(filter: Filter) -> TermCondition:
    """A condition that holds for every document whose metadata satisfies `filter`.

    It is exact for = != in exists and their combinations; an ordering becomes "has a value of that type there".
    """
    return _bound(filter, True)


def _bound(filter: Filter, upper: bool) -> TermCondition:
    """The nearest condition from above or below. A negation turns one into the other."""
    match filter:
        case And(operands):
            return AllOf(tuple(_bound(each, upper) for each in operands))
        case Or(operands):
            return AnyOf(tuple(_bound(each, upper) for each in operands))
        case Not(operand):
            return NoneOf(_bound(operand, not upper))
        case Exists(path):
            return HasTerm(_term("exists", path))
        case In(path, values):
            return AnyOf(tuple(HasTerm(_value_term(path, value)) for value in values))
        case Compare(path, Operator.EQUAL, value):
            return HasTerm(_value_term(path, value))
        case Compare(path, Operator.NOT_EQUAL, value):
            return NoneOf(HasTerm(_value_term(path, value)))
        case Compare(path, _, value):
            kind, _ = _canonical(value)
            return HasTerm(_term("type", path, kind)) if upper and kind not in ("null", "bool") else _NOTHING


def _terms(value: Value, path: tuple[str, ...]) -> Iterator[str]:
    if path:
        yield _term("exists", path)
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from _terms(each, (*path, key))
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for each in value:
            yield from _terms(each, path)
    else:
        yield _value_term(path, value)
        yield _term("type", path, _canonical(value)[0])


def _value_term(path: Sequence[str], value: Scalar) -> str:
    return _term("value", path, *_canonical(value))


def _term(*parts: object) -> str:
    """A digest: terms have a fixed length, and no value can be mistaken for syntax."""
    text = json.dumps(parts, ensure_ascii=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _canonical(value: Scalar) -> tuple[str, str]:
    """Type and text, equal exactly for values that the reference holds equal: 1 and 1.0, but not 1 and true."""
    if value is None:
        return "null", ""
    if isinstance(value, bool):
        return "bool", str(value)
    if isinstance(value, int):
        return "number", str(value)
    if isinstance(value, float):
        return "number", str(int(value)) if value.is_integer() else value.hex()
    if isinstance(value, datetime):
        return "time", value.astimezone(UTC).isoformat()
    return "string", value
