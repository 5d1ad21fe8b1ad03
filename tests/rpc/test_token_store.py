"""Token vectors kept with the index, across the socket: indexed, searched, still there after a restart."""

from __future__ import annotations

import shutil

import pytest
from real_server import TEXTS, Servers

from tamis.errors import ConfigurationError
from tamis.v1 import index_service_pb2, passage_pb2

STAGES = """
[models.hash]
plugin = "fake-hash"
size = {size}
[stages.bm25]
plugin = "tantivy"
[stages.late]
plugin = "late-interaction"
embedder = "hash"
store = "int8"
cache_bytes = 0
[stages.answer]
plugin = "extractive"
[pipelines.default]
expression = "bm25 % 50 >> late"
"""
STORED = STAGES.format(size=64)


async def test_stored_vectors_rank_searches_and_outlive_a_restart(servers: Servers) -> None:
    async with servers.start(STORED) as client:
        await client.fill(TEXTS)
        before = await client.search("smooth sauce")
        (report,) = [each for each in before.stage_reports if each.stage == "late"]
        assert report.usage.cache_hit_count == report.usage.pair_count == len(before.hits) > 1
    async with servers.start(STORED) as client:
        await client.wait()
        known = await client.index.GetCollection(index_service_pb2.GetCollectionRequest(collection="docs"))
        assert {each.stage: each.lag_count for each in known.collection.indexes} == {"bm25": 0, "late": 0}
        after = await client.search("smooth sauce")
        (report,) = [each for each in after.stage_reports if each.stage == "late"]
        assert report.usage.cache_hit_count == len(after.hits)
        assert [(each.passage.id, each.score) for each in after.hits] == [
            (each.passage.id, each.score) for each in before.hits
        ]


async def test_a_document_written_again_is_ranked_as_it_is_now(servers: Servers) -> None:
    async with servers.start(STORED) as client:
        await client.fill(TEXTS)
        await client.write([passage_pb2.Document(id="pan", text="smooth sauce")])
        await client.wait()
        assert (await client.search("smooth sauce")).hits[0].passage.document_id == "pan"


async def test_a_store_of_another_model_stops_the_start_and_is_built_again_once_it_is_removed(servers: Servers) -> None:
    async with servers.start(STORED) as client:
        await client.fill(TEXTS)
    with pytest.raises(ConfigurationError, match="remove this folder") as caught:
        async with servers.start(STAGES.format(size=32)):
            pass
    shutil.rmtree(caught.value.path or "")
    async with servers.start(STAGES.format(size=32)) as client:
        await client.wait()
        found = await client.search("smooth sauce")
        (report,) = [each for each in found.stage_reports if each.stage == "late"]
        assert report.usage.cache_hit_count == len(found.hits) > 1
