"""The server dies at exact points of commits, of a collection's beginning and end, and while it recovers."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path

import grpc
import pytest
from faults.points import WHEN, Death, check
from faults.servers import Folder, qdrant_server
from faults.writers import Writers

COMMITS = [
    Death("journal.commit", "before", 4),
    Death("journal.commit", "during", 4),
    Death("journal.commit", "after", 4),
    Death("tantivy.commit", "before", 2),
    Death("tantivy.commit", "during", 2),
    Death("tantivy.commit", "after", 2),
    Death("TantivyIndex.apply", "after", 2),
    Death("tokens.commit", "before", 2),
    Death("tokens.commit", "during", 2),
    Death("tokens.commit", "after", 2),
    Death("TokenIndex.apply", "after", 2),
    Death("worker.update", "after", 4),  # between the deletion of old versions and the new ones
    Death("worker.update", "before", 6),
    Death("worker.update", "during", 5),
    Death("worker.flush", "before", 2),
    Death("worker.flush", "during", 2),
    Death("worker.flush", "after", 2),
    Death("EmbeddedIndex.prepared", "after", 3),  # the next batch is ahead while one is applied
    Death("EmbeddedIndex.apply_prepared", "before", 2),
    Death("EmbeddedIndex.apply_prepared", "after", 2),
    Death("ServerIndex._points", "after", 2),
    Death("ServerCollection.upsert", "before", 4),
    Death("ServerCollection.upsert", "after", 4),
    Death("ServerCollection.delete_older", "after", 2),  # all is there but the checkpoint
    Death("ServerCollection.mark", "after", 2),
    Death("ServerIndex.apply", "after", 2),
]
SHORT = (1, 4, 11)
GRAPHS = [
    Death("EmbeddedIndex._start_building", "before"),  # inside of apply_prepared
    Death("EmbeddedIndex._start_building", "after"),
    Death("worker.optimize", "before"),
    Death("worker.optimize", "during"),
    Death("worker.optimize", "after"),
    Death("Missed.add", "before"),
    Death("Missed.add", "after"),
    Death("EmbeddedIndex._take_over", "before"),
    Death("EmbeddedIndex._take_over", "after"),
    Death("Missed.remove", "after"),
]
_MANY = 200  # documents of a writer, which are enough for a graph
ENDS = [
    Death("Indexes._add", "before"),  # the journal has it, no index does
    Death("worker.create", "during", delay=0.01),
    Death("worker.create", "after"),
    Death("TantivyIndex.checkpoint", "after"),  # one index is there, the others are not
    Death("Indexes._add", "after"),
    Death("Indexes.remove", "before"),
    Death("TantivyIndex.drop", "after"),
    Death("Indexes.remove", "after"),
]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    with qdrant_server() as url:
        yield Folder(tmp_path, qdrant=url)


def test_every_point_is_a_place_of_todays_code() -> None:
    check([*COMMITS, *GRAPHS, *ENDS, *chain(*RECOVERIES), *WORKERS, KILLED])
    with pytest.raises(LookupError, match="gone"):
        check([Death("EmbeddedIndex.gone")])


def _check_commit(folder: Folder, *deaths: Death, ids: int = 40) -> None:
    writers = Writers(2, seed=7, ids=ids)
    with folder.running() as server:
        server.create()
    for death in deaths:
        with folder.running(death) as server:
            writers.start(server.address)
            assert server.join() in (-signal.SIGKILL, -signal.SIGALRM), folder.log()[-2_000:]
            writers.join()
        with folder.running() as server:
            server.settle()
            writers.settle(folder.documents())


def test_a_server_that_dies_in_commits_loses_nothing(folder: Folder) -> None:
    _check_commit(folder, *(COMMITS[each] for each in SHORT))


@pytest.mark.long
@pytest.mark.parametrize("death", COMMITS, ids=str)
def test_a_server_that_dies_in_a_commit_loses_nothing(folder: Folder, death: Death) -> None:
    _check_commit(folder, death)


@pytest.mark.long
@pytest.mark.parametrize("death", GRAPHS, ids=str)
def test_a_server_that_dies_while_a_graph_is_built_or_takes_over_loses_nothing(tmp_path: Path, death: Death) -> None:
    _check_commit(Folder(tmp_path), death, ids=_MANY)


def _check_end(folder: Folder, deaths: list[Death]) -> None:
    for death in deaths:
        with folder.running(death) as server:
            with pytest.raises(grpc.RpcError):
                server.create("other")
                server.delete("other")
            assert server.join() == -signal.SIGKILL
        with folder.running() as server:
            server.settle()  # each collection has every index
            if "other" in server.collections():
                server.delete("other")
            server.create("other")
            assert server.held()[("other", "bm25")] == []
            server.delete("other")
        with folder.running() as server:
            assert server.collections() == set()
            assert [*(folder.data / "indexes").glob("*")] == []


def test_a_collection_whose_creation_or_deletion_broke_off_is_whole_or_gone(tmp_path: Path) -> None:
    _check_end(Folder(tmp_path), [ENDS[0], ENDS[3]])


@pytest.mark.long
def test_a_collection_is_whole_or_gone_wherever_its_creation_or_deletion_broke_off(tmp_path: Path) -> None:
    _check_end(Folder(tmp_path), ENDS)


RECOVERIES = [
    (Death("tantivy.commit", "before"), Death("tantivy.commit", "during")),
    (Death("worker.create", "during", delay=0.01), Death("worker.update", "before")),
    (Death("worker.update", "before", 5), Death("worker.flush", "after")),
    (Death("tokens.commit", "before"), Death("tokens.commit", "after")),
    (Death("Indexes.open", "before"), Death("Indexes.open", "after")),
]


def _check_recovery(folder: Folder, pairs: list[tuple[Death, Death]]) -> None:
    """The first of each pair leaves the second something to do."""
    writers = Writers(2, seed=8)
    with folder.running(Death("TokenIndex.apply", "before", 5)) as server:
        server.create()
        writers.start(server.address)
        server.join()
        writers.join()
    before = folder.documents()
    for turn, pair in enumerate(pairs):
        for incarnation in (folder.data / "indexes").iterdir():  # as on a disk that was replaced: all is to be built
            incarnation.rename(folder.path / f"lost-{turn}")
        for death in pair:
            folder.dies(death)
    assert folder.documents() == before
    with folder.running() as server:
        server.settle()
        writers.settle(folder.documents())


def test_a_server_killed_twice_while_it_recovers_loses_nothing(tmp_path: Path) -> None:
    _check_recovery(Folder(tmp_path), RECOVERIES[:1])


@pytest.mark.long
def test_a_server_killed_again_and_again_while_it_recovers_loses_nothing(tmp_path: Path) -> None:
    _check_recovery(Folder(tmp_path), RECOVERIES)


@pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")
def test_the_process_of_the_embedded_engine_is_killed_alone_and_nothing_is_lost(tmp_path: Path) -> None:
    folder, writers = Folder(tmp_path), Writers(2, seed=9)
    with folder.running() as server:
        server.create()
        writers.start(server.address)
        for _ in range(5):
            writers.wait(5)
            for process in _children(server.pid):
                with suppress(ProcessLookupError):  # one that has just been replaced
                    os.kill(process, signal.SIGKILL)
        writers.stop()
        assert not writers.failures
        server.settle()
        writers.settle(folder.documents())


WORKERS = [
    *(Death("worker.update", when, 7, whole=False) for when in WHEN),
    *(Death("worker.flush", when, 3, whole=False) for when in WHEN),
    *(Death("worker.optimize", when, whole=False) for when in WHEN),
]


@pytest.mark.long
@pytest.mark.parametrize("death", WORKERS, ids=str)
def test_the_process_of_the_embedded_engine_dies_at_a_point_and_nothing_is_lost(tmp_path: Path, death: Death) -> None:
    """Again and again: each process does."""
    folder, writers = Folder(tmp_path), Writers(2, seed=10, ids=_MANY)
    died = "the graph could not be built" if death.point == "worker.optimize" else "qdrant process ended"
    with folder.running(death) as server:
        server.create()
        writers.start(server.address)
        while died not in folder.log():
            writers.wait(20)
        writers.stop()
        assert not writers.failures
        server.settle()
        writers.settle(folder.documents())


KILLED = Death("worker.retrieve", whole=False)  # when it is asked for its checkpoint


def test_an_index_whose_process_is_killed_whenever_it_starts_is_kept_and_catches_up_later(tmp_path: Path) -> None:
    folder, writers = Folder(tmp_path), Writers(1, seed=11)
    for _ in range(2):
        with folder.running(KILLED) as server:
            if not server.collections():
                server.create()
            writers.start(server.address)
            writers.wait(3)
            writers.stop()
            assert not writers.failures
            while (problem := server.problems()["dense"]) == "":
                pass
            assert problem == "APPLY_FAILED"
            assert server.problems()["bm25"] == ""
    assert not [*folder.data.glob("indexes/*/*.damaged")]  # as of files that cannot be read
    assert "fork() handlers" not in folder.log()  # of gRPC, which some children of a fork die of
    with folder.running() as server:
        server.settle()
        writers.settle(folder.documents())


def _children(pid: int) -> list[int]:
    """Threads may end while they are asked."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(OSError):
            found += map(int, (task / "children").read_text().split())
    return found
