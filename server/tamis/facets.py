"""Counts the values of a field over the documents that a search found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tamis.deadline import Deadline
from tamis.filters import Scalar, leaves, order_key
from tamis.model import Value
from tamis.pauses import Pauses

__all__ = ["Facet", "FacetCount", "FacetSpec", "count"]


@dataclass(frozen=True, slots=True)
class FacetSpec:
    """Asks for at most `limit` values at `path`; `field` is the path as it was written."""

    field: str
    path: tuple[str, ...]
    limit: int = 10


@dataclass(frozen=True, slots=True)
class FacetCount:
    """A value, and how many documents have it."""

    value: Scalar
    document_count: int


@dataclass(frozen=True, slots=True)
class Facet:
    """The most frequent values of a field, out of `value_count` different ones in `document_count` documents."""

    field: str
    counts: tuple[FacetCount, ...]
    document_count: int
    value_count: int


async def count(spec: FacetSpec, documents: Iterable[Mapping[str, Value]], deadline: Deadline = Deadline()) -> Facet:
    """Counts each value once for a document that has it; values are the same where a filter's `=` holds them equal.

    Most frequent first; ties go to the smaller value, numbers before strings before timestamps before bools. Looks at
    no further document once the deadline has passed.
    """
    counts: dict[tuple[int, object], int] = {}
    values: dict[tuple[int, object], Scalar] = {}
    document_count, pauses = 0, Pauses()
    for metadata in documents:
        await pauses.take()
        if deadline.passed:
            break
        document_count += 1
        found = {order_key(each): each for each in leaves(metadata, spec.path) if each is not None}
        for key, value in found.items():
            counts[key] = counts.get(key, 0) + 1
            values.setdefault(key, value)
    ordered = sorted(sorted(counts), key=lambda key: -counts[key])
    best = tuple(FacetCount(values[key], counts[key]) for key in ordered[: spec.limit])
    return Facet(spec.field, best, document_count, len(counts))
