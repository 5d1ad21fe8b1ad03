"""The two real indexes: apart by collection, empty when created again, built again when lost, hard to upset."""

from __future__ import annotations

import asyncio
import shutil

import pytest
from real_server import Servers

from tamis.v1 import index_service_pb2, passage_pb2, search_service_pb2

STAGES = """
[models.hash]
plugin = "fake-hash"
[stages.bm25]
plugin = "tantivy"
[stages.dense]
plugin = "qdrant"
embedder = "hash"
[stages.late]
plugin = "late-interaction"
embedder = "hash"
[stages.answer]
plugin = "extractive"
[pipelines.default]
expression = "(bm25 % 50 | dense % 50) % 100 >> (prior | late) % 50 >> answer"
"""
INDEXES = ("bm25", "dense")
TEXTS = {"a": "smooth sauce", "b": "rough gravy"}


@pytest.mark.parametrize("pipeline", INDEXES)
async def test_real_indexes_keep_collections_with_the_same_ids_apart(servers: Servers, pipeline: str) -> None:
    async with servers.start(STAGES) as client:
        await client.fill({"a": "smooth sauce"}, "ours")
        await client.fill({"a": "smooth gravy"}, "theirs")
        for collection, text in (("ours", "smooth sauce"), ("theirs", "smooth gravy")):
            found = await client.search("smooth", pipeline, collection=collection)
            assert [each.passage.text for each in found.hits] == [text]


async def test_real_indexes_of_a_collection_created_again_are_empty_also_after_a_restart(servers: Servers) -> None:
    async with servers.start(STAGES) as client:
        await client.fill(TEXTS)
        await client.index.DeleteCollection(index_service_pb2.DeleteCollectionRequest(collection="docs"))
        await client.fill({"c": "smooth gravy"})
        for pipeline in INDEXES:
            assert await client.found("smooth sauce", pipeline) == {"c"}
    async with servers.start(STAGES) as client:
        await client.wait()
        for pipeline in INDEXES:
            assert await client.found("smooth sauce", pipeline) == {"c"}


async def test_indexes_that_are_lost_are_built_again_from_the_journal(servers: Servers) -> None:
    async with servers.start(STAGES) as client:
        await client.fill(TEXTS)
        await client.index.DeleteDocuments(
            index_service_pb2.DeleteDocumentsRequest(collection="docs", document_ids=["b"])
        )
        await client.wait()
    shutil.rmtree(servers.folder / "indexes")
    async with servers.start(STAGES) as client:
        await client.wait()
        for pipeline in INDEXES:
            assert await client.found("smooth rough sauce gravy", pipeline) == {"a"}


async def test_what_a_crash_left_of_a_deleted_collection_is_removed_at_the_next_start(servers: Servers) -> None:
    async with servers.start(STAGES) as client:
        await client.fill(TEXTS)
    (kept,) = (servers.folder / "indexes").iterdir()
    (servers.folder / "indexes" / "of-nobody" / "bm25").mkdir(parents=True)
    async with servers.start(STAGES) as client:
        assert [*(servers.folder / "indexes").iterdir()] == [kept]
        assert await client.found("smooth sauce", "bm25") == {"a"}


async def test_a_document_written_again_or_deleted_is_found_as_it_is_now(servers: Servers) -> None:
    async with servers.start(STAGES) as client:
        await client.fill(TEXTS)
        await client.write([passage_pb2.Document(id="a", text="boiled kettle")])
        await client.wait()
        for pipeline in INDEXES:
            found = await client.search("boiled kettle", pipeline)
            assert found.hits[0].passage.text == "boiled kettle"
            assert all(each.passage.text != "smooth sauce" for each in found.hits)
        assert await client.found("smooth sauce", "bm25") == set()


ODD_QUERIES = [
    '"',
    "AND OR NOT",
    "title:sauce",
    "*",
    "sauce^",
    "((((",
    "sauce\x00smooth",
    "\u202esauce",
    "𝄞 🥄",
    "-sauce +gravy",
    "[a TO b]",
    "\\",
    "the of and",
    "sauce " * 1_600,
]


async def test_no_query_is_a_syntax_error_to_any_stage(servers: Servers) -> None:
    async with servers.start(STAGES) as client:
        await client.fill(TEXTS)
        for query in ODD_QUERIES:
            found = await client.search(query)
            outcomes = {each.stage: each.outcome for each in found.stage_reports}
            assert set(outcomes.values()) == {passage_pb2.STAGE_OUTCOME_RAN}, (query, outcomes)


async def test_searches_at_the_same_time_do_not_mix(servers: Servers) -> None:
    words = ["".join("abcdefghij"[int(digit)] for digit in str(1_000 + number)) for number in range(40)]
    async with servers.start(STAGES) as client:
        await client.fill({word: f"{word} sauce" for word in words})

        async def best(word: str) -> str:
            request = search_service_pb2.StreamSearchRequest(collection="docs", query=word)
            events = [each async for each in client.stream(client.searches.StreamSearch(request, timeout=60))]
            revisions = [each.hits_revised for each in events if each.HasField("hits_revised")]
            assert [each.revision for each in revisions] == list(range(1, len(revisions) + 1))
            return str(revisions[-1].hits[0].passage.id).partition("#")[0]

        async def write(number: int) -> None:
            await client.write([passage_pb2.Document(id=f"new{number}", text="gravy")])

        found, _ = await asyncio.gather(
            asyncio.gather(*(best(word) for word in words)), asyncio.gather(*(write(number) for number in range(20)))
        )
        assert found == words
        known = await client.index.GetCollection(index_service_pb2.GetCollectionRequest(collection="docs"))
        assert known.collection.last_sequence == 60
