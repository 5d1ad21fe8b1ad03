"""Metadata as a set of terms and filters as conditions on it, for indexes that can look terms up."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from hashlib import blake2b
from typing import TypeAlias, Union

from tamis.filters import And, Compare, Exists, Filter, In, Not, Operator, Or, Scalar
from tamis.model import Value
from tamis.ranges import TRIE, Node, instant

__all__ = ["AllOf", "AnyOf", "HasAny", "NoneOf", "TermCondition", "holds", "sorted_terms", "superset", "terms"]


@dataclass(frozen=True, slots=True)
class HasAny:
    """The document has one of the terms at least; false when there are none."""

    terms: tuple[str, ...]


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


TermCondition: TypeAlias = Union[HasAny, AllOf, AnyOf, NoneOf]

_MARKS = {"number": "#", "time": "@", "string": "$"}
_LEVEL_ZERO = ord("a")


def terms(metadata: Mapping[str, Value]) -> frozenset[str]:
    """The terms of a document: one for each path that exists and each value at a path, and ten or eleven for the place
    of a value in the order of its type.

    Each is 13 to 24 ASCII characters, whatever the length of the value.
    """
    return frozenset(_terms(metadata, ()))


def sorted_terms(metadata: Iterable[Mapping[str, Value]]) -> Iterator[list[str]]:
    """The terms of each, in their order. Mappings that follow on one another and are the same object, as those of one
    document's passages, are read once."""
    latest: Mapping[str, Value] | None = None
    found: list[str] = []
    for each in metadata:
        if each is not latest:
            latest, found = each, sorted(terms(each))
        yield found


def superset(filter: Filter) -> TermCondition:
    """A condition that holds for every document whose metadata satisfies `filter`.

    It is exact for = != in exists, for orderings by values that are exact in `tamis.ranges.TRIE`, and for all their
    combinations. Other orderings add what is nearest to the end of the range.
    """
    return _bound(filter, True)


def holds(condition: TermCondition, terms: Set[str]) -> bool:
    """Whether a document with these terms fulfils the condition: what an index has to answer."""
    match condition:
        case HasAny(wanted):
            return any(term in terms for term in wanted)
        case AllOf(operands):
            return all(holds(each, terms) for each in operands)
        case AnyOf(operands):
            return any(holds(each, terms) for each in operands)
        case NoneOf(operand):
            return not holds(operand, terms)


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
            return HasAny((_Path(path).exists,))
        case In(path, values):
            return HasAny(tuple({_Path(path).equals(value): None for value in values}))
        case Compare(path, Operator.EQUAL, value):
            return HasAny((_Path(path).equals(value),))
        case Compare(path, Operator.NOT_EQUAL, value):
            return NoneOf(HasAny((_Path(path).equals(value),)))
        case Compare(path, operator, value):
            return HasAny(tuple(_range(_Path(path), operator, value, upper)))


def _range(path: _Path, operator: Operator, value: Scalar, upper: bool) -> Iterator[str]:
    if value is None or isinstance(value, bool):
        return
    is_less = operator in (Operator.LESS, Operator.LESS_OR_EQUAL)
    nodes = TRIE.less(value, outer=upper) if is_less else TRIE.greater(value, outer=upper)
    yield from path.nodes(_kind(value), nodes)
    if operator in (Operator.LESS_OR_EQUAL, Operator.GREATER_OR_EQUAL):
        yield path.equals(value)


def _terms(value: Value, path: tuple[str, ...]) -> Iterator[str]:
    here = _Path(path)
    if path:
        yield here.exists
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from _terms(each, (*path, key))
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for each in value:
            yield from _terms(each, path)
    else:
        yield here.equals(value)
        if value is not None and not isinstance(value, bool):
            yield from here.nodes(_kind(value), TRIE.nodes(value))


@lru_cache(4_096)
def _path_hash(path: tuple[str, ...]) -> blake2b:
    # As JSON, a path has an end, so nothing that follows can be taken for a part of it.
    return blake2b(json.dumps(path).encode(), digest_size=12)


class _Path:
    """Terms about one path. They are digests and numbers, in which nothing can be mistaken for syntax.

    No term about nodes can be one about a value: its mark is no digit of base 64. Its beginning is that of the others
    about the path, which compresses well.
    """

    def __init__(self, path: Sequence[str]) -> None:
        self._hash = _path_hash(tuple(path))
        self._start = _base64(self._hash)[:12]

    @property
    def exists(self) -> str:
        return f"{self._start}?"

    def equals(self, value: Scalar) -> str:
        digest = self._hash.copy()
        digest.update(f"{_kind(value)}:{_text(value)}".encode(errors="surrogatepass"))
        return _base64(digest)

    def nodes(self, kind: str, nodes: Iterable[Node]) -> Iterator[str]:
        start = self._start + _MARKS[kind]
        return (f"{start}{chr(_LEVEL_ZERO + level)}{prefix:x}" for level, prefix in nodes)


def _base64(digest: blake2b) -> str:
    return b64encode(digest.digest()).decode()


def _kind(value: Scalar) -> str:
    """The type in which values are comparable."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, datetime):
        return "time"
    return "string" if isinstance(value, str) else "number"


def _text(value: Scalar) -> str:
    """Within a type, equal exactly for values that the reference holds equal, as 1 and 1.0."""
    if isinstance(value, datetime):
        return str(instant(value))
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else value.hex()
    return str(value)
