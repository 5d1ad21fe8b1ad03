"""The reference that says what each filter operator means, against the truth table of `filter.proto`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from math import inf, nextafter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tamis.filters import And, Compare, Exists, Filter, In, Not, Operator, Or, Scalar, matches, operators
from tamis.model import Value
from tamis.ranges import Ordered
from tamis.terms import holds, superset, terms
from tamis.testing.strategies import filters, metadata, scalars

O = Operator  # noqa: E741
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
ABSENT = object()


def _metadata(value: object) -> dict[str, Value]:
    return {} if value is ABSENT else {"f": value}  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("operator", "operand", "value", "expected"),
    [
        (O.EQUAL, 1, ABSENT, False),
        (O.EQUAL, None, ABSENT, False),
        (O.EQUAL, None, None, True),
        (O.EQUAL, 1, None, False),
        (O.EQUAL, 1, [0, [1]], True),
        (O.EQUAL, 1, [], False),
        (O.EQUAL, 1, 1.0, True),
        (O.EQUAL, 2**53, 2.0**53, True),
        (O.EQUAL, 2**53 + 1, 2.0**53, False),
        (O.EQUAL, 2**53 + 1, 2**53 + 1, True),
        (O.EQUAL, 1, True, False),
        (O.EQUAL, True, 1, False),
        (O.EQUAL, "a", "A", False),
        (O.EQUAL, "1", 1, False),
        (O.EQUAL, NOON, NOON.astimezone(timezone(timedelta(hours=5))), True),
        (O.EQUAL, 1, {"g": 1}, False),
        (O.NOT_EQUAL, 1, ABSENT, True),
        (O.NOT_EQUAL, None, None, False),
        (O.NOT_EQUAL, 1, None, True),
        (O.NOT_EQUAL, 1, [2, 1], False),
        (O.NOT_EQUAL, 1, [2, 3], True),
        (O.LESS, 5, ABSENT, False),
        (O.LESS, 5, None, False),
        (O.LESS, 5, [9, 4], True),
        (O.LESS, 5, 4.5, True),
        (O.LESS, 5, 5, False),
        (O.LESS_OR_EQUAL, 5, 5, True),
        (O.GREATER, 2.0**53, 2**53 + 1, True),
        (O.GREATER_OR_EQUAL, 2**53 + 1, 2.0**53, False),
        (O.LESS, 5, "4", False),
        (O.LESS, "b", "a", True),
        (O.LESS, "a", "Z", True),
        (O.LESS, NOON, NOON - timedelta(microseconds=1), True),
        (O.LESS, 5, False, False),
    ],
)
def test_a_comparison_follows_the_truth_table(
    operator: Operator, operand: Scalar, value: object, expected: bool
) -> None:
    assert matches(Compare(("f",), operator, operand), _metadata(value)) is expected


@pytest.mark.parametrize(
    ("value", "expected"), [(ABSENT, False), (None, True), ([], True), ({}, True), (False, True), ([None], True)]
)
def test_a_field_exists_when_it_is_there_be_it_null(value: object, expected: bool) -> None:
    assert matches(Exists(("f",)), _metadata(value)) is expected


def test_a_list_on_the_way_stands_for_each_of_its_elements() -> None:
    nested: dict[str, Value] = {"authors": [{"name": "Ada"}, {"name": "Emmy"}]}
    assert matches(Compare(("authors", "name"), O.EQUAL, "Emmy"), nested)
    assert matches(Exists(("authors", "name")), nested)
    assert not matches(Exists(("authors", "age")), nested)


def test_empty_connectives_are_their_neutral_elements() -> None:
    assert matches(And(()), {})
    assert not matches(Or(()), {})
    assert not matches(In(("f",), ()), {"f": 1})


@given(filters(), metadata())
def test_not_is_the_opposite_always(filter: Filter, given_metadata: dict[str, Value]) -> None:
    assert matches(Not(filter), given_metadata) is not matches(filter, given_metadata)


@given(filters(), filters(), metadata())
def test_de_morgan_holds(a: Filter, b: Filter, given_metadata: dict[str, Value]) -> None:
    assert matches(Not(And((a, b))), given_metadata) is matches(Or((Not(a), Not(b))), given_metadata)


@given(st.lists(scalars(), max_size=3), metadata())
def test_in_is_an_or_of_equals(wanted: list[Scalar], given_metadata: dict[str, Value]) -> None:
    each_equal = Or(tuple(Compare(("a",), O.EQUAL, value) for value in wanted))
    assert matches(In(("a",), tuple(wanted)), given_metadata) is matches(each_equal, given_metadata)


@given(scalars(), metadata())
def test_not_equal_is_the_negation_of_equal(value: Scalar, given_metadata: dict[str, Value]) -> None:
    equal = matches(Compare(("a",), O.EQUAL, value), given_metadata)
    assert matches(Compare(("a",), O.NOT_EQUAL, value), given_metadata) is not equal


def test_operators_of_a_filter_are_all_found() -> None:
    filter = And((Not(Compare(("f",), O.LESS, 1)), Or((In(("f",), ()), Exists(("f",))))))
    assert operators(filter) == {O.AND, O.NOT, O.LESS, O.OR, O.IN, O.EXISTS}


@given(filters(), metadata())
def test_the_condition_over_terms_never_misses_a_match(filter: Filter, given_metadata: dict[str, Value]) -> None:
    if matches(filter, given_metadata):
        assert holds(superset(filter), terms(given_metadata))


@given(st.sampled_from([O.EQUAL, O.NOT_EQUAL]), scalars(), metadata())
def test_equality_over_terms_is_exact(operator: Operator, value: Scalar, given_metadata: dict[str, Value]) -> None:
    filter = Compare(("a",), operator, value)
    assert holds(superset(filter), terms(given_metadata)) is matches(filter, given_metadata)


@given(filters(), metadata())
def test_the_condition_over_terms_never_misses_what_does_not_match_either(
    filter: Filter, given_metadata: dict[str, Value]
) -> None:
    """Under a negation a superset is wanted of what the filter leaves out."""
    if not matches(filter, given_metadata):
        assert holds(superset(Not(filter)), terms(given_metadata))


@pytest.mark.parametrize("edge", [0, -5, 2_026, (1 << 29) - 1, 0.5, -2.25, "", "lunch", NOON])
@pytest.mark.parametrize("operator", [O.LESS, O.LESS_OR_EQUAL, O.GREATER, O.GREATER_OR_EQUAL])
def test_an_ordering_by_a_first_value_is_exact_over_terms(edge: Ordered, operator: Operator) -> None:
    for value in _around(edge):
        for filter in (Compare(("f",), operator, edge), Not(Compare(("f",), operator, edge))):
            assert holds(superset(filter), terms({"f": value})) is matches(filter, {"f": value}), value


def _around(edge: Ordered) -> list[Value]:
    if isinstance(edge, str):
        return [edge, edge[:-1], f"{edge}\0", f"{edge}a", "a", "zebra", "\U0010ffff"]
    if isinstance(edge, datetime):
        steps = [timedelta(microseconds=1), timedelta(seconds=1), timedelta(days=4_000)]
        return [edge, *(edge + step for step in steps), *(edge - step for step in steps)]
    beside = [nextafter(edge, -inf), nextafter(edge, inf)]
    return [edge, float(edge), *beside, edge - 1, edge + 1, 1e300, -1e300, 1 << 62, -(1 << 63)]


@pytest.mark.parametrize(
    ("less", "edge", "greater"),
    [
        (0.1 - 1e-9, 0.1, 0.1 + 1e-9),
        ((1 << 53) - (1 << 26), (1 << 53) + 1, (1 << 53) + (1 << 26)),
        (0.99999999e300, 1e300, 1.00000001e300),
        ("breaa", "breakfast", "breal"),
        (NOON - timedelta(seconds=1), NOON + timedelta(microseconds=7), NOON + timedelta(seconds=1)),
    ],
)
def test_an_ordering_by_any_other_value_lets_through_only_what_is_next_to_it(
    less: Ordered, edge: Ordered, greater: Ordered
) -> None:
    for wrong, asked in ((greater, (O.LESS, O.LESS_OR_EQUAL)), (less, (O.GREATER, O.GREATER_OR_EQUAL))):
        for operator in asked:
            assert not holds(superset(Compare(("f",), operator, edge)), terms({"f": wrong}))
