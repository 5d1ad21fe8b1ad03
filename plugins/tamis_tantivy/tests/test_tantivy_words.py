"""How the tantivy retriever reads text, titles and queries."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tamis.errors import ConfigurationError
from tamis.testing.contract import opened
from tamis.testing.contract.collections import Collection, passage
from tamis_tantivy import TantivyRetriever


@asynccontextmanager
async def collection(directory: Path, *texts: str, **settings: Any) -> AsyncIterator[Collection]:
    async with opened(TantivyRetriever(TantivyRetriever.Settings(**settings))) as retriever:
        index = await retriever.open_index("c", 1, directory=directory)
        it = Collection(retriever, "c", index, await index.checkpoint())
        if texts:
            await it.write(*texts)
        yield it


async def found(texts: Sequence[str], query: str, directory: Path, **settings: Any) -> list[str]:
    async with collection(directory, *texts, **settings) as it:
        return await it.found(query)


async def test_words_are_found_in_other_forms(tmp_path: Path) -> None:
    assert await found(["connecting the dots", "unrelated"], "connections", tmp_path) == ["0/0"]


async def test_every_language_stems_in_its_own_way(tmp_path: Path) -> None:
    texts = ["Die Häuser am Ufer", "Ein Boot"]
    assert await found(texts, "Haus", tmp_path / "de", language="de") == ["0/0"]
    assert await found(texts, "Haus", tmp_path / "en", language="en") == []


async def test_upper_and_lower_case_are_the_same(tmp_path: Path) -> None:
    assert await found(["The Moon"], "mOON", tmp_path) == ["0/0"]


async def test_a_long_compound_word_is_found(tmp_path: Path) -> None:
    word = "Rindfleischetikettierungsüberwachungsaufgabenübertragungsgesetz"
    assert await found([f"Das {word} gilt nicht mehr"], word, tmp_path, language="de") == ["0/0"]


async def test_a_word_in_the_title_counts_more_than_one_in_the_text(tmp_path: Path) -> None:
    for boost, first in ((10.0, "b/0"), (0.01, "a/0")):
        async with collection(tmp_path / str(boost), title_boost=boost) as it:
            in_text = replace(passage("a", "moon over the harbour"), title="night over the harbour")
            in_title = replace(passage("b", "night over the harbour"), title="moon over the harbour")
            await it.put(("a", [in_text]), ("b", [in_title]))
            assert (await it.found("moon"))[0] == first


async def test_a_word_in_the_heading_is_found(tmp_path: Path) -> None:
    async with collection(tmp_path) as it:
        await it.put(("a", [replace(passage("a", "Nothing of it here."), heading="Eclipses")]))
        assert await it.found("eclipse") == ["a/0"]


@pytest.mark.parametrize(
    "query",
    ["title:moon", "+moon -sun", "moon AND NOT sun", "(moon", '"moon', "moon^5 /sun/", "{moon TO moon]", "moon~2"],
)
async def test_nothing_in_a_query_is_syntax(query: str, tmp_path: Path) -> None:
    assert sorted(await found(["the moon", "the sun and the moon"], query, tmp_path)) == ["0/0", "1/0"]


async def test_a_query_without_words_finds_nothing(tmp_path: Path) -> None:
    for query in ("", "?!", "*", "🎹"):
        assert await found(["anything at all"], query, tmp_path) == []


async def test_a_snippet_contains_the_word_that_was_asked_for(tmp_path: Path) -> None:
    text = f"{'Nothing to see. ' * 100}The eclipse\nbegan at noon. {'Nothing more. ' * 100}"
    async with collection(tmp_path, text, snippet_length=80) as it:
        (candidate,) = await it.candidates("eclipses")
    assert "The eclipse began" in candidate.snippet
    assert len(candidate.snippet) <= 80


async def test_a_snippet_is_plain_text(tmp_path: Path) -> None:
    async with collection(tmp_path, "if a < b && c the <i>moon</i> rises") as it:
        (candidate,) = await it.candidates("moon")
    assert "<i>moon</i>" in candidate.snippet


async def test_snippets_of_length_zero_are_not_made(tmp_path: Path) -> None:
    async with collection(tmp_path, "the moon", snippet_length=0) as it:
        assert [each.snippet for each in await it.candidates("moon")] == [""]


async def test_an_index_of_another_language_is_refused(tmp_path: Path) -> None:
    await found(["the moon"], "moon", tmp_path, language="en")
    with pytest.raises(ConfigurationError, match="new collection"):
        await found([], "moon", tmp_path, language="de")
    assert await found([], "moon", tmp_path, language="en") == ["0/0"]


async def test_an_index_of_another_format_is_refused(tmp_path: Path) -> None:
    await found(["the moon"], "moon", tmp_path)
    note = tmp_path / "tamis.json"
    note.write_text(json.dumps({**json.loads(note.read_text()), "format": 99}))
    with pytest.raises(ConfigurationError):
        await found([], "moon", tmp_path)


def test_an_unknown_language_is_refused_at_once() -> None:
    with pytest.raises(ConfigurationError, match="allowed"):
        TantivyRetriever(TantivyRetriever.Settings(language="xx"))


async def test_a_batch_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    async with collection(tmp_path, "the moon") as it:
        broken = replace(passage("b", "the sun"), metadata={"a": object()})  # type: ignore[dict-item]
        with pytest.raises(TypeError):
            await it.put(("a", [passage("a", "the stars")]), ("b", [broken]))
        assert set(await it.held()) == {"0/0"}
        assert await it.index.checkpoint() == 1
        await it.put(("a", [passage("a", "the stars")]))
        assert await it.found("stars") == ["a/0"]


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("全文検索エンジンは速い", "検索"),
        ("全文検索エンジンは速い", "エンジン"),
        ("ｴﾝｼﾞﾝの半角", "エンジン"),
        ("我们在北京大学学习计算机科学", "北京大学"),
        ("猫", "猫"),
        ("ฉันชอบกินข้าว", "ข้าว"),
        ("학교에서 친구를 만났다", "친구"),
        ("The 検索 engine", "検索 engines"),
    ],
)
async def test_what_is_written_without_spaces_is_found(tmp_path: Path, text: str, query: str) -> None:
    assert await found(["unrelated", text, "何か別のもの", "另一个句子"], query, tmp_path) == ["1/0"]


async def test_more_shared_characters_rank_higher(tmp_path: Path) -> None:
    texts = ["東京都庁の展望台", "京都の寺", "東京の天気"]
    assert (await found(texts, "東京都庁", tmp_path))[0] == "0/0"


async def test_an_index_in_an_older_format_is_made_anew(tmp_path: Path) -> None:
    async with collection(tmp_path, "moon") as it:
        assert await it.found("moon") == ["0/0"]
    note = tmp_path / "tamis.json"
    note.write_text(json.dumps({**json.loads(note.read_text()), "format": 1}))
    async with collection(tmp_path) as it:
        assert await it.index.checkpoint() == 0
        assert await it.found("moon") == []
