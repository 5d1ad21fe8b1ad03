"""What is read from an answer, however a model words it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tamis_llm_rankers import notes
from tamis_llm_rankers.answers import permutation, pick, without_thoughts

NUMBERS = ["1", "2", "3", "4"]
LETTERS = ["A", "B", "C", "D"]


@pytest.mark.parametrize("answer", ["[2] > [1] > [4] > [3]", " [2]>[1]>[4]>[3].\n", "2 > 1 > 4 > 3"])
def test_an_order_in_the_form_asked_for_needs_no_repair(answer: str) -> None:
    reading = permutation(answer, NUMBERS)
    assert reading.order == (1, 0, 3, 2)
    assert reading.notes == ()


@pytest.mark.parametrize(
    ("answer", "order", "noted"),
    [
        ("Sure! The order is [2] > [1] > [4] > [3]. Hope it helps!", (1, 0, 3, 2), (notes.PROSE,)),
        ("2, 1, 4, 3", (1, 0, 3, 2), (notes.PROSE,)),
        ("[2, 1, 4, 3]", (1, 0, 3, 2), (notes.PROSE,)),
        ("Passage 2\nPassage 1\nPassage 4\nPassage 3", (1, 0, 3, 2), (notes.PROSE,)),
        ("1. [2]\n2. [1]\n3. [4]\n4. [3]", (1, 0, 3, 2), (notes.PROSE,)),
        ("[2] > [1] > [2] > [4] > [3]", (1, 0, 3, 2), (notes.REPEATED,)),
        ("[9] > [2] > [1] > [4] > [3] > [0]", (1, 0, 3, 2), (notes.UNKNOWN,)),
        ("[2] > [1] > [", (1, 0), (notes.MISSING, notes.PROSE)),
        ("[2] > [1]", (1, 0), (notes.MISSING,)),
        ("", (), (notes.NOTHING,)),
        ("I found 3 relevant passages out of 4.", (), (notes.NOTHING,)),
        ("[9] > [17]", (), (notes.NOTHING,)),
    ],
)
def test_an_order_is_repaired_and_says_how(answer: str, order: tuple[int, ...], noted: tuple[str, ...]) -> None:
    reading = permutation(answer, NUMBERS)
    assert reading.order == order
    assert reading.notes == noted


def test_letters_are_read_in_either_case() -> None:
    assert permutation("[b] > [A] > [d] > [C]", LETTERS).order == (1, 0, 3, 2)


@given(st.text() | st.text("[]>ABCD1234 ,\n", max_size=60))
def test_any_answer_is_read_as_an_order_without_repeats(answer: str) -> None:
    for labels in (NUMBERS, LETTERS):
        order = permutation(answer, labels).order
        assert len(set(order)) == len(order)
        assert set(order) <= set(range(4))


@given(st.permutations(range(20)))
def test_every_permutation_is_read_as_it_was_written(order: list[int]) -> None:
    labels = [str(number) for number in range(1, 21)]
    reading = permutation(" > ".join(f"[{labels[each]}]" for each in order), labels)
    assert reading.order == tuple(order)
    assert reading.notes == ()


@pytest.mark.parametrize(
    "answer", ["B", " b.\n", "(B)", "**B**", "Passage B", "The answer is: B", '"B"', "Document B."]
)
def test_a_label_alone_is_picked(answer: str) -> None:
    assert pick(answer, LETTERS).order == (1,)
    assert pick(answer, LETTERS).notes == ()


@pytest.mark.parametrize(
    "answer",
    [
        "I believe that Passage B is the better one.",
        "Passage B is more relevant than Passage A.",
        "B. It says more about the query.",
        "B\n\nBecause it answers the query.",
        "The most relevant one is [B], clearly.",
    ],
)
def test_a_label_in_prose_is_picked_with_a_note(answer: str) -> None:
    assert pick(answer, LETTERS).order == (1,)
    assert pick(answer, LETTERS).notes == (notes.PROSE,)


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "E",
        "A better passage would name the year.",
        "Both Passage A and Passage B.",
        "Either (A) or (B).",
        "Neither.",
    ],
)
def test_an_answer_that_names_none_or_wavers_is_a_tie(answer: str) -> None:
    assert pick(answer, LETTERS).order == ()
    assert pick(answer, LETTERS).notes == (notes.AMBIGUOUS,)


@pytest.mark.parametrize(("answer", "place"), [("true", 0), ("False", 1), ("Answer: true", 0)])
def test_words_are_labels_too(answer: str, place: int) -> None:
    assert pick(answer, ["true", "false"]).order == (place,)


@given(st.text() | st.text("[](){}ABCD. \n", max_size=40))
def test_any_answer_picks_one_label_or_none(answer: str) -> None:
    assert pick(answer, LETTERS).order in ((), (0,), (1,), (2,), (3,))


def test_what_a_model_thinks_aloud_is_no_answer() -> None:
    assert without_thoughts("<think>[1] > [2]? No.</think>[2] > [1]") == "[2] > [1]"
    assert without_thoughts("[2] > [1]") == "[2] > [1]"
    assert without_thoughts("<think>[1] > [2]?") == ""


@pytest.mark.parametrize("reading", [permutation, pick])
@pytest.mark.parametrize("answer", ["[1]{}x", "{}unknowable", "1, -{}unknowable", "the{}x", "answer{}x", "({}x"])
def test_a_million_blanks_in_an_answer_are_read_in_no_time(reading: Any, answer: str) -> None:
    """Where reading takes the square of the answer's length this never ends."""
    assert len(reading(answer.format(" " * 1_000_000), ["1", "2"]).order) <= 1
