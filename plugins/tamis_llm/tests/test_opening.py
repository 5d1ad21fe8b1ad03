"""Which openings say that there is no answer."""

from __future__ import annotations

import pytest

from tamis_llm.opening import Opening


def _read(text: str, size: int) -> tuple[str, bool]:
    opening = Opening()
    passed = "".join(opening.feed(text[start : start + size]) for start in range(0, len(text), size))
    return passed + opening.end(), opening.is_refusal


@pytest.mark.parametrize("size", [1, 2, 5, 1_000])
@pytest.mark.parametrize(
    "text",
    [
        "INSUFFICIENT",
        " INSUFFICIENT.\n",
        '"INSUFFICIENT"',
        "“INSUFFICIENT”.",
        "**INSUFFICIENT**",
        "`INSUFFICIENT`",
        "[1] INSUFFICIENT",
        "Answer: INSUFFICIENT",
        "The answer is INSUFFICIENT.",
        "<answer>INSUFFICIENT</answer>",
        "INSUFFICIENT. The passages do not say when. [1]",
        "INSUFFICIENT_EVIDENCE",
        "Insufficient.",
        "insufficient information",
        "Insufficient evidence.",
    ],
)
def test_the_word_is_a_refusal_whatever_stands_around_it(text: str, size: int) -> None:
    assert _read(text, size) == ("", True)


@pytest.mark.parametrize("size", [1, 2, 5, 1_000])
@pytest.mark.parametrize(
    "text",
    [
        "IN",
        "INSUFFICIENTLY salted water boils.",
        "Insufficient sleep causes headaches [1].",
        "insufficient evidence was found in 1990 for that, and more of it in 1991 [1].",
        "Insulin.",
        "The answer is 12 [1].",
        "The evidence is INSUFFICIENT to say.",
        "12 days [1].",
        "",
        "?",
    ],
)
def test_anything_else_is_an_answer_and_passes_whole(text: str, size: int) -> None:
    assert _read(text, size) == (text, False)


def test_an_answer_is_not_held_longer_than_it_must_be() -> None:
    opening = Opening()
    assert opening.feed("INS") == ""
    assert opening.feed("ulin") == "INSulin"
    assert opening.feed(" helps") == " helps"
