"""Servers that share a journal in PostgreSQL: stopped, killed, and bereft of their database."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import grpc
import pytest
from fake_plugins import write_distribution
from grpc_health.v1 import health_pb2, health_pb2_grpc
from postgresql import Cluster
from qdrant_wire import QdrantWire

from tamis.client import CallError, Client
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

    def __init__(self, folder: Path, config: str) -> None:
        """Starts it; call `ready` next."""
        folder.mkdir()
        write_distribution(folder / "site")
        (folder / "tamis.toml").write_text(config)
        script = Path(__file__).with_name("server.py")
        self.process = subprocess.Popen(
            [sys.executable, script, folder / "data", folder / "tamis.toml"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "PYTHONPATH": str(folder / "site")},
        )
        self.client: Client

    def ready(self) -> Server:
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().strip()
        self.client = Client(self.address)
        return self

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        self.client.close()

    def create(self, collection: str) -> None:
        self.client.index.CreateCollection(index_service_pb2.CreateCollectionRequest(collection=collection), timeout=30)

    def remove(self, collection: str) -> None:
        self.client.index.DeleteCollection(index_service_pb2.DeleteCollectionRequest(collection=collection), timeout=30)

    def write(self, collection: str, ids: Sequence[str]) -> None:
        documents = [passage_pb2.Document(id=each, text=f"Sauce called {each} of its kind.") for each in ids]
        assert len([*self.client.write(collection, documents, batch_size=len(documents))]) == 1

    def delete(self, collection: str, *ids: str) -> None:
        request = index_service_pb2.DeleteDocumentsRequest(collection=collection, document_ids=ids)
        self.client.index.DeleteDocuments(request, timeout=30)

    def found(self, collection: str, stage: str) -> list[str]:
        """What is found by one stage once everything is indexed."""
        self.client.wait_indexed(collection, timeout=60)
        request = search_service_pb2.RetrieveRequest(
            collection=collection, query="sauce called kind", pipeline=f"{stage} % 1000", page_size=1_000
        )
        return sorted(each.passage.document_id for each in self.client.search.Retrieve(request, timeout=30).hits)

    def is_healthy(self) -> bool:
        with grpc.insecure_channel(self.address) as channel:
            answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=10)
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


@pytest.fixture(scope="module")
def servers(postgresql: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Server]]:
    """Two, with local indexes each and a Qdrant server that both see."""
    folder, wire, address = tmp_path_factory.mktemp("servers"), QdrantWire().start(), postgresql.journal()
    config = CONFIG.format(url=address.url, namespace=address.namespace, qdrant=wire.url)
    with ExitStack() as ends:
        ends.callback(wire.stop)
        started = [Server(folder / name, config) for name in ("one", "other")]
        for each in started:
            ends.callback(each.end)
        yield [each.ready() for each in started]


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
        sleeper.process.send_signal(signal.SIGSTOP)
        try:
            awake.delete(name, "early")
            awake.write(name, ["new"])
            assert "early" not in awake.found(name, "dense")
        finally:
            sleeper.process.send_signal(signal.SIGCONT)
        writing.result(timeout=60)
    _agree(servers, name, ["kept", "new", *(f"late{number}" for number in range(40))])


def _restart(postgresql: Cluster, end: Callable[[], None]) -> None:
    end()
    postgresql.start()


def _is_written(server: Server, collection: str, ids: Sequence[str]) -> bool:
    try:
        server.write(collection, ids)
    except CallError as error:
        assert error.code is grpc.StatusCode.UNAVAILABLE
        time.sleep(0.05)
        return False
    return True


def test_a_database_that_dies_again_and_again_under_writes_loses_nothing_and_doubles_nothing(
    servers: list[Server], postgresql: Cluster
) -> None:
    servers[0].create("steady")
    ends = [postgresql.kill, lambda: postgresql.stop("immediate")]
    expected, refused = list[str](), 0
    with ThreadPoolExecutor(1) as pool:
        restarts = list[Future[None]]()
        for number in range(40):
            if number in (10, 25):
                restarts.append(pool.submit(_restart, postgresql, ends.pop(0)))
            ids = [f"d{number}-{each}" for each in range(5)]
            while not _is_written(servers[number % 2], "steady", ids):
                refused += 1
                assert all(each.is_healthy() for each in servers)
                if restarts[-1].done():
                    restarts[-1].result()
                    assert refused < 1_000
            expected += ids
        for each in restarts:
            each.result()
    _agree(servers, "steady", expected)
    known = (
        servers[0].client.index.GetCollection(index_service_pb2.GetCollectionRequest(collection="steady")).collection
    )
    assert known.document_count == known.last_sequence == len(expected)


def test_a_server_that_is_killed_is_followed_by_the_other(servers: list[Server]) -> None:
    one, other = servers
    one.create("bereft")
    one.write("bereft", ["a"])
    _agree(servers, "bereft", ["a"])
    one.process.kill()
    other.delete("bereft", "a")
    other.write("bereft", ["b"])
    _agree([other], "bereft", ["b"])
