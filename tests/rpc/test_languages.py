"""The language of a collection, from its creation to what is found in it."""

from __future__ import annotations

import grpc
import pytest
from real_server import CallFailed, Client, Servers

from tamis.v1 import index_service_pb2 as pb
from tamis.v1 import passage_pb2

BM25 = """
[stages.bm25]
plugin = "tantivy"
[pipelines.default]
expression = "bm25 % 50"
"""


async def _create(client: Client, collection: str, language: str) -> pb.Collection:
    request = pb.CreateCollectionRequest(collection=collection, language=language)
    created: pb.Collection = (await client.call(client.index.CreateCollection(request))).collection
    return created


async def test_each_collection_stems_in_its_own_language_also_after_a_restart(servers: Servers) -> None:
    async with servers.start(BM25) as client:
        for language, name in (("de", "german"), ("", "plain")):
            assert (await _create(client, name, language)).language == language
            await client.write([passage_pb2.Document(id="a", text="Die Häuser am Ufer")], collection=name)
    async with servers.start(BM25) as client:
        for name, count in (("german", 1), ("plain", 0)):
            await client.wait(name)
            assert len((await client.search("Haus", collection=name)).hits) == count
        listed = await client.index.ListCollections(pb.ListCollectionsRequest())
        assert {each.id: each.language for each in listed.collections} == {"german": "de", "plain": ""}


async def test_an_unknown_language_is_refused_with_those_there_are(servers: Servers) -> None:
    async with servers.start(BM25) as client:
        for language in ("xx", "german", "DE", "de\x00", "x" * 100_000):
            with pytest.raises(CallFailed) as caught:
                await _create(client, "docs", language)
            assert caught.value.code is grpc.StatusCode.INVALID_ARGUMENT
            assert "allowed: ar, da, de" in caught.value.violations["language"]
            assert len(caught.value.message) < 500
        with pytest.raises(CallFailed):
            await client.call(client.index.GetCollection(pb.GetCollectionRequest(collection="docs")))
