"""Files that end early or hold something else: what was whole is there, the rest is told, indexes are built again."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from random import Random

import pytest
from faults.servers import Folder

from tamis.client import CallError
from tamis.errors import ConfigurationError
from tamis.journal import Journal, Upsert
from tamis.model import Document, Passage, Span
from tamis.v1 import index_service_pb2, passage_pb2

COMMITS = 40


def _fill(folder: Folder, count: int = 60) -> None:
    with folder.running() as server:
        server.create()
        documents = [passage_pb2.Document(id=f"d{each}", text=f"Sauce number {each}. " * 20) for each in range(count)]
        for _ in server.client.stream_write("docs", documents, batch_size=10):
            pass
        server.settle()
        server.kill()


def _garble(file: Path, random: Random, *, at: int | None = None, size: int = 64) -> None:
    content = bytearray(file.read_bytes())
    start = random.randrange(max(1, len(content) - size)) if at is None else at
    content[start : start + size] = bytes(each ^ random.randint(1, 255) for each in content[start : start + size])
    file.write_bytes(content)


async def _log_of(path: Path) -> AsyncIterator[int]:
    """Commits to a journal, one document each, and gives the size of its log after each."""
    journal = await Journal.open(path)
    await journal.create_collection("docs")
    for number in range(COMMITS):
        document = Document(f"d{number}", f"text {number} " * (1 + number * 37 % 500))
        passage = Passage(f"d{number}/0", document.id, 0, document.text, span=Span(0, len(document.text)))
        await journal.write("docs", [Upsert(document, (passage,))])
        yield path.with_name("journal.sqlite-wal").stat().st_size
    for each in ("", "-wal"):  # as a crash would leave it: closing would empty the log
        shutil.copy(f"{path}{each}", f"{path.parent}/crashed{each}")
    await journal.close()


async def _check_torn_logs(folder: Path, tears: int, seed: int) -> None:
    sizes = [size async for size in _log_of(folder / "journal.sqlite")]
    assert sizes == sorted(sizes)
    random = Random(seed)
    for turn in range(tears):
        torn = folder / f"torn-{turn}" / "journal.sqlite"
        torn.parent.mkdir()
        for each in ("", "-wal"):
            shutil.copy(f"{folder}/crashed{each}", f"{torn}{each}")
        log, offset = Path(f"{torn}-wal"), random.randrange(sizes[0], sizes[-1])
        if turn % 2:
            _cut(log, offset)
        else:
            _garble(log, random, at=offset, size=random.choice((1, 100, 5_000)))
        journal = await Journal.open(torn)
        whole = sum(size <= offset for size in sizes)
        documents = await journal.documents("docs", limit=1_000)
        assert {each.id for each in documents} == {f"d{number}" for number in range(whole)}, f"seed {seed}, turn {turn}"
        assert (await journal.collection("docs")).last_sequence == whole
        await journal.write("docs", [Upsert(Document("after", "the tear"), ())])
        await journal.close()
        shutil.rmtree(torn.parent)


async def test_a_torn_log_gives_every_commit_before_the_tear_and_none_behind_it(tmp_path: Path) -> None:
    await _check_torn_logs(tmp_path, 20, seed=2)


@pytest.mark.long
async def test_a_log_torn_at_five_hundred_places_gives_every_commit_before_the_tear(tmp_path: Path) -> None:
    await _check_torn_logs(tmp_path, 500, seed=3)


def test_indexes_that_know_of_commits_lost_with_a_torn_log_are_built_again(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    _fill(folder)
    log = folder.data / "journal.sqlite-wal"
    _cut(log, log.stat().st_size * 3 // 4)
    with folder.running() as server:
        server.settle()
        assert 0 < len(folder.documents()) < 60
    assert "index is ahead of the journal" in folder.log()


TORN = (
    {"bm25": "tamis.json", "dense": "tamis.json", "tokens": "tokens.sqlite*"},
    {"bm25": "meta.json", "dense": "edge_config.json", "tokens": "tokens.sqlite-wal"},
    {"bm25": "*.store", "dense": "segment.json"},
    {"bm25": "*.term", "dense": "current"},
)


@pytest.mark.long
@pytest.mark.parametrize("way", ["emptied", "cut", "garbled"])
@pytest.mark.parametrize("torn", TORN, ids=lambda each: "+".join(each.values()))
def test_an_index_with_any_torn_file_is_built_again(tmp_path: Path, torn: dict[str, str], way: str) -> None:
    _check_torn_index(Folder(tmp_path), torn, way)


def test_indexes_whose_files_are_torn_are_put_aside_and_built_again(tmp_path: Path) -> None:
    folder, torn = Folder(tmp_path), {"bm25": "meta.json", "dense": "segment.json", "tokens": "tokens.sqlite*"}
    (incarnation,) = _check_torn_index(folder, torn, "garbled")
    assert {each.name for each in incarnation.glob("*.damaged")} == {f"{stage}.damaged" for stage in torn}
    assert folder.log().count("index cannot be read") == 3


def _check_torn_index(folder: Folder, torn: dict[str, str], way: str) -> list[Path]:
    """Gives the folders of collections."""
    _fill(folder)
    incarnations = [*(folder.data / "indexes").iterdir()]
    for stage, pattern in torn.items():
        found = [each for each in (incarnations[0] / stage).rglob(pattern) if each.is_file()]
        assert found, f"{stage} has no {pattern}"
        for each in found:
            _tear(each, way)
    with folder.running() as server:
        server.settle()
        assert len(server.found("bm25 | dense", "sauce number")) == 60
    return incarnations


def _tear(file: Path, way: str) -> None:
    if way == "garbled":
        _garble(file, Random(6), at=0, size=file.stat().st_size)
    else:
        _cut(file, 0 if way == "emptied" else file.stat().st_size * 2 // 3)


def _cut(file: Path, size: int) -> None:
    with file.open("r+b") as opened:
        opened.truncate(size)


def test_a_journal_whose_first_page_is_garbled_is_refused_at_the_start(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    _fill(folder, 10)
    _checkpointed(folder.journal)
    _garble(folder.journal, Random(4), at=0, size=100)
    with pytest.raises(EOFError), folder.running():
        pass
    assert "the journal cannot be opened" in folder.log()


def test_a_journal_with_a_garbled_page_says_so_and_goes_on_with_the_others(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    _fill(folder)
    _checkpointed(folder.journal)
    with closing(sqlite3.connect(folder.journal)) as database:
        (page,) = database.execute("SELECT rootpage FROM sqlite_master WHERE name = 'passages_by_document'").fetchone()
        (size,) = database.execute("PRAGMA page_size").fetchone()
    _garble(folder.journal, Random(5), at=(page - 1) * size, size=size)
    with folder.running() as server:
        with pytest.raises(CallError) as refused:
            for _ in server.client.stream_write("docs", [passage_pb2.Document(id="d1", text="again")]):
                pass
        assert refused.value.reason == "JOURNAL_DAMAGED"
        assert "restore" in refused.value.message
        request = index_service_pb2.GetDocumentRequest(collection="docs", document_id="d7")
        assert server.client.stubs.index.GetDocument(request).document.text.startswith("Sauce number 7")


def _checkpointed(journal: Path) -> None:
    """Everything in the main file."""
    with closing(sqlite3.connect(journal)) as database:
        assert database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0


async def test_a_journal_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "journal.sqlite").write_bytes(b"something else" * 1_000)
    with pytest.raises(ConfigurationError, match=r"the journal cannot be opened: file is not a database; .*durability"):
        await Journal.open(tmp_path / "journal.sqlite")
