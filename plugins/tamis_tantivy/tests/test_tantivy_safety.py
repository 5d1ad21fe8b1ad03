"""Whatever a user types."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tamis.context import Call
from tamis.model import Query
from tamis.testing.contract import opened
from tamis.testing.contract.collections import ODD_TEXTS, TEXTS, Collection
from tamis_tantivy import TantivyRetriever

ODD = [
    *[
        "AND",
        "OR",
        "NOT",
        "field:",
        "*",
        "\\",
        '"',
        "'",
        "(",
        ")",
        "[a TO b]",
        "^2",
        "~",
        "+",
        "-",
        "“",
        "«",
        "/.*/",
        "//",
    ],
    *[
        "🎹",
        "👩🏽‍🚀",
        "\u0301",
        "\u200b",
        "\u200e\u202e",
        "שלום",
        "مرحبا",
        "\x00",
        "\ufdd0",
        "\ufffe",
        "\ufeff",
        "\r\n",
    ],
    *["東京", "は", "ｴﾝｼﾞﾝ", "ข้าว", "한", "\u1112\u1161", "moon", "the", "tides", "x" * 200, " ", " ", "İ", "ß", "ǅ"],
]
QUERY = st.one_of(
    st.lists(st.one_of(st.sampled_from(ODD), st.text(max_size=4)), max_size=40).map("".join),
    st.lists(st.sampled_from(ODD), max_size=12).map(" ".join),
    st.tuples(st.sampled_from(ODD), st.integers(1, 10_000)).map(lambda pair: (pair[0] * pair[1])[:10_000]),
)


class Shared:
    """A collection with all kinds of texts, on a loop of its own."""

    def __init__(self, runner: asyncio.Runner, collection: Collection) -> None:
        self.runner, self.collection = runner, collection


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    stack = AsyncExitStack()

    async def fill() -> Collection:
        retriever = await stack.enter_async_context(opened(TantivyRetriever(TantivyRetriever.Settings())))
        index = await retriever.open_index("c", 1, directory=tmp_path_factory.mktemp("index"))
        collection = Collection(retriever, "c", index)
        await collection.write(*TEXTS, *ODD_TEXTS, *ODD)
        return collection

    with asyncio.Runner() as runner:
        yield Shared(runner, runner.run(fill()))
        runner.run(stack.aclose())


@settings(max_examples=200)
@given(text=QUERY)
def test_any_text_can_be_searched_for_and_mended(shared: Shared, text: str) -> None:
    async def ask() -> None:
        found = await shared.collection.candidates(text, limit=7)
        assert len(found) <= 7
        assert all(len(each.snippet) <= 240 for each in found)
        mended = await shared.collection.retriever.suggest(Query(text, "c"), call=Call())  # type: ignore[attr-defined]
        assert len(mended) <= len(text) + 2 * 8 * len(text.split())

    shared.runner.run(ask())


@pytest.mark.parametrize("text", ["a b " * 2_500, '"a b" ' * 1_666, '"' * 10_000, "東" * 10_000, "東 " * 5_000])
def test_ten_thousand_characters_are_searched_for(shared: Shared, text: str) -> None:
    assert len(shared.runner.run(shared.collection.found(text))) <= 100
    shared.runner.run(shared.collection.retriever.suggest(Query(text, "c"), call=Call()))  # type: ignore[attr-defined]
