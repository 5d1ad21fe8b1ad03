"""Where a part of a passage stands."""

from __future__ import annotations

import pytest

from tamis.locators import located
from tamis.model import Locator, Passage, Span

TEXT = "Über one.\nTwo.\n\fThree.\nFour."


def _span(part: str, start: int) -> Span:
    begins = TEXT.encode().index(part.encode()) + start
    return Span(begins, begins + len(part.encode()))


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ("Über one.", Locator(4, 4, 10, 10)),
        ("Two.\n", Locator(4, 4, 11, 11)),
        ("one.\nTwo.", Locator(4, 4, 10, 11)),
        ("Two.\n\fThree.", Locator(4, 5, 11, 12)),
        ("Four.", Locator(5, 5, 13, 13)),
    ],
)
def test_lines_and_pages_of_a_part_are_counted_in_the_passage(part: str, expected: Locator) -> None:
    passage = Passage("p", "d", 1, TEXT, span=Span(100, 100 + len(TEXT.encode())), locator=Locator(4, 5, 10, 13))
    assert located(passage, _span(part, 100)) == expected


def test_pages_that_the_text_does_not_mark_are_all_of_the_passages() -> None:
    passage = Passage("p", "d", 1, TEXT, span=Span(0, len(TEXT.encode())), locator=Locator(4, 8, 10, 13))
    assert located(passage, _span("Two.", 0)) == Locator(4, 8, 11, 11)


def test_nothing_is_known_of_a_passage_that_says_nothing() -> None:
    passage = Passage("p", "d", 1, TEXT, span=Span(0, len(TEXT.encode())))
    assert located(passage, _span("Two.", 0)) == Locator()
