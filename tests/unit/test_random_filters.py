"""The random filters are worth asking: they tell documents apart, and everything that there is occurs."""

from __future__ import annotations

from collections import Counter

from random_filters import NAMES, Material

from tamis.filters import Operator, matches, operators


def test_the_same_seed_gives_the_same_documents_and_filters() -> None:
    one, same, other = Material(1, 50), Material(1, 50), Material(2, 50)
    assert one.documents == same.documents != other.documents
    assert [*one.filters(100)] == [*same.filters(100)]


def test_most_filters_are_satisfied_by_some_documents_and_not_by_others() -> None:
    material = Material(3, 150)
    shares = [
        sum(matches(filter, each) for each in material.documents) / len(material.documents)
        for filter in material.filters(1_000)
    ]
    print(sum(0 < share < 1 for share in shares), sum(0.02 < share < 0.5 for share in shares))
    assert sum(0 < share < 1 for share in shares) > 700
    assert sum(0.02 < share < 0.5 for share in shares) > 300


def test_every_operator_and_every_name_occurs_often() -> None:
    material = Material(4, 150)
    counts = Counter(each for filter in material.filters(1_000) for each in operators(filter))
    assert set(counts) == set(Operator)
    assert min(counts.values()) > 50
    assert {name for each in material.documents for name in each} == set(NAMES)
