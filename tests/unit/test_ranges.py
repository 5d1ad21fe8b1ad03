"""Values in a trie: the nodes of a range hold what is in it, whatever the trie's measure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tamis.ranges import TRIE, Ordered, Trie, instant

INTEGERS = st.one_of(
    st.integers(-(1 << 63), (1 << 63) - 1), st.integers(-3, 3), st.integers((1 << 53) - 3, (1 << 53) + 3)
)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
INSTANTS = st.datetimes(timezones=st.just(UTC))
NEAR_INSTANTS = st.datetimes(datetime(2026, 1, 1), datetime(2026, 1, 1, 0, 0, 2), timezones=st.just(UTC))
STRINGS = st.one_of(st.text(), st.text("a\0b", max_size=8))
PAIRS = st.one_of(
    st.tuples(st.one_of(INTEGERS, FLOATS), st.one_of(INTEGERS, FLOATS)),
    st.tuples(STRINGS, STRINGS),
    st.tuples(INSTANTS, INSTANTS),
    st.tuples(NEAR_INSTANTS, NEAR_INSTANTS),
)
TRIES = st.sampled_from([TRIE, Trie(1, 8), Trie(2, 20), Trie(5, 8), Trie(8, 5), Trie(4, 16), Trie(8, 10), Trie(3, 3)])


@given(TRIES, PAIRS)
def test_a_range_from_outside_holds_everything_in_it_and_from_inside_nothing_else(
    trie: Trie, pair: tuple[Ordered, Ordered]
) -> None:
    value, edge = pair
    below = set(trie.nodes(value))
    for is_in, nodes in ((value < edge, trie.less), (value > edge, trie.greater)):  # type: ignore[operator]
        if is_in:
            assert below & set(nodes(edge, outer=True))
        else:
            assert not below & set(nodes(edge, outer=False))


@given(PAIRS)
def test_equal_values_have_the_same_nodes(pair: tuple[Ordered, Ordered]) -> None:
    value, _ = pair
    if isinstance(value, int) and int(float(value)) == value:
        assert {*TRIE.nodes(value)} == {*TRIE.nodes(float(value))}
    assert {*TRIE.nodes(0.0)} == {*TRIE.nodes(-0.0)} == {*TRIE.nodes(0)}


@given(TRIES, PAIRS)
def test_a_value_and_a_range_have_few_nodes(trie: Trie, pair: tuple[Ordered, Ordered]) -> None:
    value, edge = pair
    most = trie.levels * (2**trie.step - 1) + 1
    assert trie.levels <= len([*trie.nodes(value)]) <= trie.levels + 1
    for nodes in (trie.less, trie.greater):
        for outer in (False, True):
            found = [*nodes(edge, outer=outer)]
            assert len(found) == len(set(found)) <= most


@pytest.mark.parametrize("hours", [-23, 14])
def test_an_instant_is_the_same_by_every_clock(hours: int) -> None:
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    zone = timezone(timedelta(hours=hours))
    assert instant(noon) == instant(noon.astimezone(zone))
    assert {*TRIE.nodes(noon)} == {*TRIE.nodes(noon.astimezone(zone))}


@pytest.mark.parametrize("hours", [-23, 23])
def test_the_first_and_the_last_instant_have_a_place_by_every_clock(hours: int) -> None:
    for naive in (datetime.min, datetime.max):
        for value in (naive.replace(tzinfo=UTC), naive.replace(tzinfo=timezone(timedelta(hours=hours)))):
            assert all(prefix >= 0 for _, prefix in TRIE.nodes(value))
