"""Phrases, long queries, and what a request may set for itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tamis.context import Call
from tamis.errors import ConfigurationError
from tamis.testing.contract.collections import passage
from tamis_tantivy.asked import MOST_QUERY_TERMS
from tamis_tantivy.query import significant

TEXTS = ["The full moon rises over New York", "A moon that is full, a new city, old York", "York is new to me"]


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ('"full moon"', [0]),
        ('"moons rising"', [0]),
        ('"moon full"', []),
        ('"new york"', [0]),
        ('"New York" moon city', [0]),
        ('"york" moon', [0, 1, 2]),
        ('"city" "moon"', [1]),
        ('"full moon" "old york"', []),
        ("“full moon”", [0]),
        ("„full moon“", [0]),
        ("«full moon»", [0]),
        ("»full moon«", [0]),
        ('"full\nmoon"', [0]),
        ('"full, moon!"', [0]),
        ('"full moon', [0, 1]),
        ('full moon"', [0, 1]),
        ('"" full', [0, 1]),
        ('"?!" full', [0, 1]),
        ('5" full 3" wide', [0, 1]),
        ('"full -moon"', [0]),
        ('"nowhere to be found" moon', []),
    ],
)
async def test_what_stands_between_quotes_must_occur(holding: Any, query: str, numbers: list[int]) -> None:
    async with holding(*TEXTS) as it:
        assert sorted(await it.found(query)) == [f"{number}/0" for number in numbers]


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ('"検索エンジン"', [0]),
        ('"全文検索"', [0]),
        ('"エンジン検索"', []),
        ('"索引"', []),
        ('"ｴﾝｼﾞﾝ"', [0, 1]),
        ('"iPhoneの電池"', [2]),
        ('"電池 iPhone"', [2]),
        ('"猫"', [3]),
        ('"친구를 만났다"', [4]),
        ('"친구를 학교에서"', []),
        ("iphone", [2]),
        ("猫", [3]),
    ],
)
async def test_phrases_of_what_is_written_without_spaces(holding: Any, query: str, numbers: list[int]) -> None:
    texts = ["全文検索エンジンは速い", "エンジンで検索する", "新しいiPhoneの電池", "あの黒猫", "학교에서 친구를 만났다"]
    async with holding(*texts) as it:
        assert sorted(await it.found(query)) == [f"{number}/0" for number in numbers]


async def test_a_phrase_may_stand_in_the_title_or_the_heading_but_not_across_both(holding: Any) -> None:
    async with holding() as it:
        entitled = replace(passage("a", "Nothing here."), title="The full moon", heading="Rising tides")
        await it.put(("a", [entitled]))
        assert await it.found('"full moon"') == await it.found('"rising tide"') == ["a/0"]
        assert await it.found('"moon rising"') == []


async def test_quotes_in_a_long_text_are_quotations(holding: Any) -> None:
    text = '"nowhere at all" ' + " ".join(f"word{number}" for number in range(MOST_QUERY_TERMS)) + " moon"
    async with holding(*TEXTS) as it:
        assert sorted(await it.found(text)) == ["0/0", "1/0"]


async def test_a_long_text_finds_by_its_rare_words_wherever_they_stand(holding: Any) -> None:
    common = [f"common{number}" for number in range(200)]
    others = [" ".join(common)] * 5
    async with holding(*others, "the syzygy of that year", "another syzygy") as it:
        found = await it.found(" ".join([*common, "syzygy"]))
        assert {"5/0", "6/0"} <= set(found)
        kana = "".join(chr(0x4E00 + number) for number in range(200))
        await it.put(("k", [passage("k", "検索")]), ("l", [passage("l", "検索")]))
        assert {"k/0", "l/0"} <= set(await it.found(f"{kana} 検索"))


def test_rare_terms_are_significant_and_so_are_frequent_ones_of_the_query() -> None:
    counts = {"everywhere": 1_000, "twice": 2, **{f"here{number}": 10 for number in range(100)}}
    terms = Counter([*counts, *["here7"] * 5, *(f"unknown{number}" for number in range(100))])
    chosen = significant(terms, lambda term: counts.get(term, 0), 1_000)
    assert list(chosen)[:2] == ["here7", "twice"]
    assert len(chosen) == MOST_QUERY_TERMS
    assert not {"everywhere", "unknown1"} & set(chosen)


def test_terms_of_one_passage_alone_take_half_of_the_places() -> None:
    counts = {**{f"one{number}": 1 for number in range(100)}, **{f"two{number}": 2 for number in range(100)}}
    chosen = significant(Counter(list(counts)), lambda term: counts[term], 1_000)
    assert sum(counts[each] == 1 for each in chosen) == MOST_QUERY_TERMS // 2


async def test_the_language_of_a_collection_overrides_that_of_the_stage(holding: Any) -> None:
    async with holding("Die Häuser am Ufer", collection_language="de", language="en") as it:
        assert await it.found("Haus") == ["0/0"]
    with pytest.raises(ConfigurationError, match="new collection"):
        async with holding(language="en"):
            pass


async def test_a_request_may_set_title_boost_and_snippet_length(holding: Any) -> None:
    async with holding() as it:
        in_text = replace(passage("a", "moon over the harbour"), title="night over the harbour")
        in_title = replace(passage("b", "night over the harbour"), title="moon over the harbour")
        await it.put(("a", [in_text]), ("b", [in_title]))
        for boost, length, first in ((100.0, 0, "b/0"), (0.01, 5, "a/0")):
            call = Call(options={"title_boost": boost, "snippet_length": length})
            found = await it.candidates("moon", call=call)
            assert found[0].passage_id == first
            assert max(len(each.snippet) for each in found) <= length


def test_only_what_makes_sense_for_a_request_can_be_overridden(settings_schema: Callable[[], dict[str, Any]]) -> None:
    overridable = {name for name, each in settings_schema().items() if each.get("overridable")}
    assert overridable == {"title_boost", "snippet_length"}
