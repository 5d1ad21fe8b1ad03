"""The qdrant retriever's processes: killed ones are replaced, built graphs take over, nothing is lost."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import qdrant_edge

from tamis.errors import ConfigurationError
from tamis.testing.contract import opened
from tamis.testing.contract.collections import Collection, passage
from tamis.testing.embedders import HashEmbedder
from tamis_qdrant import QdrantRetriever

linux = pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")


@asynccontextmanager
async def collection(
    directory: Path, *, index_from: int = 10_000, size: int = 64, **settings: Any
) -> AsyncIterator[Collection]:
    embedder = HashEmbedder(HashEmbedder.Settings(size=size))
    chosen = QdrantRetriever.Settings(embedder=embedder, index_from=index_from, **settings)
    async with opened(QdrantRetriever(chosen)) as retriever:
        index = await retriever.open_index("c", 1, directory=directory)
        yield Collection(retriever, "c", index, await index.checkpoint())


def processes(directory: Path) -> list[int]:
    """The processes started on a shard under `directory`."""
    return [pid for pid, command in _commands() if str(directory) in command]


def _commands() -> Iterator[tuple[int, str]]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                yield int(entry.name), (entry / "cmdline").read_text()
            except OSError:
                continue


@linux
async def test_a_killed_process_is_replaced_and_everything_acknowledged_is_found(tmp_path: Path) -> None:
    async with collection(tmp_path / "index") as it:
        for turn in range(5):
            await it.put((f"d{turn}", [passage(f"d{turn}", f"turn {turn}")]))
            (process,) = processes(tmp_path)
            os.kill(process, signal.SIGKILL)
            assert set(await it.held()) == {f"d{each}/0" for each in range(turn + 1)}
            assert (await it.found(f"turn {turn}"))[0] == f"d{turn}/0"
            assert await it.index.checkpoint() == turn + 1


async def test_an_index_is_not_touched_while_a_process_of_a_killed_server_lives(tmp_path: Path) -> None:
    async with collection(tmp_path / "index") as it:
        await it.put(("d", [passage("d", "sauce")]))
    with (tmp_path / "index" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        left_over = tmp_path / "index" / "shard-9"
        left_over.mkdir()
        opening = asyncio.ensure_future(_held(tmp_path / "index"))
        await asyncio.wait([opening], timeout=0.2)
        assert not opening.done()
        assert left_over.exists()
    assert await opening == {"d/0"}
    assert not left_over.exists()


async def _held(directory: Path) -> set[str]:
    async with collection(directory) as it:
        return set(await it.held())


@linux
async def test_a_process_that_died_while_nobody_asked_is_replaced(tmp_path: Path) -> None:
    async with collection(tmp_path / "index") as it:
        await it.write("something")
        for _ in range(5):
            (process,) = processes(tmp_path)
            _kill_and_see_dead(process)
            assert await it.found("something") == ["0/0"]


@linux
async def test_requests_under_way_when_the_process_is_killed_are_answered(tmp_path: Path) -> None:
    async with collection(tmp_path / "index") as it:
        await it.write(*(f"text {number}" for number in range(50)))
        for _ in range(3):
            searches = [asyncio.create_task(it.found(f"text {number}")) for number in range(20)]
            writing = asyncio.create_task(it.put(("more", [passage("more", "more")])))
            (process,) = processes(tmp_path)
            os.kill(process, signal.SIGKILL)
            answers = await asyncio.gather(*searches)
            await writing
            assert [answer[0] for answer in answers] == [f"{number}/0" for number in range(20)]
        assert len(await it.held()) == 51


@linux
async def test_no_process_outlives_its_index(tmp_path: Path) -> None:
    async with collection(tmp_path / "index") as it:
        await it.write("something")
        assert len(processes(tmp_path)) == 1
    assert processes(tmp_path) == []


async def test_a_graph_is_built_and_takes_over_while_searches_and_writes_go_on(tmp_path: Path) -> None:
    async with collection(tmp_path / "index", index_from=100) as it:
        finished = asyncio.Event()

        async def search() -> int:
            count = 0
            while not finished.is_set():
                assert (await it.found("word3 number3"))[0] == "d3/0"
                count += 1
            return count

        await it.put(*_documents(0, 300))
        assert len(_shards(tmp_path)) == 2, "the copy that is to be built"
        searching = asyncio.create_task(search())
        await it.put(*_documents(300, 320), ("d0", ()))
        await it.index.built()  # type: ignore[attr-defined]
        finished.set()
        assert await searching > 0
        await it.put(*_documents(320, 330))

        assert _shards(tmp_path) == ["shard-2"]
        assert set(await it.held()) == {f"d{number}/0" for number in range(1, 330)}
        for number in range(1, 330, 7):
            assert (await it.found(f"word{number} number{number}"))[0] == f"d{number}/0"
        assert await it.index.checkpoint() == it.sequence
    async with collection(tmp_path / "index", index_from=100) as it:
        assert len(await it.held()) == 329


@pytest.mark.parametrize("quantization", ["scalar", "binary"])
async def test_a_graph_over_small_copies_of_vectors_on_disk_finds_the_nearest(
    tmp_path: Path, quantization: str
) -> None:
    settings: dict[str, Any] = {"index_from": 100, "quantization": quantization, "on_disk": True}
    async with collection(tmp_path / "index", **settings) as it:
        await it.put(*_documents(0, 300))
        await it.put(*_documents(300, 320), ("d0", ()))
        await it.index.built()  # type: ignore[attr-defined]
        assert _shards(tmp_path) == ["shard-2"]
        assert not (tmp_path / "index" / "missed").exists()
    async with collection(tmp_path / "index", **settings) as it:
        assert set(await it.held()) == {f"d{number}/0" for number in range(1, 320)}
        for number in range(1, 320, 7):
            assert (await it.found(f"word{number} number{number}"))[0] == f"d{number}/0"


async def test_vectors_kept_whole_may_be_quantized_later_and_the_other_way_round(tmp_path: Path) -> None:
    for place, quantization in enumerate(("none", "scalar", "none")):
        async with collection(tmp_path / "index", index_from=100, quantization=quantization) as it:
            await it.put(*_documents(place * 200, place * 200 + 200))
            await it.index.built()  # type: ignore[attr-defined]
            assert len(await it.held()) == place * 200 + 200
            assert (await it.found("word3 number3"))[0] == "d3/0"


@linux
async def test_a_graph_whose_builder_is_killed_costs_nothing_but_the_graph(tmp_path: Path) -> None:
    async with collection(tmp_path / "index", index_from=100) as it:
        await it.put(*_documents(0, 300))
        for process in processes(tmp_path / "index" / "shard-2"):
            os.kill(process, signal.SIGKILL)
        await it.put(*_documents(300, 310))
        await it.index.built()  # type: ignore[attr-defined]
        assert len(await it.held()) == 310
        assert (await it.found("word305 number305"))[0] == "d305/0"


async def test_a_shard_that_cannot_be_copied_serves_on_and_a_graph_is_tried_again_when_much_has_come(
    tmp_path: Path,
) -> None:
    async with collection(tmp_path / "index", index_from=100) as it:
        os.mkfifo(tmp_path / "index" / "shard-1" / "pipe")  # no file that can be copied
        await it.put(*_documents(0, 120))
        (tmp_path / "index" / "shard-1" / "pipe").unlink()
        assert _shards(tmp_path) == ["shard-1"], "nothing is left of the copy"
        await it.put(*_documents(120, 130))
        assert _shards(tmp_path) == ["shard-1"]
        await it.put(*_documents(130, 250))
        await it.index.built()  # type: ignore[attr-defined]
        assert _shards(tmp_path) == ["shard-2"]
        assert len(await it.held()) == 250


async def test_writes_wait_for_the_graph_once_too_much_was_written_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tamis_qdrant.embedded.index._MOST_OUTSIDE", 50)
    async with collection(tmp_path / "index", index_from=100) as it:
        await it.put(*_documents(0, 300))
        await it.put(*_documents(300, 340))
        await it.put(*_documents(340, 360))
        assert _shards(tmp_path) == ["shard-2"], "the copy has taken over"
        assert len(await it.held()) == 360


async def test_closing_while_a_graph_is_built_loses_nothing(tmp_path: Path) -> None:
    async with collection(tmp_path / "index", index_from=100) as it:
        await it.put(*_documents(0, 300))
        await it.put(*_documents(300, 310))
    async with collection(tmp_path / "index", index_from=100) as it:
        assert len(await it.held()) == 310
        assert len(_shards(tmp_path)) == 1


@linux
async def test_an_index_that_is_closed_while_a_copy_takes_over_keeps_what_it_holds(tmp_path: Path) -> None:
    async with collection(tmp_path / "index", index_from=100) as it:
        (process,) = processes(tmp_path)
        await it.put(*_documents(0, 300))
        os.kill(process, signal.SIGSTOP)  # it does not end when the copy has taken its place
        while await asyncio.to_thread((tmp_path / "index" / "current").read_text) != "shard-2":
            pass
        closing = asyncio.ensure_future(it.index.close())
        await asyncio.wait([closing], timeout=0)
        os.kill(process, signal.SIGCONT)
        await closing
    async with collection(tmp_path / "index", index_from=100) as it:
        assert await it.index.checkpoint() == 300
        assert len(await it.held()) == 300


async def test_a_creation_that_broke_off_is_finished(tmp_path: Path) -> None:
    shard = tmp_path / "index" / "shard-1"
    shard.mkdir(parents=True)
    vectors = qdrant_edge.EdgeVectorParams(size=64, distance=qdrant_edge.Distance.Cosine)
    qdrant_edge.EdgeShard.create(str(shard), qdrant_edge.EdgeConfig(vectors=vectors)).close()
    async with collection(tmp_path / "index") as it:
        await it.write("something")
    made = qdrant_edge.EdgeShard.load(str(shard))
    assert made.info().payload_schema.keys() == {"d", "t"}
    assert made.info().points_count == 2
    made.close()


async def test_ids_come_in_pages_and_each_once(tmp_path: Path) -> None:
    async with collection(tmp_path / "index", size=4) as it:
        await it.put(*_documents(0, 2_100))
        assert set(await it.held()) == {f"d{number}/0" for number in range(2_100)}


async def test_vectors_of_another_embedder_are_refused(tmp_path: Path) -> None:
    async with collection(tmp_path / "index", size=64) as it:
        await it.write("something")
    with pytest.raises(ConfigurationError, match="another embedder"):
        async with collection(tmp_path / "index", size=32):
            pass
    async with collection(tmp_path / "index", size=64) as it:
        assert await it.found("something") == ["0/0"]


async def test_an_index_in_an_older_format_is_made_anew(tmp_path: Path) -> None:
    async with collection(tmp_path / "index") as it:
        await it.write("something")
    note = tmp_path / "index" / "tamis.json"
    note.write_text(json.dumps({**json.loads(note.read_text()), "format": 1}))
    with pytest.raises(ConfigurationError, match="another embedder"):
        async with collection(tmp_path / "index", size=32):
            pass
    async with collection(tmp_path / "index") as it:
        assert await it.index.checkpoint() == 0
        assert await it.found("something") == []


async def test_an_index_in_a_newer_format_is_refused_and_kept(tmp_path: Path) -> None:
    async with collection(tmp_path / "index") as it:
        await it.write("something")
    note = tmp_path / "index" / "tamis.json"
    made_with = note.read_text()
    note.write_text(json.dumps({**json.loads(made_with), "format": 99}))
    with pytest.raises(ConfigurationError, match="newer Tamis"):
        async with collection(tmp_path / "index"):
            pass
    note.write_text(made_with)
    async with collection(tmp_path / "index") as it:
        assert await it.found("something") == ["0/0"]


def _kill_and_see_dead(process: int) -> None:
    """Without giving the loop a chance to hear of it."""
    os.kill(process, signal.SIGKILL)
    with suppress(ChildProcessError):
        os.waitid(os.P_PID, process, os.WEXITED | os.WNOWAIT)


def _documents(start: int, end: int) -> list[tuple[str, list]]:
    return [(f"d{n}", [passage(f"d{n}", f"word{n} number{n}")]) for n in range(start, end)]


def _shards(directory: Path) -> list[str]:
    return sorted(each.name for each in (directory / "index").glob("shard-*"))
