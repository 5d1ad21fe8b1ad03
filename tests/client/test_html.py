"""Hits in notebooks: what is shown, and that nothing in a document can be taken for markup."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser

from hypothesis import given, settings
from hypothesis import strategies as st

from tamis.client import (
    Answer,
    Citation,
    Contribution,
    FinishReason,
    Hit,
    Hits,
    Locator,
    Passage,
    ScoreKind,
    SearchResult,
    Span,
    StageOutcome,
    StageReason,
    StageReport,
    StageRole,
    StageScore,
)

_TEXT = "Twelve weeks, paid in full."


def _result(text: str = _TEXT, name: str = "handbook.md") -> SearchResult:
    """One hit, with `text` and `name` wherever a server may have put what others wrote."""
    length = len(text.encode())
    path = (
        StageScore("bm25", 3, 7.25, ScoreKind.BM25),
        StageScore("bm25 | dense", 2, 0.0312, ScoreKind.RANK_FUSION, (Contribution("bm25", 3, 0.0159),)),
        StageScore("listwise", 1),
        StageScore(name, 1, 0.5, ScoreKind.UNKNOWN),
    )
    passage = Passage(
        "p1", text, name, name, name, {"k": text}, Span(0, length), 1, (name, name), Locator(3, 4, 10, 12)
    )
    hit = Hit(passage, -4.2, ScoreKind.LOGIT, path, text, (Span(0, length),))
    reports = (
        StageReport("bm25", StageRole.RETRIEVER, StageOutcome.RAN, None, 50, 50, 50, 0.012, 0.5),
        StageReport(name, StageRole.RERANKER, StageOutcome.PARTIAL, StageReason.DEADLINE, 3, 9, 9, 1, 1, notes=(text,)),
    )
    citation = Citation(Span(0, length), "p1", name, 1, Span(0, length))
    answer = Answer(text, (citation, citation), FinishReason.ANSWERED)
    return SearchResult(Hits((hit,)), reports, answer, pipeline=text, suggested_query=text)


class Read(HTMLParser):
    """What a browser would make of it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags, self.open, self.attributes, self.text = list[str](), list[str](), set[str](), ""
        self.titles = list[str]()
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes.update(name for name, _ in attrs)
        self.titles += [value or "" for name, value in attrs if name == "title"]
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_result_shows_the_answer_the_hits_the_path_of_each_and_how_stages_fared() -> None:
    read = Read(_result()._repr_html_())
    assert f"{_TEXT}[1]" in read.text
    assert "bm25 #3 7.25 → bm25 | dense #2 0.0312 → listwise #1 → handbook.md #1 0.5" in read.text
    assert "p. 3-4" in read.text
    assert "-4.2logit" in read.text
    assert "bm25 12 ms" in read.text
    assert "1,000 ms partial: deadline" in read.text
    assert f"did you mean: {_TEXT}" in read.text
    assert "bm25 #3: 0.0159" in read.titles
    assert "reranker, 3 of 9 in 1 s given; Twelve weeks, paid in full." in read.titles
    assert read.tags.count("mark") == 1


def test_hits_show_themselves_and_so_does_a_part_of_them() -> None:
    result = _result()
    hits = Hits((*result.hits, replace(result.hits[0], snippet="", score=None)))
    assert Read(hits._repr_html_()).tags.count("tr") == 2
    assert Read(hits[1:]._repr_html_()).tags.count("tr") == 1
    assert Read(Hits()._repr_html_()).text == "no hits"
    assert len(Read(Hits((Hit(Passage("p", "x" * 10_000)),))._repr_html_()).text) < 500


def test_nothing_that_others_wrote_is_taken_for_markup() -> None:
    plain = Read(_result()._repr_html_())
    hostile = """</td></table><script>alert(1)</script><img src=x onerror=x()>" onload="x()' style='x &lt;"""
    read = Read(_result(hostile, hostile)._repr_html_())
    assert read.tags == plain.tags
    assert read.attributes == plain.attributes == {"style", "title"}
    assert hostile in read.text


@settings(max_examples=60)
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\0"), min_size=1))
def test_every_text_is_shown_as_it_is(text: str) -> None:
    read = Read(_result(text, "n")._repr_html_())
    assert set(read.tags) <= set(Read(_result()._repr_html_()).tags)
    assert read.attributes == {"style", "title"}
    assert text in read.text
