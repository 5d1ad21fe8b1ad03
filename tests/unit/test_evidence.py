"""A citation into what a generator read becomes one into what the caller has seen."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tamis.evidence import Evidence
from tamis.generator import is_given, merged
from tamis.model import Citation, Hit, Passage, ScoreKind, Span

TEXT = "The moon orbits the earth once in twenty-seven days and raises the tides of all the oceans."


def _passage(start: int, end: int, document: str = "d") -> Passage:
    return Passage(f"{document}#{start}", document, 1, TEXT[start:end], span=Span(start, end))


SEEN = [Hit(_passage(*each), None, ScoreKind.NONE) for each in ((20, 50), (0, 25), (40, 70), (75, 91))]
WHOLE = replace(SEEN[0], passage=merged([hit.passage for hit in SEEN[:3]]))


def _resolved(start: int, end: int, id: str = "d#20", answer_end: int = 5) -> list[tuple[str, int, int]]:
    citation = Citation(Span(0, answer_end), id, "d", 1, Span(start, end))
    found = Evidence([WHOLE, SEEN[3]], SEEN).resolved(citation, 5)
    assert all(each.answer_span == citation.answer_span for each in found)
    return [(each.passage_id, each.document_span.start, each.document_span.end) for each in found]


@pytest.mark.parametrize(
    ("span", "resolved"),
    [
        ((30, 35), [("d#20", 30, 35)]),
        ((42, 48), [("d#20", 42, 48)]),
        ((45, 60), [("d#40", 45, 60)]),
        ((3, 10), [("d#0", 3, 10)]),
        ((0, 70), [("d#0", 0, 25), ("d#20", 25, 50), ("d#40", 50, 70)]),
        ((10, 30), [("d#0", 10, 25), ("d#20", 25, 30)]),
        ((30, 30), [("d#20", 30, 30)]),
        ((70, 70), [("d#40", 70, 70)]),
    ],
)
def test_a_citation_goes_to_the_passage_that_has_it_whole_or_to_the_fewest_that_have_it(
    span: tuple[int, int], resolved: list[tuple[str, int, int]]
) -> None:
    assert _resolved(*span) == resolved


def test_what_does_not_resolve_is_none() -> None:
    assert _resolved(60, 75) == []
    assert _resolved(30, 35, "d#40") == []
    assert _resolved(30, 35, answer_end=6) == []
    assert _resolved(75, 80, "d#75") == [("d#75", 75, 80)]


@given(st.integers(0, 70), st.integers(0, 70))
def test_the_parts_are_seen_lie_in_their_passages_and_make_up_the_span(one: int, other: int) -> None:
    start, end = sorted((one, other))
    parts, seen = _resolved(start, end), {hit.passage.id: hit.passage.span for hit in SEEN}
    assert all(seen[id].start <= first <= last <= seen[id].end for id, first, last in parts)
    assert "".join(TEXT[first:last] for _, first, last in parts) == TEXT[start:end]


def test_only_what_merging_makes_of_given_hits_is_given() -> None:
    assert is_given(WHOLE, SEEN)
    assert all(is_given(each, SEEN) for each in SEEN)
    assert is_given(replace(SEEN[1], passage=merged([SEEN[1].passage, SEEN[0].passage])), SEEN)
    wrong_text = replace(WHOLE.passage, text=WHOLE.passage.text.replace("moon", "loon"))
    gap = replace(WHOLE.passage, text=TEXT, span=Span(0, 91))
    for changed in (wrong_text, gap, replace(WHOLE.passage, title="Moon"), _passage(20, 45), _passage(19, 50)):
        assert not is_given(replace(WHOLE, passage=changed), SEEN)
    assert not is_given(replace(WHOLE, score=1.0), SEEN)
    assert not is_given(replace(WHOLE, passage=replace(WHOLE.passage, id="d#9")), SEEN)
