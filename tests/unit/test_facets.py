"""Facets count documents, each value once."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from hypothesis import given
from hypothesis import strategies as st

from tamis.deadline import Deadline
from tamis.facets import FacetSpec, count
from tamis.filters import Compare, Operator, matches
from tamis.model import Value
from tamis.testing.strategies import metadata


def _counts(field: str, documents: Sequence[Mapping[str, Value]], limit: int = 10) -> list[tuple[object, int]]:
    facet = asyncio.run(count(FacetSpec(field, (field,), limit), documents))
    assert facet.document_count == len(documents)
    return [(each.value, each.document_count) for each in facet.counts]


def test_the_most_frequent_come_first_and_ties_by_value() -> None:
    documents = [{"f": "b"}, {"f": "a"}, {"f": "c"}, {"f": "c"}, {}, {"f": None}]
    assert _counts("f", documents) == [("c", 2), ("a", 1), ("b", 1)]
    assert _counts("f", documents, limit=1) == [("c", 2)]


def test_a_document_counts_once_for_a_value_however_often_it_has_it() -> None:
    assert _counts("f", [{"f": ["x", "x", ["y"]]}, {"f": "x"}]) == [("x", 2), ("y", 1)]


def test_numbers_are_one_type_and_a_bool_is_no_number() -> None:
    assert _counts("f", [{"f": 1}, {"f": 1.0}, {"f": True}, {"f": "1"}]) == [(1, 2), ("1", 1), (True, 1)]


async def test_after_the_deadline_no_further_document_is_looked_at_and_the_count_says_so() -> None:
    facet = await count(FacetSpec("f", ("f",)), [{"f": "a"}] * 3, Deadline.after(-1))
    assert (facet.document_count, facet.counts) == (0, ())


@given(st.lists(metadata(), max_size=8), st.sampled_from(["a", "b", "c"]))
def test_every_count_is_what_a_filter_on_the_value_finds(documents: list[dict[str, Value]], field: str) -> None:
    facet = asyncio.run(count(FacetSpec(field, (field,), 1_000), documents))
    assert facet.value_count == len(facet.counts)
    for each in facet.counts:
        condition = Compare((field,), Operator.EQUAL, each.value)
        assert each.document_count == sum(matches(condition, document) for document in documents)
