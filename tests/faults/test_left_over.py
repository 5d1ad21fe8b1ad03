"""After a kill, what an index holds too much or too little is mended without anybody asking; after an end it is not."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from faults.points import Death
from faults.servers import Folder, Running

from tamis.model import Change, Passage
from tamis.v1 import passage_pb2
from tamis_tantivy import TantivyRetriever
from tamis_tantivy.index import TantivyIndex, _document

_PATIENCE = 30.0
_DIFFERED = "index differed from the journal"


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def _fill(folder: Folder, *, orderly: bool) -> None:
    with folder.running() as server:
        server.create()
        documents = [passage_pb2.Document(id=f"d{each}", text=f"Sauce number {each}.") for each in range(20)]
        for _ in server.client.stream_write("docs", documents):
            pass
        server.settle()
        if orderly:
            _end(server)
        else:
            server.kill()


def _end(server: Running) -> None:
    server._connection.send("end")
    assert server.join() == 0, server.folder.log()[-3_000:]


def _leave_over(folder: Folder) -> None:
    """While no server runs: an older version beside the right one, as a deletion that was lost would leave it, and a
    document that is not there."""

    async def damage() -> None:
        (directory,) = folder.data.glob("indexes/*/bm25")
        retriever = TantivyRetriever(TantivyRetriever.Settings())
        await retriever.open()
        index = await retriever.open_index("docs", 1, directory=directory)
        assert isinstance(index, TantivyIndex)
        upto = await index.checkpoint()
        await index.apply([Change(upto, "d3")], upto=upto)
        writer = index._open_writer()
        writer.add_document(_document(Passage("d7#0", "d7", 1, "What it was before."), []))
        writer.commit()
        await index.close()
        await retriever.close()

    asyncio.run(damage())


def _differs(server: Running) -> bool:
    return sorted(server.held()["docs", "bm25"]) != server.folder.passages()["docs"]


def _mended(server: Running) -> None:
    until = time.monotonic() + _PATIENCE
    while _differs(server) or "indexes are compared" not in server.folder.log():
        assert time.monotonic() < until, server.folder.log()[-3_000:]
    server.settle()


def test_after_a_kill_indexes_are_compared_and_mended_without_anybody_asking(folder: Folder) -> None:
    _fill(folder, orderly=False)
    _leave_over(folder)
    with folder.running() as server:
        _mended(server)
        _end(server)
    assert folder.log().count(_DIFFERED) == 1
    assert '"extra_count": 1' in folder.log()
    assert not (folder.data / "indexes.open").exists()


def test_after_an_orderly_end_nothing_is_compared(folder: Folder) -> None:
    _fill(folder, orderly=True)
    _leave_over(folder)
    with folder.running() as server:
        assert _differs(server)
        _end(server)
    assert "not closed in order" not in folder.log()


def test_a_kill_amid_the_comparison_has_it_made_again(folder: Folder) -> None:
    _fill(folder, orderly=False)
    _leave_over(folder)
    folder.dies(Death("TantivyIndex.apply", "before"))  # nothing is new, so that this is the mending
    with folder.running() as server:
        _mended(server)
    assert folder.log().count("not closed in order") == 2
