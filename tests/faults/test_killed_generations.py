"""The server is killed in the middle of building, switching and dropping a generation, at the statement chosen."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import grpc
import pytest
from fake_plugins import write_distribution

from tamis.client import Client
from tamis.v1 import index_service_pb2 as pb
from tamis.v1 import passage_pb2, search_service_pb2

HERE = Path(__file__).parent
BEFORE = """
[models.hash]
plugin = "fake-hash"
[stages.words]
plugin = "tantivy"
[stages.dense]
plugin = "qdrant"
embedder = "hash"
[pipelines.default]
expression = "words | dense"
"""
AFTER = f"""
[ingest]
chunker = "lines"
[models.lines]
plugin = "fake-lines"
[models.wide]
plugin = "fake-hash"
size = 96
[stages.dense-wide]
plugin = "qdrant"
embedder = "wide"
replaces = "dense"
{BEFORE}
"""
IDS = [f"d{number}" for number in range(300)]


class Server:
    """The server of one folder, one process after the other."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def running(self, config: str = AFTER, kill: str = "") -> Iterator[tuple[subprocess.Popen[str], Client]]:
        """A process that is killed at the latest when the context ends; `kill` says where before."""
        (self.folder / "tamis.toml").write_text(config)
        paths = os.pathsep.join(map(str, (self.folder / "site", HERE / "killing")))
        environment = {**os.environ, "PYTHONPATH": paths, "TAMIS_TEST_KILL": kill}
        command = [sys.executable, HERE / "server.py", self.folder / "data", self.folder / "tamis.toml"]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
        ) as process:
            assert process.stdout is not None
            try:
                with Client(process.stdout.readline().strip()) as client:
                    yield process, client
            finally:
                process.kill()
                process.wait()


def _collection(client: Client) -> pb.Collection:
    found: pb.Collection = client.index.GetCollection(pb.GetCollectionRequest(collection="docs"), timeout=30).collection
    return found


def _generation(client: Client, number: int) -> pb.Generation:
    (found,) = [each for each in _collection(client).generations if each.number == number]
    return found


def _wait(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.02)


def _is_ready(client: Client, number: int) -> bool:
    return _generation(client, number).state != pb.GENERATION_STATE_BUILDING


def _build(client: Client) -> None:
    client.index.BuildGeneration(pb.BuildGenerationRequest(collection="docs"), timeout=30)


def _switch(client: Client, number: int) -> None:
    client.index.SwitchGeneration(pb.SwitchGenerationRequest(collection="docs", generation=number), timeout=30)


def _drop(client: Client, number: int) -> None:
    client.index.DropGeneration(pb.DropGenerationRequest(collection="docs", generation=number), timeout=30)


def _dies(process: subprocess.Popen[str], work: Callable[[], None]) -> None:
    """The work may be answered or not; the process is gone."""
    with suppress(grpc.RpcError):
        work()
    assert process.wait(60) == -9


def _documents(*ids: str) -> list[passage_pb2.Document]:
    return [passage_pb2.Document(id=id, text=f"A smooth sauce of {id}.\nA dull knife.") for id in ids]


def _held(client: Client, stage: str) -> set[tuple[str, str]]:
    request = search_service_pb2.RetrieveRequest(
        collection="docs", query="smooth dull sauce knife", pipeline=f"{stage} % 1000", page_size=1_000
    )
    return {(each.passage.document_id, each.passage.text) for each in client.search.Retrieve(request, timeout=60).hits}


def _whole(ids: list[str]) -> set[tuple[str, str]]:
    return {(each.id, each.text) for each in _documents(*ids)}


def _lines(ids: list[str]) -> set[tuple[str, str]]:
    return {(id, line) for id, text in _whole(ids) for line in text.splitlines()}


def _serves_whole(client: Client, number: int, ids: list[str]) -> None:
    """Each index of the generation that serves holds just what it should."""
    known = _collection(client)
    assert known.serving_generation == number
    client.wait_indexed("docs", timeout=60)
    expected = (_whole if number == 1 else _lines)(ids)
    assert known.passage_count == len(expected)
    for stage in ("words", "dense"):
        assert _held(client, stage) == expected


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A collection that its first generation serves."""
    folder = tmp_path_factory.mktemp("filled")
    write_distribution(folder / "site")
    with Server(folder).running(BEFORE) as (_, client):
        client.index.CreateCollection(pb.CreateCollectionRequest(collection="docs"))
        list(client.write("docs", _documents(*IDS), batch_size=100))
        client.wait_indexed("docs", timeout=60)
    return folder


@pytest.fixture(scope="module")
def built(filled: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, and a second one that is ready."""
    folder = tmp_path_factory.mktemp("built") / "copy"
    shutil.copytree(filled, folder)
    with Server(folder).running() as (_, client):
        _build(client)
        _wait(lambda: _is_ready(client, 2))
    return folder


def _copied(folder: Path, tmp_path: Path) -> Server:
    shutil.copytree(folder, tmp_path / "copy")
    return Server(tmp_path / "copy")


@pytest.mark.parametrize(
    "kill", ["AFTER COMMIT INSERT INTO generations", "AFTER COMMIT UPDATE generations SET divided_through"]
)
def test_a_build_that_was_killed_is_gone_on_with(filled: Path, tmp_path: Path, kill: str) -> None:
    server = _copied(filled, tmp_path)
    with server.running(kill=kill) as (process, client):
        _dies(process, lambda: _build(client))
    with server.running() as (_, client):
        _serves_whole(client, 1, IDS)
        list(client.write("docs", _documents("late")))
        _wait(lambda: _is_ready(client, 2))
        _switch(client, 2)
        _serves_whole(client, 2, [*IDS, "late"])


@pytest.mark.parametrize(
    ("kill", "serving"),
    [
        ("BEFORE UPDATE collections SET serving_generation", 1),
        ("BEFORE COMMIT UPDATE collections SET serving_generation", 1),
        ("AFTER COMMIT UPDATE collections SET serving_generation", 2),
    ],
)
def test_after_a_switch_that_was_killed_one_or_the_other_serves_whole(
    built: Path, tmp_path: Path, kill: str, serving: int
) -> None:
    server = _copied(built, tmp_path)
    with server.running(kill=kill) as (process, client):
        _wait(lambda: _is_ready(client, 2))
        _dies(process, lambda: _switch(client, 2))
    with server.running() as (_, client):
        _serves_whole(client, serving, IDS)
        _wait(lambda: _is_ready(client, 3 - serving))
        _switch(client, 3 - serving)
        _serves_whole(client, 3 - serving, IDS)


@pytest.mark.parametrize("kill", ["AFTER COMMIT UPDATE generations SET state", "BEFORE DELETE FROM generations"])
def test_a_generation_whose_drop_was_killed_leaves_nothing(built: Path, tmp_path: Path, kill: str) -> None:
    server = _copied(built, tmp_path)
    with server.running(kill=kill) as (process, client):
        _dies(process, lambda: _drop(client, 2))
    with server.running() as (_, client):
        assert len(_collection(client).generations) == 1
        (incarnation,) = (server.folder / "data" / "indexes").iterdir()
        _wait(lambda: not (incarnation / "2").exists())
        _serves_whole(client, 1, IDS)
        _build(client)
        _wait(lambda: _is_ready(client, 3))
        _switch(client, 3)
        _serves_whole(client, 3, IDS)
