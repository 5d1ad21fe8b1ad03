"""The division of documents into passages."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tamis.ingest.passages import TARGET, split
from tamis.model import Document, Span

TEXTS = st.one_of(
    st.text(st.sampled_from("ab .\n#=-é𝄞\t "), max_size=300),
    st.lists(st.sampled_from(["word " * 50, "x" * 1_000, "\n\n", "# Head\n", "Title\n=====\n", "é" * 500, "。"])).map(
        "".join
    ),
)


@given(TEXTS)
@example("x" * 10_000)
@example("a\n" * 3_000)
def test_passages_are_what_their_spans_say_in_order_and_apart(text: str) -> None:
    document = Document("d", text, "Title")
    position = 0
    for passage in split(document):
        assert passage.span.of(text) == passage.text
        assert passage.span.start >= position
        position = passage.span.end


@given(TEXTS)
def test_passages_cover_everything_but_white_space(text: str) -> None:
    left, data = bytearray(text.encode()), text.encode()
    for passage in split(Document("d", text)):
        left[passage.span.start : passage.span.end] = b" " * (passage.span.end - passage.span.start)
    assert bytes(left).decode(errors="strict").split() == []
    assert len(left) == len(data)


@given(TEXTS)
def test_no_passage_is_longer_than_the_target(text: str) -> None:
    assert all(len(each.text) <= TARGET for each in split(Document("d", text)))


@given(TEXTS)
def test_the_same_document_splits_the_same_way_with_distinct_ids(text: str) -> None:
    passages = split(Document("d", text))
    assert passages == split(Document("d", text))
    assert len({each.id for each in passages}) == len(passages)


@pytest.mark.parametrize(
    ("text", "headings"),
    [
        ("# One\n\nfirst\n\n## Two\n\nsecond", ["One", "Two"]),
        ("One\n===\n\nfirst\n\nTwo\n---\n\nsecond", ["One", "Two"]),
        ("no heading here", [""]),
        ("-----\n\na rule is no heading", [""]),
    ],
)
def test_headings_name_the_passages_below_them(text: str, headings: list[str]) -> None:
    assert list(dict.fromkeys(each.heading for each in split(Document("d", text)))) == headings


def test_a_document_with_a_title_alone_can_be_found_by_it() -> None:
    (passage,) = split(Document("d", "  \n", "Title"))
    assert (passage.text, passage.span, passage.full_text) == ("", Span(0, 0), "Title")


def test_an_empty_document_has_no_passage() -> None:
    assert split(Document("d", " \n ")) == ()


@pytest.mark.parametrize(
    ("text", "count"), [(" " * 400_000, 0), ("# a" + " " * 400_000 + "b", 2), ("a\n" + " " * 400_000, 1)]
)
def test_a_long_stretch_of_white_space_does_not_cost_its_square(text: str, count: int) -> None:
    assert len(split(Document("d", text))) == count


@pytest.mark.parametrize("text", ["# One\r\n\r\nfirst", "# One ##\n\nfirst", "One\r\n===\r\nfirst"])
def test_a_heading_ends_before_its_line_does(text: str) -> None:
    assert {each.heading for each in split(Document("d", text))} == {"One"}
