"""Hits of one document can be limited, after all ranking."""

from __future__ import annotations

from collections import Counter

import pytest
from real_server import Client, Servers, fakes

from tamis.v1 import search_service_pb2

LONG = "\n\n".join(f"Paragraph {number} of a sauce. " + "Filler words follow. " * 40 for number in range(6))
TEXTS = {"long": LONG, "other": "Another smooth sauce.", "third": "A third sauce of paragraph 3."}


async def _documents(client: Client, pipeline: str, limit: int, page_size: int = 100) -> list[str]:
    found = await client.search("sauce paragraph", pipeline, document_hit_limit=limit, page_size=page_size)
    return [each.passage.document_id for each in found.hits]


@pytest.mark.parametrize("pipeline", ["words", "words | more", "words >> rank", "words >> (prior | rank)"])
async def test_each_document_keeps_its_best_hits_in_their_order(servers: Servers, pipeline: str) -> None:
    async with servers.start(fakes()) as client:
        await client.fill(TEXTS)
        everything = await client.search("sauce paragraph", pipeline, page_size=100)
        limited = await client.search("sauce paragraph", pipeline, page_size=100, document_hit_limit=2)
    assert Counter(each.passage.document_id for each in everything.hits)["long"] > 2
    counts: Counter[str] = Counter()
    expected = []
    for hit in everything.hits:
        counts[hit.passage.document_id] += 1
        if counts[hit.passage.document_id] <= 2:
            expected.append(hit.passage.id)
    assert [each.passage.id for each in limited.hits] == expected


async def test_the_page_is_filled_with_other_documents(servers: Servers) -> None:
    async with servers.start(fakes()) as client:
        await client.fill(TEXTS)
        assert sorted(await _documents(client, "words", 1, page_size=3)) == ["long", "other", "third"]
        assert len(await _documents(client, "words", 0, page_size=3)) == 3


async def test_every_revision_keeps_the_limit(servers: Servers) -> None:
    async with servers.start(fakes()) as client:
        await client.fill(TEXTS)
        events = await client.events("sauce paragraph", "words | more >> rank", document_hit_limit=1)
    for revised in (each.hits_revised for each in events if each.HasField("hits_revised")):
        assert len(revised.hits) <= len(TEXTS)


async def test_retrieval_and_answers_keep_the_limit_too(servers: Servers) -> None:
    async with servers.start(fakes()) as client:
        await client.fill(TEXTS)
        request = search_service_pb2.RetrieveRequest(collection="docs", query="sauce paragraph", document_hit_limit=1)
        retrieved = await client.call(client.searches.Retrieve(request, timeout=20))
        answered = await client.search("sauce paragraph", "words >> answer", document_hit_limit=1)
    assert sorted(each.passage.document_id for each in retrieved.hits) == ["long", "other", "third"]
    assert sorted(each.document_id for each in answered.answer.citations) == ["long", "other", "third"]
