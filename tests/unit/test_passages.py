"""The division of documents into passages by the chunker `sentences`."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tamis.errors import ConfigurationError
from tamis.ingest.passages import SentencesChunker
from tamis.ingest.tokens import EstimatedTokens
from tamis.model import Document, Heading, Locator, PageBreak, Passage, Span
from tamis.testing.contract.chunker import TEXTS
from tamis.testing.embedders import HashEmbedder

LIMIT, OVERLAP = 40, 12
TOKENS = HashEmbedder(HashEmbedder.Settings())
CHUNKER = SentencesChunker(SentencesChunker.Settings(embedder=TOKENS, max_tokens=LIMIT, overlap_tokens=OVERLAP))
SENTENCES = st.lists(st.integers(1, 30), min_size=1, max_size=60).map(
    lambda sizes: " ".join(" ".join([f"w{number}"] * size) + "." for number, size in enumerate(sizes))
)


def chunk(text: str, title: str = "", **fields: object) -> tuple[Passage, ...]:
    return tuple(CHUNKER.chunk(Document("d", text, title, **fields)))  # type: ignore[arg-type]


def _count(text: str) -> int:
    return len(TOKENS.token_offsets(text))


@given(TEXTS, st.sampled_from(["", "Title", "A title of some more words"]))
def test_no_passage_is_longer_than_the_limit_title_and_heading_included(text: str, title: str) -> None:
    assert all(_count(each.full_text) <= LIMIT for each in chunk(text, title))


@given(TEXTS)
@settings(max_examples=50)
def test_by_estimate_no_passage_is_longer_than_the_limit_either(text: str) -> None:
    estimate = EstimatedTokens()
    chunker = SentencesChunker(SentencesChunker.Settings(max_tokens=64))
    for each in chunker.chunk(Document("d", text, "Title")):
        assert estimate.extra_tokens + len(estimate.token_offsets(each.full_text)) <= 64


@given(SENTENCES)
def test_neighbours_share_whole_sentences_and_no_more_than_the_overlap(text: str) -> None:
    passages = chunk(text)
    for one, other in itertools.pairwise(passages):
        if other.span.start < one.span.end:
            shared = Span(other.span.start, one.span.end).of(text)
            assert shared.endswith(".")
            assert text[: other.span.start].rstrip().endswith(".")
            assert _count(shared) <= OVERLAP


def test_sentences_overlap_where_they_are_short_enough() -> None:
    text = " ".join(f"This is the sentence number {number}." for number in range(30))
    passages = chunk(text)
    assert len(passages) > 3
    assert all(other.span.start < one.span.end for one, other in itertools.pairwise(passages))


def test_a_title_longer_than_a_passage_leaves_some_text_to_each() -> None:
    passages = chunk("word " * 100, "title " * 60)
    assert 10 < len(passages) <= 25


def test_a_heading_too_long_for_an_encoder_is_cut_and_its_passages_fit() -> None:
    passages = chunk("text " * 30, "Title", landmarks=(Heading(0, "heading " * 100),))
    assert all(_count(each.full_text) <= LIMIT for each in passages)
    assert all(each.heading.startswith("heading heading") for each in passages)


def test_passages_do_not_span_sections_that_are_more_than_tiny() -> None:
    text = f"# One\n\n{'one ' * 20}\n\n# Two\n\n{'two ' * 8}\n\n## Three\n\n{'three ' * 8}\n\n# Four\n\n{'four ' * 30}"
    found = [(each.heading_path, each.text.split()[1]) for each in chunk(text)]
    assert found == [(("One",), "One"), (("Two",), "Two"), (("Four",), "Four")]


def test_the_headings_above_a_passage_are_its_path_and_the_title_is_none_of_them() -> None:
    body = "word " * 30
    text = f"# Guide\n\n{body}\n\n## Install\n\n{body}\n\n### Linux\n\n{body}\n\n## Use\n\n{body}"
    found = [(each.heading_path, each.heading) for each in chunk(text, "Guide")]
    assert found == [((), ""), (("Install",), "Install"), (("Install", "Linux"), "Linux"), (("Use",), "Use")]


def test_given_headings_hold_instead_of_those_the_text_shows() -> None:
    text = "# Not a heading\n\n" + "word " * 20
    assert {each.heading_path for each in chunk(text, landmarks=(Heading(0, "Given", 2),))} == {("Given",)}
    assert {each.heading_path for each in chunk(text, landmarks=(PageBreak(0, 1),))} == {()}


def test_levels_of_underlined_headings_are_in_the_order_of_their_appearance() -> None:
    body = "word " * 30
    text = f"One\n~~~\n\n{body}\n\nTwo\n...\n\n{body}\n\nThree\n~~~~~\n\n{body}"
    assert [each.heading_path for each in chunk(text)] == [("One",), ("One", "Two"), ("Three",)]


@pytest.mark.parametrize(
    "whole",
    [
        "```\ndef f(x):\n\n    # not a heading\n    return x + 1. And more\n```",
        "| a | b |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |",
        "Dr. Smith met Mr. Jones, e.g. at noon, in 3.5 hours. Then more of it came.",
    ],
)
def test_what_fits_is_not_cut(whole: str) -> None:
    text = f"{'Some words here. ' * 9}\n\n{whole}\n\n{'And words after. ' * 9}"
    assert any(whole in each.text for each in chunk(text))


def test_code_that_does_not_fit_is_cut_between_lines() -> None:
    lines = [f"line_{number} = call(one, two, three)" for number in range(30)]
    passages = chunk("```\n" + "\n".join(lines) + "\n```")
    assert len(passages) > 2
    for each in passages:
        assert set(each.text.split("\n")) <= {*lines, "```"}


def test_sentences_of_chinese_end_without_a_space() -> None:
    chunker = SentencesChunker(SentencesChunker.Settings(max_tokens=32, overlap_tokens=0))
    passages = chunker.chunk(Document("d", "这是一个很短的句子。" * 12))
    assert len(passages) == 4
    assert all(each.text.endswith("。") for each in passages)


def test_passages_of_a_section_are_about_equally_long() -> None:
    text = " ".join(f"Sentence number {number} is here." for number in range(9))
    sizes = [_count(each.text) for each in chunk(text)]
    assert min(sizes) >= 15


def test_pages_and_lines_are_kept() -> None:
    text = "One.\nTwo.\n\n\fThree.\nFour."
    (passage,) = chunk(text, landmarks=(PageBreak(0, 7), PageBreak(12, 8)))
    assert passage.locator == Locator(7, 8, 1, 5)


@pytest.mark.parametrize("text", ["# One\r\n\r\nfirst", "# One ##\n\nfirst", "One\r\n===\r\nfirst"])
def test_a_heading_ends_before_its_line_does(text: str) -> None:
    assert {each.heading for each in chunk(text)} == {"One"}


@pytest.mark.parametrize(("text", "count"), [(" " * 400_000, 0), ("a\n" + " " * 400_000, 1), ("```\n" * 50_000, 700)])
def test_what_is_long_and_says_nothing_does_not_cost_its_square(text: str, count: int) -> None:
    assert len(chunk(text)) <= count


async def test_passages_that_the_embedder_could_not_read_are_refused() -> None:
    chunker = SentencesChunker(SentencesChunker.Settings(embedder=TOKENS, max_tokens=600))
    with pytest.raises(ConfigurationError, match="reads only 512"):
        await chunker.open()
