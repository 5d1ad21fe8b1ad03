"""Filters as expressions: they mean on the server what they say, whatever stands in a value or a name."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from forked_server import ForkedServer
from hypothesis import given, settings
from hypothesis import strategies as st
from real_server import fakes

from tamis.client import Client, Document, Filter, Span, Value, all_of, any_of, field, field_named
from tamis.client.values import from_metadata, to_metadata
from tamis.filters import matches
from tamis.wire.filters import to_filter

HOSTILE = [
    'x" or year > 0 or name = "',
    "' OR 1=1 --",
    "a.b",
    "a\\.b",
    "\\",
    "*",
    "$tenant",
    "</td><script>",
    "null",
    "",
    "\x00",
    "🙂\u202e",
    "%s {0} ${x}",
]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with (
        ForkedServer(tmp_path_factory.mktemp("server"), fakes("words")).running() as server,
        Client(server.address, timeout=30) as found,
    ):
        found.create_collection("docs")
        documents = [
            Document(f"h{place}", "sauce", metadata={"name": value, "place": place, **_named(value)})
            for place, value in enumerate(HOSTILE)
        ]
        found.wait_indexed("docs", found.write("docs", documents).sequence)
        yield found


def _named(name: str) -> dict[str, Value]:
    """A key of that name, where a document may have one."""
    return {name: True} if name and not name.startswith("$") else {}


def _found(client: Client, filter: Filter) -> set[str]:
    return {each.document_id for each in client.search("docs", "sauce", filter=filter, page_size=100)}


def test_a_value_means_itself_and_nothing_else(client: Client) -> None:
    for place, value in enumerate(HOSTILE):
        assert _found(client, field("name") == value) == {f"h{place}"}
        assert _found(client, field("name").one_of([value, "nothing"])) == {f"h{place}"}
        assert len(_found(client, field("name") != value)) == len(HOSTILE) - 1


def test_a_name_that_is_taken_as_it_is_means_itself(client: Client) -> None:
    for place, name in enumerate(HOSTILE):
        if _named(name):
            assert _found(client, field_named(name).exists()) == {f"h{place}"}


def test_filters_are_joined_by_operators(client: Client) -> None:
    place = field("place")
    assert _found(client, (place >= 2) & (place < 5) & (place != 3)) == {"h2", "h4"}
    assert _found(client, (place == 1) | ~(place <= 11)) == {"h1", "h12"}
    assert _found(client, (place > 10) & field("name").one_of(["%s {0} ${x}"])) == {"h12"}
    assert _found(client, all_of([])) == {f"h{each}" for each in range(len(HOSTILE))}
    assert _found(client, any_of([])) == set()
    assert _found(client, ~field("nothing").exists() & (place == 0)) == {"h0"}


_VALUES: Any = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.datetimes(timezones=st.just(UTC)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1), inner, max_size=3),
    max_leaves=6,
)
_SCALARS = st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-9, 9) | st.text("ab", max_size=2)


@settings(max_examples=60)
@given(st.dictionaries(st.text("abc", min_size=1), _VALUES, max_size=3))
def test_metadata_comes_back_as_it_was_given(metadata: dict[str, Value]) -> None:
    assert to_metadata(from_metadata(metadata)) == metadata


@settings(max_examples=100)
@given(st.dictionaries(st.sampled_from("xy"), _SCALARS), _SCALARS, st.lists(_SCALARS, max_size=3))
def test_expressions_mean_what_the_reference_says(metadata: dict[str, Any], value: Any, values: list[Any]) -> None:
    def holds(filter: Filter) -> bool:
        return matches(to_filter(filter.message, "filter"), metadata)

    x, y = field("x"), field("y")
    equal, among = holds(x == value), holds(y.one_of(values))
    assert holds(x != value) is not equal
    assert holds(~(x == value)) is not equal
    assert holds((x == value) & y.one_of(values)) is (equal and among)
    assert holds((x == value) | y.one_of(values)) is (equal or among)
    assert among is any(holds(y == each) for each in values)
    assert holds(x.exists()) is ("x" in metadata)
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        assert holds(x <= value) is (holds(x < value) or equal)
        assert holds(x >= value) is (holds(x > value) or equal)


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (2**63, "more than 64 bits"),
        (float("nan"), "finite"),
        (datetime(2026, 1, 1), "no zone"),
        ([1], "one_of"),
        ({1}, "a set is no value"),
        (b"x", "a bytes is no value"),
    ],
)
def test_what_no_field_can_hold_is_refused_where_it_is_written(value: Any, problem: str) -> None:
    with pytest.raises((TypeError, ValueError), match=problem):
        field("x") == value  # noqa: B015


def test_a_filter_is_no_truth_value_and_says_what_it_is() -> None:
    year = field("year")
    with pytest.raises(TypeError, match="join filters by"):
        1900 < year < 2000  # noqa: B015
    with pytest.raises(TypeError, match="several values"):
        year.one_of("2020")
    filter = (year >= 2020) & (field("lang").one_of(["de", "en"]) | ~year.exists())
    assert repr(filter) == "Filter((year >= 2020 and (lang in ['de', 'en'] or not year exists)))"
    assert filter == (year >= 2020) & (field("lang").one_of(["de", "en"]) | ~year.exists())
    assert len({filter, year == 1, year == 1}) == 2


def test_spans_are_turned_into_characters() -> None:
    text = "Größe 🙂 klein"
    span = Span(len("Größe ".encode()), len("Größe 🙂".encode()))
    assert span.of(text) == "🙂"
    assert text[span.characters(text)] == "🙂"
