"""Phrases and highlights across the socket."""

from __future__ import annotations

from real_server import Servers

STAGES = """
[stages.bm25]
plugin = "tantivy"
[stages.answer]
plugin = "extractive"
[pipelines.default]
expression = "bm25 % 50 >> answer"
"""
TEXTS = {
    "a": "Über New York 🎹 the full moon rises.",
    "b": "A moon that is full, a new city, old York.",
    "c": "全文検索エンジンは速い",
}


async def test_a_phrase_finds_what_has_it_and_nothing_else(servers: Servers) -> None:
    async with servers.start(STAGES) as client:
        await client.fill(TEXTS)
        for query, documents in (
            ("full moon", {"a", "b"}),
            ('"full moon"', {"a"}),
            ("“full moon” city", {"a"}),
            ('"全文検索"', {"c"}),
            ('"moon full"', set()),
        ):
            assert await client.found(query) == documents


async def test_highlights_are_spans_of_bytes_in_the_snippet(servers: Servers) -> None:
    async with servers.start(STAGES) as client:
        await client.fill(TEXTS)
        for query, marked in (('"full moon" york', ["York", "full", "moon"]), ("検索", ["検索"])):
            (hit, *_) = (await client.search(query)).hits
            data = hit.snippet.encode()
            assert [data[each.start : each.end].decode() for each in hit.snippet_highlights] == marked


async def test_nothing_a_user_types_is_an_error(servers: Servers) -> None:
    async with servers.start(STAGES) as client:
        await client.fill(TEXTS)
        for query in ('AND "', "field:*", "\\", "🎹", "\u0301", '"' * 10_000, "moon " * 2_000, "検索" * 5_000):
            assert len((await client.search(query)).hits) <= 3
