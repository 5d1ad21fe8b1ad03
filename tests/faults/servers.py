"""Servers of one data folder, one after the other, and what must hold between what they keep."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import forked
from fake_plugins import write_distribution
from faults import launcher
from faults.points import Death

from tamis.client import Client
from tamis.v1 import index_service_pb2, search_service_pb2

__all__ = ["INDEXES", "Folder", "Running", "qdrant_server"]

_STAGES = """
[models.hash]
plugin = "fake-hash"
size = 16
[stages.bm25]
plugin = "tantivy"
[stages.dense]
plugin = "qdrant"
embedder = "hash"
index_from = 100
[stages.tokens]
plugin = "late-interaction"
embedder = "hash"
store = "int8"
"""
_REMOTE = """
[stages.remote]
plugin = "qdrant"
embedder = "hash"
url = "{url}"
"""
_PIPELINE = '[pipelines.default]\nexpression = "({retrievers}) % 50 >> tokens"\n'
INDEXES = frozenset({"bm25", "dense", "tokens"})
_PATIENCE = 60.0


class Running:
    """A server's process, its address and a client of it."""

    def __init__(self, process: Any, connection: Any, folder: Folder) -> None:
        self.process, self._connection, self.folder = process, connection, folder
        self.address: str = connection.recv()  # EOFError when it has died before it served
        self.client = Client(self.address)

    @property
    def pid(self) -> int:
        return int(self.process.pid)

    def kill(self) -> None:
        """As `kill -9` does; on return it is gone."""
        os.kill(self.pid, signal.SIGKILL)
        self.join()

    def join(self) -> int:
        """Its exit code, once it has one; negative for a signal's number."""
        self.process.join(_PATIENCE)
        assert self.process.exitcode is not None, "the server goes on"
        return int(self.process.exitcode)

    def held(self) -> dict[tuple[str, str], list[tuple[str, int]]]:
        """Passage ids with document versions that each index holds, asked of the index itself."""
        self._connection.send("held")
        found: dict[tuple[str, str], list[tuple[str, int]]] = self._connection.recv()
        return found

    def create(self, collection: str = "docs") -> None:
        self.client.stubs.index.CreateCollection(index_service_pb2.CreateCollectionRequest(collection=collection))

    def delete(self, collection: str = "docs") -> None:
        self.client.stubs.index.DeleteCollection(index_service_pb2.DeleteCollectionRequest(collection=collection))

    def collections(self) -> set[str]:
        listed = self.client.stubs.index.ListCollections(index_service_pb2.ListCollectionsRequest(page_size=100))
        return {each.id for each in listed.collections}

    def problems(self, collection: str = "docs") -> dict[str, str]:
        """The problem of each index, by stage; empty while all is well."""
        request = index_service_pb2.GetCollectionRequest(collection=collection)
        return {each.stage: each.problem for each in self.client.stubs.index.GetCollection(request).collection.indexes}

    def found(self, stage: str, query: str, collection: str = "docs") -> Counter[str]:
        """Ids of the passages that retrievers find, in all."""
        request = search_service_pb2.RetrieveRequest(
            collection=collection, query=query, pipeline=f"{stage} % 1000", page_size=1_000
        )
        hits = self.client.stubs.search.Retrieve(request, timeout=_PATIENCE).hits
        return Counter(each.passage.id for each in hits)

    def settle(self) -> None:
        """Returns once every index has everything; then they and the journal agree, both ways, on every passage."""
        for collection in self.collections():
            self.client.wait_indexed(collection, timeout=_PATIENCE)
        self.folder.compare(self.held())


class Folder:
    """What a server is started on: its configuration, its data, the plugins of tests."""

    def __init__(self, path: Path, *, qdrant: str = "", server: str = "", config: str = "") -> None:
        """`config` is used in place of what is told of servers here."""
        self.path, self.data = path, path / "data"
        self.indexes = INDEXES | ({"remote"} if qdrant else set())
        if not (path / "site").exists():
            write_distribution(path / "site")
        retrievers = "bm25 | dense | remote" if qdrant else "bm25 | dense"
        remote = _REMOTE.format(url=qdrant) if qdrant else ""
        whole = f"{server}{_STAGES}{remote}{_PIPELINE.format(retrievers=retrievers)}"
        (path / "tamis.toml").write_text(config or whole)

    @contextmanager
    def running(self, *deaths: Death, listen: str = "127.0.0.1:0") -> Iterator[Running]:
        """A server, killed at the latest when the context ends. Raises `EOFError` when it dies before it serves."""
        context = forked.context()
        ours, theirs = context.Pipe()
        process = context.Process(target=launcher.serve, args=(self.path, theirs, deaths, listen))
        process.start()
        theirs.close()
        running = None
        try:
            running = Running(process, ours, self)
            yield running
        finally:
            if running is not None:
                running.client.close()
            process.kill()
            process.join()
            ours.close()

    def dies(self, *deaths: Death) -> None:
        """Starts a server that dies by itself while it starts or catches up."""
        try:
            with self.running(*deaths) as server:
                assert server.join() < 0
        except EOFError:
            return

    @property
    def journal(self) -> Path:
        return self.data / "journal.sqlite"

    def passages(self) -> dict[str, list[tuple[str, int]]]:
        """What the journal has of each collection, read from the file: passage ids with document versions."""
        statement = (
            "SELECT c.id, p.id, d.version FROM collections c LEFT JOIN passages p ON p.collection = c.key "
            "LEFT JOIN documents d ON d.collection = c.key AND d.id = p.document_id"
        )
        found: dict[str, list[tuple[str, int]]] = {}
        for collection, passage, version in self._rows(statement):
            found.setdefault(collection, []).extend([(passage, version)] if passage is not None else [])
        return {collection: sorted(each) for collection, each in found.items()}

    def documents(self, collection: str = "docs") -> dict[str, str]:
        """Ids and texts, as the journal's file has them."""
        statement = "SELECT d.id, d.text FROM documents d JOIN collections c ON c.key = d.collection WHERE c.id = ?"
        return dict(self._rows(statement, collection))

    def compare(self, held: dict[tuple[str, str], list[tuple[str, int]]]) -> None:
        """Every index of every collection holds what the journal has: nothing is missing, left over, or there twice."""
        wanted = self.passages()
        assert held.keys() == {(collection, stage) for collection in wanted for stage in self.indexes}
        for (collection, stage), found in held.items():
            missing, left_over = Counter(wanted[collection]), Counter(found)
            missing.subtract(found)
            left_over.subtract(wanted[collection])
            where = f"{collection}/{stage}"
            assert not +missing, f"{where} lacks {sorted((+missing).elements())[:5]}"
            assert not +left_over, f"{where} has too much: {sorted((+left_over).elements())[:5]}"

    def log(self) -> str:
        """The log of all servers so far."""
        return (self.path / "log").read_text()

    def _rows(self, statement: str, *values: object) -> list[Any]:
        with closing(sqlite3.connect(f"file:{self.journal}?mode=ro", uri=True)) as database:
            return database.execute(statement, values).fetchall()


@contextmanager
def qdrant_server() -> Iterator[str]:
    """The address of a Qdrant that goes on while servers are killed."""
    script = Path(__file__).with_name("qdrant_process.py")
    with subprocess.Popen(
        [sys.executable, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.kill()
