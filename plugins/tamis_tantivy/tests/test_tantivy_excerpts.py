"""Snippets, and the spans of what was asked for in them."""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from itertools import count
from types import SimpleNamespace
from typing import Any

import pytest
import tantivy
from hypothesis import given, settings
from hypothesis import strategies as st

from tamis.context import Call
from tamis.deadline import Deadline
from tamis.model import Candidate, Query
from tamis.testing.contract.collections import passage
from tamis_tantivy.analysis import SEPARATOR, analyzer, bigrams, located_runs, runs, separated
from tamis_tantivy.asked import read
from tamis_tantivy.excerpts import Excerpts
from tamis_tantivy.index import open_schema

PIECES = [
    *["moon", "Moons", "mOON", "sun", "full moon", "naïve", "Straße", "iPhone", "x" * 30, "a", "É", "e\u0301"],
    *["検索", "検索エンジン", "ｴﾝｼﾞﾝ", "カ\u3099", "猫", "㍿", "친구를", "ข้าว", "北京大学", "各", "\u1112\u1161\u11ab"],
    *["🎹", "👩🏽‍🚀", " ", " ", " ", "\n\n", "\u3000", ",", ". ", "-", '"', "“", "\u200b", "\u0301", "\x00", "שלום"],
]
ANALYSIS, SCHEMA = analyzer("en"), open_schema()
TEXT = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=3)), max_size=30).map("".join)


def _marked(candidate: Candidate) -> list[str]:
    return [span.of(candidate.snippet) for span in candidate.highlights]


@pytest.mark.parametrize(
    ("text", "query", "marked"),
    [
        ("The Moons\n\n of  Jupiter; a moon.", "moon", ["Moons", "moon"]),
        ("Grüße 🎹 vom Mond,\u3000dem Mond", "Mond", ["Mond", "Mond"]),
        ("全文検索エンジンは速い", "検索", ["検索"]),
        ("全文検索エンジンは速い", "検索エンジン", ["検索エンジン"]),
        ("半角のｴﾝｼﾞﾝです", "エンジン", ["ｴﾝｼﾞﾝ"]),
        ("新しいiPhoneの電池", "iphone 電池", ["iPhone", "電池"]),
        ("あの黒猫は猫だ", "猫", ["猫", "猫"]),
        ("학교에서 친구를 만났다", "친구", ["친구"]),
        ("ฉันชอบกินข้าว", "ข้าว", ["ข้าว"]),
        ("A moon. New moon, full moon.", '"full moon"', ["full", "moon"]),
        ("A moon. New moon, full moon.", '"full moon" new', ["New", "full", "moon"]),
        ("検索と全文検索", '"全文検索"', ["全文検索"]),
    ],
)
async def test_what_was_asked_for_is_marked(holding: Any, text: str, query: str, marked: list[str]) -> None:
    async with holding(text) as it:
        (candidate,) = await it.candidates(query)
    assert _marked(candidate) == marked
    assert SEPARATOR not in candidate.snippet


async def test_snippets_take_a_quarter_of_the_time_and_the_best_hits_get_theirs_first(
    holding: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = count(100)
    async with holding(*["a moon"] * 8) as it:
        clock = SimpleNamespace(monotonic=lambda: 100.0)
        monkeypatch.setattr("tamis.deadline.time", clock)
        monkeypatch.setattr("tamis_tantivy.index.time", SimpleNamespace(monotonic=lambda: float(next(seconds))))
        query = Query("moon", collection="c", generation=1)
        found = await it.retriever.retrieve(query, limit=8, call=Call(Deadline(112.0)))
    assert [bool(each.snippet) for each in found] == [True] * 3 + [False] * 5


async def test_a_hit_by_its_title_alone_has_no_snippet(holding: Any) -> None:
    async with holding() as it:
        await it.put(("a", [replace(passage("a", "Nothing of it."), title="The moon")]))
        (candidate,) = await it.candidates("moon")
    assert (candidate.snippet, candidate.highlights) == ("", ())


async def test_a_snippet_shows_where_most_of_the_words_stand(holding: Any) -> None:
    text = f"The moon. {'Nothing to see. ' * 50}The sun\nand the  moon meet. {'Nothing more. ' * 50}A sun."
    async with holding(text, snippet_length=60) as it:
        (candidate,) = await it.candidates("sun moon")
    assert "The sun and the moon meet." in candidate.snippet
    assert _marked(candidate) == ["sun", "moon"]
    assert len(candidate.snippet) <= 60
    assert candidate.snippet.split()[0] in text.split()


async def test_a_snippet_of_a_phrase_shows_the_phrase(holding: Any) -> None:
    text = f"Moon moon full full. {'Nothing to see. ' * 50}Then the full moon rose."
    async with holding(text, snippet_length=40) as it:
        (candidate,) = await it.candidates('"full moon"')
    assert "full moon" in candidate.snippet


async def test_a_long_japanese_text_is_cut_around_what_was_asked_for(holding: Any) -> None:
    async with holding("何も見えない。" * 100 + "全文検索は速い。" + "何もない。" * 100, snippet_length=30) as it:
        (candidate,) = await it.candidates("検索")
    assert len(candidate.snippet) <= 30
    assert _marked(candidate) == ["検索"]


@pytest.fixture(scope="module")
def searcher() -> tantivy.Searcher:
    index = tantivy.Index(SCHEMA)
    index.register_tokenizer("words", analyzer("en"))
    for name in ("identity", "spaced", "surface"):
        index.register_tokenizer(name, analyzer("en"))
    writer = index.writer(15_000_000, 1)
    writer.add_document(tantivy.Document(text=[separated(" ".join(PIECES))], title=[" ".join(PIECES)]))
    writer.commit()
    index.reload()
    return index.searcher()


@settings(max_examples=100)
@given(text=TEXT, query=TEXT, length=st.sampled_from([1, 7, 20, 240]))
def test_every_highlight_is_a_term_of_the_query_inside_the_snippet(
    searcher: tantivy.Searcher, text: str, query: str, length: int
) -> None:
    asked = read(query, ANALYSIS)
    document = tantivy.Document(text=[separated(text)])
    snippet, highlights = Excerpts(asked, searcher, SCHEMA, ANALYSIS).excerpt(document, length)
    assert len(snippet) <= length
    assert snippet == " ".join(snippet.split())
    assert snippet in " ".join(text.replace(SEPARATOR, "").split())
    terms = {*asked.words, *asked.pairs, *asked.singles}
    terms.update(term for phrase in asked.phrases for _, term in phrase.words)
    terms.update(run for phrase in asked.phrases for group in phrase.groups for run in group)
    end = 0
    for span in highlights:
        assert end <= span.start < span.end <= len(snippet.encode())
        end = span.end
        marked = span.of(snippet)
        normal = unicodedata.normalize("NFKC", marked)
        of_run = bool(runs(marked)) and any(term in normal for term in terms)
        words = {*ANALYSIS.analyze(marked)}
        assert of_run or (words and words <= terms)
    assert bool(highlights) == bool(snippet)


@settings(max_examples=100)
@given(text=TEXT)
def test_located_runs_are_those_that_are_indexed(text: str) -> None:
    located = list(located_runs(text))
    assert "".join(run for run, _ in located) == "".join(runs(text))
    for run, places in located:
        assert len(run) == len(places)
        assert all(start < end <= len(text) for start, end in places)


@given(text=TEXT)
def test_every_character_without_spaces_has_one_term(text: str) -> None:
    assert [each[0] for each in bigrams(text)] == list("".join(runs(text)))
