"""What has been superseded leaves the journal once every index has passed it, and nothing is lost by that."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from real_server import CallFailed, Client, Servers

from tamis.v1 import index_service_pb2 as pb
from tamis.v1 import passage_pb2

WORDS = """
[stages.bm25]
plugin = "tantivy"
[pipelines.default]
expression = "bm25"
"""
BOTH = """
[models.hash]
plugin = "fake-hash"
[stages.bm25]
plugin = "tantivy"
[stages.dense]
plugin = "qdrant"
embedder = "hash"
[pipelines.default]
expression = "bm25 | dense"
"""


async def _compacted(client: Client) -> pb.CompactCollectionResponse:
    done: pb.CompactCollectionResponse = await client.call(
        client.index.CompactCollection(pb.CompactCollectionRequest(collection="docs"))
    )
    return done


async def _rewritten(client: Client, turns: int = 5) -> None:
    """Ten documents, each written again and again; then four are deleted, the last changes of all."""
    await client.create()
    for turn in range(turns):
        await client.write(
            [passage_pb2.Document(id=f"d{each}", text=f"Turn {turn} of sauce. " * 200) for each in range(10)]
        )
    gone = [f"d{each}" for each in range(4)]
    await client.index.DeleteDocuments(pb.DeleteDocumentsRequest(collection="docs", document_ids=gone))
    await client.wait()


async def _differences(client: Client) -> list[str]:
    call = client.index.VerifyCollection(pb.VerifyCollectionRequest(collection="docs"))
    found = [each async for each in client.stream(call)]
    return [str(each) for each in found if each.missing_count or each.extra_count or each.problems]


def _changes(folder: Path) -> int:
    with closing(sqlite3.connect(folder / "journal.sqlite")) as db:
        return int(db.execute("SELECT COUNT(*) FROM changes").fetchone()[0])


async def test_superseded_changes_go_and_what_is_there_stays(servers: Servers) -> None:
    async with servers.start(BOTH) as client:
        await _rewritten(client)
        done = await _compacted(client)
        assert (done.removed_change_count, list(done.compacted_stages)) == (48, ["bm25", "dense"])
        assert done.freed_byte_count >= 0
        assert _changes(servers.folder) == 6
        assert (await _compacted(client)).removed_change_count == 0
        assert await _differences(client) == []
        assert await client.found("sauce", "bm25") == {f"d{each}" for each in range(4, 10)}
        await client.write([passage_pb2.Document(id="d4", text="Gravy.")])
        await client.wait()
        assert await client.found("gravy", "bm25") == {"d4"}


async def test_an_index_that_is_lost_after_a_compaction_is_built_again_from_what_is_left(servers: Servers) -> None:
    async with servers.start(WORDS) as client:
        await _rewritten(client)
        await _compacted(client)
    shutil.rmtree(servers.folder / "indexes")
    async with servers.start(WORDS) as client:
        assert (await client.wait()).indexes[0].applied_sequence == 54
        assert await client.found("sauce") == {f"d{each}" for each in range(4, 10)}
        assert await _differences(client) == []


async def test_an_index_that_was_away_during_a_compaction_is_built_anew(servers: Servers) -> None:
    async with servers.start(WORDS) as client:
        await client.fill({"old": "Old sauce.", "kept": "Kept sauce."})
    (folder,) = servers.folder.glob("indexes/*/bm25")
    away = servers.folder / "away"
    shutil.copytree(folder, away)
    async with servers.start(WORDS) as client:
        await client.index.DeleteDocuments(pb.DeleteDocumentsRequest(collection="docs", document_ids=["old"]))
        await client.wait()
        assert (await _compacted(client)).removed_change_count == 2
    shutil.rmtree(folder)
    away.rename(folder)
    async with servers.start(WORDS) as client:
        await client.wait()
        assert await client.found("sauce") == {"kept"}


async def test_the_file_becomes_smaller_by_what_was_deleted(servers: Servers) -> None:
    async with servers.start(WORDS) as client:
        await _rewritten(client, turns=1)
        await client.index.DeleteDocuments(
            pb.DeleteDocumentsRequest(collection="docs", document_ids=[f"d{each}" for each in range(4, 10)])
        )
        await client.wait()
        journal = servers.folder / "journal.sqlite"
        assert (await _compacted(client)).freed_byte_count > 50_000
        assert journal.with_name("journal.sqlite-wal").stat().st_size == 0


async def test_a_collection_that_is_not_there_cannot_be_compacted(servers: Servers) -> None:
    async with servers.start(WORDS) as client:
        with pytest.raises(CallFailed, match="NOT_FOUND"):
            await _compacted(client)
