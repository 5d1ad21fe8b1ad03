"""Servers that share a journal in PostgreSQL: stopped, killed, and bereft of their database."""

from __future__ import annotations

import itertools
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import grpc
import pytest
from faults.servers import Folder, Running
from grpc_health.v1 import health_pb2, health_pb2_grpc
from postgresql import Cluster
from qdrant_wire import QdrantWire

from tamis.client import CallError
from tamis.v1 import index_service_pb2, passage_pb2, search_service_pb2

CONFIG = """
[journal]
url = "{url}"
namespace = "{namespace}"
lease_seconds = 2
[models.hash]
plugin = "fake-hash"
[stages.bm25]
plugin = "tantivy"
[stages.dense]
plugin = "qdrant"
embedder = "hash"
url = "{qdrant}"
[pipelines.default]
expression = "bm25 | dense"
"""


class Server:
    """A process with a data directory of its own, and a client of it."""

    def __init__(self, running: Running) -> None:
        self.running, self.client = running, running.client

    def create(self, collection: str) -> None:
        self.client.stubs.index.CreateCollection(
            index_service_pb2.CreateCollectionRequest(collection=collection), timeout=30
        )

    def remove(self, collection: str) -> None:
        self.client.stubs.index.DeleteCollection(
            index_service_pb2.DeleteCollectionRequest(collection=collection), timeout=30
        )

    def write(self, collection: str, ids: Sequence[str]) -> None:
        documents = [_document(each) for each in ids]
        assert len([*self.client.stream_write(collection, documents, batch_size=len(documents))]) == 1

    def delete(self, collection: str, *ids: str) -> None:
        request = index_service_pb2.DeleteDocumentsRequest(collection=collection, document_ids=ids)
        self.client.stubs.index.DeleteDocuments(request, timeout=30)

    def found(self, collection: str, stage: str) -> list[str]:
        """What is found by one stage once everything is indexed."""
        self.client.wait_indexed(collection, timeout=60)
        request = search_service_pb2.RetrieveRequest(
            collection=collection, query="sauce called kind", pipeline=f"{stage} % 1000", page_size=1_000
        )
        return sorted(each.passage.document_id for each in self.client.stubs.search.Retrieve(request, timeout=30).hits)

    def is_healthy(self) -> bool:
        with grpc.insecure_channel(self.running.address) as channel:
            answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=10)
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


def _document(id: str) -> passage_pb2.Document:
    return passage_pb2.Document(id=id, text=f"Sauce called {id} of its kind.")


@pytest.fixture(scope="module")
def servers(postgresql: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Server]]:
    """Two, with local indexes each and a Qdrant server that both see."""
    folder, wire, address = tmp_path_factory.mktemp("servers"), QdrantWire().start(), postgresql.journal()
    config = CONFIG.format(url=address.url, namespace=address.namespace, qdrant=wire.url)
    with ExitStack() as ends:
        ends.callback(wire.stop)
        yield [Server(ends.enter_context(_folder(folder / name, config).running())) for name in ("one", "other")]


def _folder(path: Path, config: str) -> Folder:
    path.mkdir()
    return Folder(path, config=config)


def _agree(servers: Sequence[Server], collection: str, expected: Sequence[str]) -> None:
    for server in servers:
        for stage in ("bm25", "dense"):
            assert server.found(collection, stage) == sorted(expected), stage


def test_what_is_written_to_either_is_found_on_both(servers: list[Server]) -> None:
    one, other = servers
    one.create("docs")
    ids = {server: [f"{name}{number}" for number in range(60)] for server, name in ((one, "a"), (other, "b"))}
    with ThreadPoolExecutor(2) as pool:
        for start in range(0, 60, 20):
            [*pool.map(lambda server: server.write("docs", ids[server][start : start + 20]), servers)]  # noqa: B023
    _agree(servers, "docs", [*ids[one], *ids[other]])
    other.delete("docs", *ids[one])
    _agree(servers, "docs", ids[other])


def test_collections_come_and_go_on_both(servers: list[Server]) -> None:
    one, other = servers
    for text in ("first", "second"):
        other.create("brief")
        other.write("brief", [text])
        _agree(servers, "brief", [text])
        one.remove("brief")
        for server in servers:
            with pytest.raises(CallError, match="brief"):
                server.found("brief", "bm25")


@pytest.mark.parametrize("stopped", [0, 1])
def test_a_server_that_was_stopped_for_a_while_brings_nothing_back(servers: list[Server], stopped: int) -> None:
    """Whichever of the two writes the shared index."""
    sleeper, awake = servers[stopped], servers[1 - stopped]
    name = f"paused{stopped}"
    sleeper.create(name)
    sleeper.write(name, ["early", "kept"])
    _agree(servers, name, ["early", "kept"])
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(sleeper.write, name, [f"late{number}" for number in range(40)])
        os.kill(sleeper.running.pid, signal.SIGSTOP)
        try:
            awake.delete(name, "early")
            awake.write(name, ["new"])
            assert "early" not in awake.found(name, "dense")
        finally:
            os.kill(sleeper.running.pid, signal.SIGCONT)
        writing.result(timeout=60)
    _agree(servers, name, ["kept", "new", *(f"late{number}" for number in range(40))])


def _restart(postgresql: Cluster, end: Callable[[], None]) -> None:
    end()
    postgresql.start()


def _is_written(server: Server, collection: str, ids: Sequence[str]) -> bool:
    """One call, which the client would repeat by itself."""
    documents = [_document(each) for each in ids]
    request = index_service_pb2.WriteDocumentsRequest(collection=collection, documents=documents)
    try:
        return len([*server.client.stubs.index.WriteDocuments(iter([request]), timeout=60)]) == 1
    except grpc.RpcError as error:
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        time.sleep(0.1)
        return False


def test_a_database_that_dies_again_and_again_under_writes_loses_nothing_and_doubles_nothing(
    servers: list[Server], postgresql: Cluster
) -> None:
    servers[0].create("steady")
    ends = [postgresql.kill, lambda: postgresql.stop("immediate")]
    expected, refused = list[str](), 0
    with ThreadPoolExecutor(1) as pool:
        restarts = list[Future[None]]()
        for number in itertools.count():  # goes on writing until the database is back for good
            if number > 12 and all(each.done() for each in restarts):
                break
            if number in (5, 12):
                [each.result() for each in restarts]
                restarts.append(pool.submit(_restart, postgresql, ends.pop(0)))
            ids = [f"d{number}-{each}" for each in range(5)]
            while not _is_written(servers[number % 2], "steady", ids):
                refused += 1
                assert refused > 3 or all(each.is_healthy() for each in servers)
                if restarts[-1].done():
                    restarts[-1].result()
                    assert refused < 1_000
            expected += ids
        [each.result() for each in restarts]
    assert refused
    _agree(servers, "steady", expected)
    known = (
        servers[0]
        .client.stubs.index.GetCollection(index_service_pb2.GetCollectionRequest(collection="steady"))
        .collection
    )
    assert known.document_count == known.last_sequence == len(expected)


def test_a_server_that_is_killed_is_followed_by_the_other(servers: list[Server]) -> None:
    one, other = servers
    one.create("bereft")
    one.write("bereft", ["a"])
    _agree(servers, "bereft", ["a"])
    one.running.kill()
    other.delete("bereft", "a")
    other.write("bereft", ["b"])
    _agree([other], "bereft", ["b"])
