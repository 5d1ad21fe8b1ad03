"""How passages are divided into sentences, and which of them make an answer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tamis.context import CallEnded
from tamis.errors import ConfigurationError
from tamis.model import Hit, Passage, ScoreKind
from tamis_extractive.generator import ExtractiveGenerator, ExtractiveSettings
from tamis_extractive.selection import Selection
from tamis_extractive.sentences import sentences
from tamis_extractive.words import Words


def _texts(text: str) -> list[str]:
    return [each.text for each in sentences(text)]


@given(st.text(st.sampled_from("ab. !?\n*é𝄞。-1)"), max_size=80))
def test_a_sentence_is_what_its_span_covers_with_single_spaces(text: str) -> None:
    position = 0
    for each in sentences(text):
        assert " ".join(each.span.of(text).split()) == each.text
        assert each.span.start >= position
        position = each.span.end


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("It wraps\n  over lines. Next.", ["It wraps over lines.", "Next."]),
        ("Tools, e.g. sieves, help. J. Smith said so.", ["Tools, e.g. sieves, help.", "J. Smith said so."]),
        ('He said "stop." Then he left.', ['He said "stop."', "Then he left."]),
        ("一。二。", ["一。", "二。"]),
        ("* First item.\n* Second item.", ["First item.", "Second item."]),
        ("Prose.\n\n>>> code(1)\n\nMore prose.", ["Prose.", "More prose."]),
        ("Heading\n=======\n\nProse.", ["Heading", "Prose."]),
        ("run(a, b=1)\n\nRuns it.", ["Runs it."]),
        ("No end", ["No end"]),
        ("", []),
    ],
)
def test_prose_is_divided_and_code_left_out(text: str, expected: list[str]) -> None:
    assert _texts(text) == expected


def _best(question: str, *texts: str, limit: int = 3, min_coverage: float = 0.5) -> list[str]:
    hits = [Hit(Passage(str(place), str(place), 1, text), None, ScoreKind.NONE) for place, text in enumerate(texts)]
    return [each.sentence.text for each in Selection(Words("en"), question, hits).best(limit, min_coverage)]


def test_the_sentence_that_covers_the_question_is_chosen_wherever_it_stands() -> None:
    found = _best("Who invented the drum sieve?", "Sauces are old.", "Nobody knows who invented drum sieves in France.")
    assert found == ["Nobody knows who invented drum sieves in France."]


def test_a_call_that_has_ended_reads_no_further_passage() -> None:
    read: list[int] = []

    def check() -> None:
        if read:
            raise CallEnded
        read.append(1)

    hits = [Hit(Passage(name, name, 1, "A sieve is round."), None, ScoreKind.NONE) for name in "ab"]
    with pytest.raises(CallEnded):
        Selection(Words("en"), "sieve", hits, check)


def test_sentences_that_say_the_same_are_quoted_once() -> None:
    same = "The drum sieve was invented in France."
    assert _best("Where was the drum sieve invented?", same, same) == [same]


def test_too_little_coverage_gives_no_answer() -> None:
    assert _best("Where was the drum sieve invented?", "A drum is an instrument.") == []
    assert _best("Where was the drum sieve invented?", "") == []


def test_a_question_of_function_words_alone_has_no_answer() -> None:
    assert _best("What is it?", "It is what it is, by all accounts.") == []


def test_an_unknown_language_is_refused_at_the_start() -> None:
    with pytest.raises(ConfigurationError, match="allowed: ar, da, de"):
        ExtractiveGenerator(ExtractiveSettings(language="xx"))
