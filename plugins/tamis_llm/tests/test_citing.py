"""What is a citation, what is code, and which part of a passage is cited."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tamis.generator import AnswerDelta
from tamis.model import Passage, Span
from tamis_llm.citing import CitationStream
from tamis_llm.support import Supports

PASSAGES = [
    Passage("a#0", "a", 3, "Water boils at 100 °C. Salt raises that. So does pressure.", "Water", span=Span(10, 69)),
    Passage("b#0", "b", 5, "Copper conducts heat.", span=Span(0, 21)),
    Passage("c#0", "c", 1, "東京は日本の首都です。人口は約千四百万人です。", span=Span(0, 69)),
]


def _read(text: str, size: int = 10_000) -> tuple[str, list[tuple[str, str]], CitationStream]:
    """The text that remains, each citation as the words of the answer and of the document, and the stream."""
    stream = CitationStream(PASSAGES)
    deltas = [delta for start in range(0, len(text), size) for delta in stream.feed(text[start : start + size])]
    deltas += stream.end()
    answer = "".join(each.text for each in deltas)
    return answer, [_words(answer, delta, each) for delta in deltas for each in range(len(delta.citations))], stream


def _words(answer: str, delta: AnswerDelta, place: int) -> tuple[str, str]:
    citation = delta.citations[place]
    passage = next(each for each in PASSAGES if each.id == citation.passage_id)
    return citation.answer_span.of(answer), citation.document_span.shifted(-passage.span.start).of(passage.text)


@pytest.mark.parametrize(
    ("text", "remains", "count"),
    [
        ("Both [1, 2].", "Both.", 2),
        ("Both [1;2].", "Both.", 2),
        ("All [1-3].", "All.", 3),
        ("All [1–3].", "All.", 3),
        ("One [passage 2].", "One.", 1),
        ("One [Passages 1, 2].", "One.", 2),
        ("One【2】.", "One.", 1),
        ("Boils[1].", "Boils.", 1),
        ("Twice [1][1].", "Twice.", 2),
        (f"Many [{', '.join('12'[n % 2] for n in range(20))}].", "Many.", 2),
        ("Dropped [99].", "Dropped.", 0),
        ("Half known [1, 99].", "Half known.", 1),
        ("Too long a range [1-9999].", "Too long a range.", 1),
    ],
)
def test_every_way_of_citing_that_models_have_is_read(text: str, remains: str, count: int) -> None:
    answer, cited, _ = _read(text)
    assert answer == remains
    assert len(cited) == count


@pytest.mark.parametrize(
    "text",
    [
        "Use `items[1]` here.",
        "Use `items[1]\nor not.",
        "```\nx[1] = y[2]\n```",
        "Write items[0] first.",
        "Write grid[17] or f(x)[9] or m[12][13].",
        "The list [0] has one element.",
        "A [word], a [ ], an [x1] and [1.5].",
        "Half open [1, 2) it is.",
        "Ends in [1",
        "Ends in [",
    ],
)
def test_an_index_into_code_is_not_eaten(text: str) -> None:
    answer, cited, stream = _read(text)
    assert answer == text
    assert (cited, stream.unknown_count) == ([], 0)


def test_after_code_citations_are_read_again() -> None:
    answer, cited, _ = _read("Use `x[1]` or ```y[2]```. Water boils at 100 °C [1].")
    assert answer == "Use `x[1]` or ```y[2]```. Water boils at 100 °C."
    assert cited == [("Water boils at 100 °C", "Water boils at 100 °C.")]


@pytest.mark.parametrize(
    ("text", "evidence"),
    [
        ("Water boils at 100 °C [1].", "Water boils at 100 °C."),
        ("Salt raises that point [1].", "Salt raises that."),
        ("Salt raises that and so does pressure [1].", "Salt raises that. So does pressure."),
        ("It depends [1].", PASSAGES[0].text),
        ("Wasser kocht bei hundert Grad [1].", PASSAGES[0].text),
        ("人口は千四百万人 [3]。", "人口は約千四百万人です。"),
        ("[2]", PASSAGES[1].text),
    ],
)
def test_the_evidence_is_the_sentence_that_says_so_or_the_whole_passage(text: str, evidence: str) -> None:
    _, ((_, found),), _ = _read(text)
    assert found == evidence


def test_of_two_sentences_that_say_the_same_neither_is_clear() -> None:
    text = "The ferry leaves at nine. On Sundays the ferry leaves at ten. The ferry leaves at noon."
    passage = Passage("p#0", "p", 1, text, span=Span(0, len(text)))
    assert Supports([passage]).span(0, "The ferry leaves") == passage.span


@given(st.text(st.sampled_from("ab[]`【】1,29-. \n\tpP東é("), max_size=80), st.integers(1, 9))
def test_however_it_is_cut_the_same_text_gives_the_same_answer(text: str, size: int) -> None:
    whole, cut = _read(text), _read(text, size)
    assert whole[:2] == cut[:2]
    assert whole[2].unknown_count == cut[2].unknown_count


@given(st.text(max_size=200))
def test_every_span_lies_in_its_passage_and_cuts_no_character(claim: str) -> None:
    for place, passage in enumerate(PASSAGES):
        span = Supports(PASSAGES).span(place, claim)
        assert passage.span.start <= span.start < span.end <= passage.span.end
        assert span.shifted(-passage.span.start).of(passage.text)


def test_a_very_long_answer_is_read_in_time_that_grows_with_it() -> None:
    stream = CitationStream(PASSAGES)
    count = sum(len(delta.citations) for _ in range(20_000) for delta in stream.feed("word and [1] more "))
    assert count == 20_000
