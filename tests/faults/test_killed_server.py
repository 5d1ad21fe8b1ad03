"""The server is killed while it indexes; what it had acknowledged is found in both indexes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from fake_plugins import write_distribution

from tamis.client import Client
from tamis.v1 import index_service_pb2, passage_pb2, search_service_pb2

CONFIG = """
[models.hash]
plugin = "fake-hash"
[stages.bm25]
plugin = "tantivy"
[stages.dense]
plugin = "qdrant"
embedder = "hash"
index_from = 100
[pipelines.default]
expression = "bm25 | dense"
"""
BATCH = 20


class Server:
    """The server of one data folder, one process after the other."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        write_distribution(folder / "site")
        (folder / "tamis.toml").write_text(CONFIG)

    @contextmanager
    def running(self) -> Iterator[tuple[subprocess.Popen[str], Client]]:
        """A process that is killed at the latest when the context ends."""
        script = Path(__file__).with_name("server.py")
        environment = {**os.environ, "PYTHONPATH": str(self._folder / "site")}
        command = [sys.executable, script, self._folder / "data", self._folder / "tamis.toml"]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
        ) as process:
            assert process.stdout is not None
            try:
                with Client(process.stdout.readline().strip()) as client:
                    yield process, client
            finally:
                process.send_signal(signal.SIGKILL)
                process.wait()


def _document(number: int) -> passage_pb2.Document:
    text = f"Sauce number {number} of the {'first' if number % 2 else 'second'} kind."
    return passage_pb2.Document(id=f"d{number}", text=text)


def _found(client: Client, pipeline: str, count: int) -> set[str]:
    request = search_service_pb2.RetrieveRequest(
        collection="docs", query="sauce number kind", pipeline=f"{pipeline} % {count}", page_size=1_000
    )
    return {each.passage.document_id for each in client.search.Retrieve(request, timeout=60).hits}


@pytest.mark.parametrize("acknowledged_batches", [1, 7, 25])
def test_what_was_acknowledged_before_a_kill_is_found_in_both_indexes(
    tmp_path: Path, acknowledged_batches: int
) -> None:
    server = Server(tmp_path)
    acknowledged: set[str] = set()
    with server.running() as (process, client):
        client.index.CreateCollection(index_service_pb2.CreateCollectionRequest(collection="docs"))
        documents = (_document(number) for number in range(1_000))
        with suppress(Exception):
            for ack in client.write("docs", documents, batch_size=BATCH):
                acknowledged |= {f"d{number}" for number in range((ack.batch - 1) * BATCH, ack.batch * BATCH)}
                if ack.batch == acknowledged_batches:
                    process.send_signal(signal.SIGKILL)
    assert len(acknowledged) >= acknowledged_batches * BATCH
    with server.running() as (_, client):
        client.wait_indexed("docs", timeout=60)
        for pipeline in ("bm25", "dense"):
            found = _found(client, pipeline, 1_000)
            assert acknowledged <= found
        known = client.index.GetCollection(index_service_pb2.GetCollectionRequest(collection="docs")).collection
        assert {state.applied_sequence for state in known.indexes} == {known.last_sequence}
        assert known.document_count == known.last_sequence >= len(acknowledged)


def test_a_server_killed_again_and_again_loses_nothing(tmp_path: Path) -> None:
    server = Server(tmp_path)
    expected: set[str] = set()
    for first in (0, 60, 120, 180):
        with server.running() as (process, client):
            if first == 0:
                client.index.CreateCollection(index_service_pb2.CreateCollectionRequest(collection="docs"))
            documents = [_document(number) for number in range(first, first + 120)]
            for _ in client.write("docs", documents, batch_size=BATCH):
                pass
            gone = f"d{first + 1}"
            client.index.DeleteDocuments(
                index_service_pb2.DeleteDocumentsRequest(collection="docs", document_ids=[gone])
            )
            process.send_signal(signal.SIGKILL)
        expected = (expected | {each.id for each in documents}) - {gone}
    with server.running() as (_, client):
        client.wait_indexed("docs", timeout=60)
        listed = client.index.ListDocuments(index_service_pb2.ListDocumentsRequest(collection="docs", page_size=1_000))
        assert {each.id for each in listed.documents} == expected
        for pipeline in ("bm25", "dense"):
            assert _found(client, pipeline, 1_000) == expected


def test_a_collection_deleted_or_created_before_a_kill_stays_so_and_leaves_nothing_behind(tmp_path: Path) -> None:
    server = Server(tmp_path)
    created = index_service_pb2.CreateCollectionRequest(collection="docs")
    deleted = index_service_pb2.DeleteCollectionRequest(collection="docs")
    for number in range(3):
        with server.running() as (process, client):
            client.index.CreateCollection(created)
            for _ in client.write("docs", [_document(number)], batch_size=BATCH):
                pass
            process.send_signal(signal.SIGKILL)
        with server.running() as (process, client):
            client.wait_indexed("docs", timeout=60)
            for pipeline in ("bm25", "dense"):
                assert _found(client, pipeline, 1_000) == {f"d{number}"}
            client.index.DeleteCollection(deleted)
            process.send_signal(signal.SIGKILL)
    with server.running() as (_, client):
        listed = client.index.ListCollections(index_service_pb2.ListCollectionsRequest())
        assert list(listed.collections) == []
        assert list((tmp_path / "data" / "indexes").glob("*")) == []
