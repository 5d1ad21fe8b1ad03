"""The journal and its indexes are compared while both are in use, and indexes that differ are mended."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest
from real_server import CallFailed, Client, Servers

from tamis.model import Change, Passage
from tamis.stage import HasIndex, Index
from tamis.testing.embedders import HashEmbedder, HashEmbedderSettings
from tamis.v1 import index_service_pb2 as pb
from tamis.v1 import passage_pb2
from tamis_qdrant import QdrantRetriever
from tamis_tantivy import TantivyRetriever
from tamis_transformers.late_interaction import LateInteractionReranker

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
store = "int8"
[pipelines.default]
expression = "(bm25 | dense) >> late"
"""
WORDS = """
[stages.bm25]
plugin = "tantivy"
[pipelines.default]
expression = "bm25"
"""
TEXTS = {name: f"The {name} of the kitchen. It is {name}." for name in ("sieve", "knife", "pan", "kettle", "spoon")}


async def _verified(client: Client, *, repair: bool = False) -> dict[str, pb.VerifyCollectionResponse]:
    request = pb.VerifyCollectionRequest(collection="docs", repair=repair)
    return {each.stage: each async for each in client.stream(client.index.VerifyCollection(request))}


def _differences(found: dict[str, pb.VerifyCollectionResponse]) -> dict[str, tuple[int, int, list[str]]]:
    """Missing and extra passages and the documents they are of, for each index that differs."""
    assert not [problem for each in found.values() for problem in each.problems]
    return {
        stage: (each.missing_count, each.extra_count, list(each.document_ids))
        for stage, each in found.items()
        if each.missing_count or each.extra_count or each.document_ids
    }


def _component(stage: str) -> HasIndex:
    embedder = HashEmbedder(HashEmbedderSettings())
    match stage:
        case "bm25":
            return TantivyRetriever(TantivyRetriever.Settings())
        case "dense":
            return QdrantRetriever(QdrantRetriever.Settings(embedder=embedder))
    return LateInteractionReranker(LateInteractionReranker.Settings(embedder=embedder, store="int8"))


@asynccontextmanager
async def _behind_the_back(folder: Path, stage: str) -> AsyncIterator[Index]:
    """The index itself, while no server runs."""
    (directory,) = folder.glob(f"indexes/*/{stage}")
    component = _component(stage)
    await component.open()  # type: ignore[attr-defined]
    try:
        index = await component.open_index("docs", 1, directory=directory)
        assert index is not None
        yield index
        await index.close()
    finally:
        await component.close()  # type: ignore[attr-defined]


async def _filled(client: Client) -> None:
    await client.fill(TEXTS)
    for text in ("A new sieve.", "The newest sieve."):
        await client.write([passage_pb2.Document(id="sieve", text=text)])
    await client.index.DeleteDocuments(pb.DeleteDocumentsRequest(collection="docs", document_ids=["pan"]))
    await client.wait()


def _stale(document_id: str, version: int) -> Change:
    passage = Passage(f"{document_id}#0", document_id, version, "What it was before.")
    return Change(version, document_id, (passage,))


async def test_indexes_that_hold_what_the_journal_says_do_not_differ(servers: Servers) -> None:
    async with servers.start(STAGES) as client:
        await _filled(client)
        found = await _verified(client)
        assert list(found) == ["", "bm25", "dense", "late"]
        assert _differences(found) == {}
        assert {(each.sequence, each.passage_count) for each in found.values()} == {(8, 4)}


@pytest.mark.parametrize("stage", ["bm25", "dense", "late"])
async def test_what_was_changed_behind_the_servers_back_is_found_exactly_and_mended(
    servers: Servers, stage: str
) -> None:
    async with servers.start(STAGES) as client:
        await _filled(client)
    async with _behind_the_back(servers.folder, stage) as index:
        upto = await index.checkpoint()
        await index.apply([Change(upto, "knife"), _stale("pan", 3)], upto=upto)
    async with servers.start(STAGES) as client:
        assert _differences(await _verified(client)) == {stage: (1, 1, ["knife", "pan"])}
        found = await _verified(client, repair=True)
        assert {name: each.repaired_document_count for name, each in found.items()} == {
            **dict.fromkeys(("", "bm25", "dense", "late"), 0),
            stage: 2,
        }
        assert _differences(await _verified(client)) == {}
        if stage != "late":
            assert await client.found("knife", stage) >= {"knife"}
            assert "pan" not in await client.found("What it was before", stage)


async def test_an_older_version_in_an_index_is_both_missing_and_too_much(servers: Servers) -> None:
    async with servers.start(WORDS) as client:
        await _filled(client)
    async with _behind_the_back(servers.folder, "bm25") as index:
        await index.apply([_stale("sieve", 1)], upto=8)
    async with servers.start(WORDS) as client:
        assert _differences(await _verified(client, repair=True)) == {"bm25": (1, 1, ["sieve"])}
        assert _differences(await _verified(client)) == {}


async def test_nothing_is_taken_for_a_difference_while_writes_go_on(servers: Servers) -> None:
    dice = random.Random(7)
    async with servers.start(STAGES) as client:
        await client.create()
        ended = asyncio.Event()

        async def write() -> None:
            for turn in range(25):
                names = dice.sample(range(40), 5)
                batch = [
                    passage_pb2.Document(id=f"d{each}", text=f"Turn {turn}. " * dice.randint(1, 99)) for each in names
                ]
                await client.write(batch)
                gone = [f"d{each}" for each in dice.sample(range(40), 2)]
                await client.index.DeleteDocuments(pb.DeleteDocumentsRequest(collection="docs", document_ids=gone))
            ended.set()

        async def verify() -> int:
            count = 0
            while not ended.is_set():
                assert _differences(await _verified(client, repair=count % 2 == 1)) == {}
                count += 1
            return count

        _, count = await asyncio.gather(write(), verify())
        assert count > 1
        await client.wait()
        found = await _verified(client)
        assert _differences(found) == {}
        assert found["bm25"].passage_count > 0


async def test_what_is_wrong_with_the_journal_itself_is_told_in_words(servers: Servers) -> None:
    async with servers.start(WORDS) as client:
        await _filled(client)
        with closing(sqlite3.connect(servers.folder / "journal.sqlite", isolation_level=None)) as db:
            db.execute("UPDATE passages SET text = 'other' WHERE id = 'knife#0'")
        found = (await _verified(client))[""]
        assert list(found.problems) == ["1 documents have passages whose text is not what their span says"]
        assert list(found.document_ids) == ["knife"]


async def test_a_collection_that_is_not_there_cannot_be_verified(servers: Servers) -> None:
    async with servers.start(WORDS) as client:
        with pytest.raises(CallFailed) as failed:
            await _verified(client)
        assert failed.value.reason == "NOT_FOUND"
