"""A backup that was taken under writes is restored elsewhere, after the server was killed, and nothing is missing."""

from __future__ import annotations

import fcntl
import sqlite3
import threading
from contextlib import closing, suppress
from itertools import count
from pathlib import Path

import forked
import grpc
import pytest
from faults.servers import Folder

from tamis.embeddings import FILE
from tamis.errors import FailedPrecondition, NotFound
from tamis.journal import Collection, Delete, Journal, Upsert
from tamis.journal.backup import back_up, restore
from tamis.model import Document, Passage, Span
from tamis.v1 import index_service_pb2 as pb
from tamis.v1 import passage_pb2, search_service_pb2

CONFIG = """
[models.hash]
plugin = "fake-hash"
stored = true
[stages.bm25]
plugin = "tantivy"
[stages.dense]
plugin = "qdrant"
embedder = "hash"
[pipelines.default]
expression = "bm25 | dense"
"""


def _document(number: int) -> passage_pb2.Document:
    """Sixty documents, again and again with other texts."""
    return passage_pb2.Document(id=f"d{number % 60}", text=f"Sauce number {number} of its kind. " * 3)


def test_what_was_acknowledged_before_a_backup_is_found_where_it_is_restored(tmp_path: Path) -> None:
    folder = Folder(tmp_path, config=CONFIG)
    backup, acknowledged = tmp_path / "docs.backup", set[str]()
    begun = threading.Event()
    with folder.running() as server:
        client = server.client
        client.stubs.index.CreateCollection(pb.CreateCollectionRequest(collection="docs"))

        def write() -> None:
            """By the stub: `Client.write` would go on without the server for a minute."""
            tens = ([_document(number) for number in range(first, first + 10)] for first in count(0, 10))
            batches = (pb.WriteDocumentsRequest(collection="docs", documents=each) for each in tens)
            with suppress(grpc.RpcError):
                for ack in client.stubs.index.WriteDocuments(batches):
                    acknowledged.update(f"d{number % 60}" for number in range((ack.batch - 1) * 10, ack.batch * 10))
                    if ack.batch == 5:
                        begun.set()

        writer = threading.Thread(target=write)
        writer.start()
        assert begun.wait(60)
        before = set(acknowledged)
        kept = folder.data / FILE
        assert back_up(folder.data, backup, embeddings=kept, told=_ignored).document_count >= len(before)
        with pytest.raises(FailedPrecondition, match="a server runs on"):
            restore(backup, folder.data, force=True, embeddings=kept, told=_ignored)
        server.kill()
        writer.join(60)
    (tmp_path / "elsewhere").mkdir()
    elsewhere = Folder(tmp_path / "elsewhere", config=CONFIG)
    restored = forked.command(["restore", str(backup), "--data-directory", str(elsewhere.data)])
    assert restored.returncode == 0, restored.stderr
    assert (elsewhere.data / "embeddings" / "embeddings.sqlite").exists()
    with elsewhere.running() as server:
        client = server.client
        client.wait_indexed("docs", timeout=60)
        listed = client.stubs.index.ListDocuments(pb.ListDocumentsRequest(collection="docs", page_size=1_000))
        assert before <= {each.id for each in listed.documents}
        for pipeline in ("bm25", "dense"):
            request = search_service_pb2.RetrieveRequest(
                collection="docs", query="sauce number kind", pipeline=f"{pipeline} % 1000", page_size=1_000
            )
            found = {each.passage.document_id for each in client.stubs.search.Retrieve(request, timeout=60).hits}
            assert before <= found
        differing = list(client.stubs.index.VerifyCollection(pb.VerifyCollectionRequest(collection="docs")))
        assert not any(each.missing_count or each.extra_count or each.problems for each in differing)


async def _filled(data: Path) -> None:
    journal = await Journal.open(data / "journal.sqlite")
    await journal.create_collection("docs")
    for number in range(20):
        document = Document(f"d{number}", f"text {number}")
        passage = Passage(f"d{number}#0", document.id, 0, document.text, span=Span(0, len(document.text)))
        await journal.write("docs", [Upsert(document, (passage,))])
    await journal.write("docs", [Delete("d0")])
    await journal.close()


def _ignored(done: int, pages: int) -> None:
    """Nobody watches."""


async def test_a_backup_that_is_not_whole_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    await _filled(tmp_path / "data")
    backup, target = tmp_path / "whole.backup", tmp_path / "target"
    back_up(tmp_path / "data", backup, embeddings=None, told=_ignored)
    whole = backup.read_bytes()
    for part in (whole[: len(whole) // 2], whole[:100], b"", b"something else"):
        backup.write_bytes(part)
        with pytest.raises(FailedPrecondition):
            restore(backup, target, force=False, embeddings=target / "e.sqlite", told=_ignored)
    assert not target.exists()


async def test_neither_a_backup_nor_a_journal_is_overwritten_unasked(tmp_path: Path) -> None:
    await _filled(tmp_path / "data")
    backup, data = tmp_path / "docs.backup", tmp_path / "data"
    kept = data / "embeddings.sqlite"
    made = back_up(data, backup, embeddings=kept, told=_ignored)
    assert (made.collection_count, made.document_count, made.embedding_count) == (1, 19, 0)
    with pytest.raises(FailedPrecondition, match="never overwrites"):
        back_up(data, backup, embeddings=None, told=_ignored)
    with pytest.raises(FailedPrecondition, match="--force"):
        restore(backup, data, force=False, embeddings=kept, told=_ignored)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["data", "docs.backup"]
    with pytest.raises(NotFound):
        back_up(tmp_path / "nowhere", tmp_path / "other", embeddings=None, told=_ignored)


async def test_a_restored_collection_is_another_incarnation_with_the_same_documents(tmp_path: Path) -> None:
    data, backup = tmp_path / "data", tmp_path / "docs.backup"
    await _filled(data)
    back_up(data, backup, embeddings=None, told=_ignored)
    before = await _collection(data)
    journal = await Journal.open(data / "journal.sqlite")
    await journal.write("docs", [Delete("d1")])
    await journal.close()
    restore(backup, data, force=True, embeddings=data / "e.sqlite", told=_ignored)
    after = await _collection(data)
    assert after.incarnation != before.incarnation
    assert (after.last_sequence, after.document_count) == (before.last_sequence, before.document_count) == (21, 19)


async def test_nothing_is_restored_below_a_server_that_runs(tmp_path: Path) -> None:
    data, backup = tmp_path / "data", tmp_path / "docs.backup"
    await _filled(data)
    back_up(data, backup, embeddings=None, told=_ignored)
    with (data / "journal.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(FailedPrecondition, match="a server runs"):
            restore(backup, data, force=True, embeddings=data / "e.sqlite", told=_ignored)
    with closing(sqlite3.connect(data / "journal.sqlite")) as db:
        assert db.execute("SELECT COUNT(*) FROM documents").fetchone() == (19,)


async def _collection(data: Path) -> Collection:
    journal = await Journal.open(data / "journal.sqlite")
    try:
        return await journal.collection("docs")
    finally:
        await journal.close()
