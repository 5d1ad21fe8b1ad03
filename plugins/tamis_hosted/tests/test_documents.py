"""Passages as YAML, and texts divided among requests."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tamis.model import Passage, Value
from tamis_hosted.documents import document
from tamis_hosted.portions import PortionSettings, portions

_EXAMPLES = settings(max_examples=30)


def _passage(text: str = "It whistles: loudly.\nAlways.", **metadata: Value) -> Passage:
    return Passage("1", "1", 1, text, title="Kettle", metadata=metadata)


def test_fields_stand_in_the_order_in_which_they_are_named() -> None:
    written = document(_passage(year=1999, price={"eur": 12.5}), ["title", "price.eur", "year", "text"], 99)
    assert list(yaml.safe_load(written).items()) == [
        ("title", "Kettle"),
        ("price.eur", 12.5),
        ("year", 1999),
        ("text", "It whistles: loudly.\nAlways."),
    ]


def test_values_of_every_type_of_metadata_can_be_written() -> None:
    nested: Mapping[str, Value] = MappingProxyType({"tags": ("new", "größer"), "sold": True})
    written = document(
        _passage(when=datetime(2026, 1, 2, tzinfo=UTC), all=nested, none=None), ["when", "all", "none"], 99
    )
    assert yaml.safe_load(written) == {
        "when": datetime(2026, 1, 2, tzinfo=UTC),
        "all": {"tags": ["new", "größer"], "sold": True},
    }
    assert "größer" in written


@pytest.mark.parametrize("fields", [[], ["author"], ["heading", "a.b.c"], ["year.first"]])
def test_fields_that_a_passage_does_not_have_are_left_out(fields: list[str]) -> None:
    assert document(_passage(year=1999), fields, 99) == ""


def test_a_megabyte_is_cut_before_it_is_written() -> None:
    nested: Mapping[str, Value] = MappingProxyType({"notes": ("long " * 200_000,)})
    written = document(_passage("long " * 200_000, all=nested), ["text", "all"], 1_000)
    found = yaml.safe_load(written)
    assert (len(found["text"]), len(found["all"]["notes"][0])) == (1_000, 1_000)


@_EXAMPLES
@given(st.text(st.characters(categories=("L", "N", "P", "S", "Zs")) | st.sampled_from("\n\t"), min_size=1))
def test_a_text_reads_as_it_was_written(text: str) -> None:
    assert yaml.safe_load(document(_passage(text), ["title", "text"], 10_000))["text"] == text


@_EXAMPLES
@given(texts=st.lists(st.text(max_size=200), max_size=30), query=st.text(max_size=50), most=st.integers(1, 7))
def test_portions_hold_every_text_once_in_order_and_are_never_too_large(
    texts: list[str], query: str, most: int
) -> None:
    limits = PortionSettings(passages_per_request=most, tokens_per_passage=16, tokens_per_request=1_024)
    found = list(portions(query, texts, limits))
    assert [text for portion in found for text in portion] == texts
    assert all(0 < len(portion) <= most for portion in found)


def test_a_text_larger_than_a_request_goes_alone() -> None:
    limits = PortionSettings(tokens_per_passage=5_000, tokens_per_request=1_024)
    assert [len(each) for each in portions("?", ["long " * 2_000] * 3, limits)] == [1, 1, 1]
