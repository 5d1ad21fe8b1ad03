"""The server is killed in the middle of building, switching and dropping a generation, at the statement chosen."""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import grpc
import pytest
from faults.points import Death
from faults.servers import Folder, Running

from tamis.client import Client
from tamis.v1 import index_service_pb2 as pb
from tamis.v1 import passage_pb2, search_service_pb2

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


def _collection(client: Client) -> pb.Collection:
    found: pb.Collection = client.stubs.index.GetCollection(
        pb.GetCollectionRequest(collection="docs"), timeout=30
    ).collection
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
    client.stubs.index.BuildGeneration(pb.BuildGenerationRequest(collection="docs"), timeout=30)


def _switch(client: Client, number: int) -> None:
    client.stubs.index.SwitchGeneration(pb.SwitchGenerationRequest(collection="docs", generation=number), timeout=30)


def _drop(client: Client, number: int) -> None:
    client.stubs.index.DropGeneration(pb.DropGenerationRequest(collection="docs", generation=number), timeout=30)


def _dies(server: Running, work: Callable[[Client], None]) -> None:
    """The work may be answered or not; the process is gone."""
    with suppress(grpc.RpcError):
        work(server.client)
    assert server.join() == -signal.SIGKILL


def _documents(*ids: str) -> list[passage_pb2.Document]:
    return [passage_pb2.Document(id=id, text=f"A smooth sauce of {id}.\nA dull knife.") for id in ids]


def _held(client: Client, stage: str) -> set[tuple[str, str]]:
    request = search_service_pb2.RetrieveRequest(
        collection="docs", query="smooth dull sauce knife", pipeline=f"{stage} % 1000", page_size=1_000
    )
    return {
        (each.passage.document_id, each.passage.text) for each in client.stubs.search.Retrieve(request, timeout=60).hits
    }


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
    path = tmp_path_factory.mktemp("filled")
    with Folder(path, config=BEFORE).running() as server:
        server.create()
        list(server.client.stream_write("docs", _documents(*IDS), batch_size=100))
        server.client.wait_indexed("docs", timeout=60)
    return path


@pytest.fixture(scope="module")
def built(filled: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, and a second one that is ready."""
    folder = _copied(filled, tmp_path_factory.mktemp("built"))
    with folder.running() as server:
        _build(server.client)
        _wait(lambda: _is_ready(server.client, 2))
    return folder.path


def _copied(path: Path, to: Path) -> Folder:
    shutil.copytree(path, to / "copy")
    return Folder(to / "copy", config=AFTER)


@pytest.mark.parametrize(
    "death",
    [
        Death("COMMIT INSERT INTO generations", "after"),
        Death("COMMIT UPDATE generations SET divided_through", "after"),
    ],
    ids=str,
)
def test_a_build_that_was_killed_is_gone_on_with(filled: Path, tmp_path: Path, death: Death) -> None:
    folder = _copied(filled, tmp_path)
    with folder.running(death) as server:
        _dies(server, _build)
    with folder.running() as server:
        client = server.client
        _serves_whole(client, 1, IDS)
        list(client.stream_write("docs", _documents("late")))
        _wait(lambda: _is_ready(client, 2))
        _switch(client, 2)
        _serves_whole(client, 2, [*IDS, "late"])


@pytest.mark.parametrize(
    ("death", "serving"),
    [
        (Death("UPDATE collections SET serving_generation", "before"), 1),
        (Death("COMMIT UPDATE collections SET serving_generation", "before"), 1),
        (Death("COMMIT UPDATE collections SET serving_generation", "after"), 2),
    ],
    ids=str,
)
def test_after_a_switch_that_was_killed_one_or_the_other_serves_whole(
    built: Path, tmp_path: Path, death: Death, serving: int
) -> None:
    folder = _copied(built, tmp_path)
    with folder.running(death) as server:
        _wait(lambda: _is_ready(server.client, 2))
        _dies(server, lambda client: _switch(client, 2))
    with folder.running() as server:
        client = server.client
        _serves_whole(client, serving, IDS)
        _wait(lambda: _is_ready(client, 3 - serving))
        _switch(client, 3 - serving)
        _serves_whole(client, 3 - serving, IDS)


@pytest.mark.parametrize(
    "death",
    [Death("COMMIT UPDATE generations SET state", "after"), Death("DELETE FROM generations", "before")],
    ids=str,
)
def test_a_generation_whose_drop_was_killed_leaves_nothing(built: Path, tmp_path: Path, death: Death) -> None:
    folder = _copied(built, tmp_path)
    with folder.running(death) as server:
        _dies(server, lambda client: _drop(client, 2))
    with folder.running() as server:
        client = server.client
        assert len(_collection(client).generations) == 1
        (incarnation,) = (folder.data / "indexes").iterdir()
        _wait(lambda: not (incarnation / "2").exists())
        _serves_whole(client, 1, IDS)
        _build(client)
        _wait(lambda: _is_ready(client, 3))
        _switch(client, 3)
        _serves_whole(client, 3, IDS)
