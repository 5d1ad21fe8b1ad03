"""Did you mean: queries mended from the words of the index."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tamis.context import Call, CallEnded
from tamis.errors import NotFound
from tamis.model import Query
from tamis.stage import Suggests
from tamis.testing.contract.collections import Collection, passage
from tamis_tantivy import TantivyRetriever

TEXTS = [
    "The receiver of a letter is connected to its sender.",
    "Connecting flights are received with pleasure in the harbour.",
    "Die Straße führt über größere Brücken. Überraschung!",
    "Photosynthesis turns light into sugar. 検索エンジン",
    "naïve quizzes, running engines, that other one",
]


async def suggested(it: Collection, text: str, call: Call | None = None) -> str:
    assert isinstance(it.retriever, Suggests)
    return await it.retriever.suggest(Query(text, it.name), call=call or Call())


def test_the_retriever_suggests() -> None:
    assert isinstance(TantivyRetriever(TantivyRetriever.Settings()), Suggests)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("photosinthesis", "photosynthesis"),
        ("fotosynthesis of light", "photosynthesis of light"),
        ("photosyntehsis", "photosynthesis"),
        ("hotosynthesis", "photosynthesis"),
        ("runnign engines", "running engines"),
        ("Recieved LIHGT?  (sugra)", "Received LIGHT?  (sugar)"),
        ('"conected flights" field:harbuor*', '"connected flights" field:harbour*'),
        ("strasse brücken", "straße brücken"),
        ("Überaschung", "Überraschung"),
        ("taht", "that"),
        ("検索エンジン photosinthesisの", "検索エンジン photosynthesisの"),
        ("connection receives", ""),
        ("hte lihgt", "hte light"),
        ("l1ght sug4r", ""),
        ("zzzzzzzz", ""),
        ("検索エンジソ", ""),
        ("", ""),
        ("?! 🎹", ""),
    ],
)
async def test_unknown_words_become_near_ones_and_all_else_stays(holding: Any, query: str, expected: str) -> None:
    async with holding(*TEXTS) as it:
        assert await suggested(it, query) == expected


async def test_fewer_errors_count_more_than_frequency_and_frequency_decides_between_equals(holding: Any) -> None:
    async with holding(*["silver"] * 5, "sliver", *["sinter"] * 3, "winter") as it:
        assert await suggested(it, "silverr") == "silver"
        assert await suggested(it, "siver") == "silver"
        assert await suggested(it, "wintter") == "winter"


async def test_a_rare_neighbour_does_not_hide_a_very_frequent_word(holding: Any) -> None:
    async with holding(*["necessary"] * 200, "nesesary") as it:
        assert await suggested(it, "nesessary") == "necessary"
        assert await suggested(it, "neseesary") == "necessary"


async def test_many_passages_with_near_words_do_not_hide_the_best(holding: Any) -> None:
    near = [f"{first}ountain" for first in "abcdefghij"]
    async with holding(*near * 5, *["fountain mountain"] * 8) as it:
        assert await suggested(it, "mountaim") == "mountain"


async def test_titles_know_words_too(holding: Any) -> None:
    async with holding() as it:
        await it.put(("a", [replace(passage("a", "Nothing."), title="Solar", heading="Eclipses")]))
        assert await suggested(it, "eclipsse solra") == "eclipses solar"


async def test_words_of_deleted_passages_are_neither_known_nor_suggested(holding: Any) -> None:
    async with holding("photosynthesis", "something else") as it:
        assert await suggested(it, "photosinthesis") == "photosynthesis"
        await it.put(("0", ()))
        assert await suggested(it, "photosinthesis") == ""
        await it.put(("2", [passage("2", "photosinthesis")]), ("3", [passage("3", "photosynthesis")]))
        await it.put(("2", ()))
        assert await suggested(it, "photosinthesis") == "photosynthesis"


async def test_a_text_is_no_query_to_mend(holding: Any) -> None:
    async with holding(*TEXTS) as it:
        assert await suggested(it, "photosinthesis " * 65) == ""
        assert await suggested(it, "photosinthesis " * 3) == "photosynthesis " * 3


async def test_nothing_is_suggested_to_those_who_have_gone_nor_without_an_index(holding: Any) -> None:
    async with holding(*TEXTS) as it:
        gone = Call()
        gone.end()
        with pytest.raises(CallEnded):
            await suggested(it, "photosinthesis", gone)
        with pytest.raises(NotFound):
            await it.retriever.suggest(Query("moon", "no such collection"), call=Call())  # type: ignore[attr-defined]
