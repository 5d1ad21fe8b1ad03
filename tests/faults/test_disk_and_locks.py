"""The disk is full, or somebody else holds the journal: writes are refused in words, all else goes on, and so do they
later."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import grpc
import pytest
from faults.servers import Folder, Running
from faults.writers import Writers

from tamis.client import CallError
from tamis.client.errors import typed_errors
from tamis.v1 import index_service_pb2, passage_pb2


@contextmanager
def _small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """A file system of so many megabytes. Skips where neither root nor a namespace of our own may mount one."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk needs root: unshare -rm make test-faults")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def _fill(folder: Path) -> Path:
    """Takes all the room that is left."""
    ballast = folder / "ballast"
    with ballast.open("ab", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue
    return ballast


def _write(server: Running, id: str, text: str) -> None:
    """By the stub: `Client.write` would try again for a minute."""
    documents = [passage_pb2.Document(id=id, text=text)]
    request = index_service_pb2.WriteDocumentsRequest(collection="docs", documents=documents)
    with typed_errors():
        list(server.client.stubs.index.WriteDocuments(iter([request])))


def _refused(server: Running, id: str) -> CallError:
    with pytest.raises(CallError) as refused:
        for number in range(10_000):
            _write(server, f"{id}-{number}", "A sauce that takes much room. " * 200)
    return refused.value


def test_on_a_full_disk_writes_are_refused_searches_go_on_and_so_do_writes_once_there_is_room(tmp_path: Path) -> None:
    with _small_disk(tmp_path / "disk", 300) as disk:
        folder, writers = Folder(disk), Writers(2, seed=11)
        with folder.running() as server:
            server.create()
            writers.start(server.address)
            writers.wait(20)
            ballast = _fill(disk)
            writers.join()
            assert {each.code() for each in writers.failures} == {grpc.StatusCode.UNAVAILABLE}
            refused = _refused(server, "more")
            assert refused.reason == "UNAVAILABLE"
            assert "the journal cannot be written" in refused.message
            assert "full" in refused.message
            assert refused.retry_after
            writers.settle(folder.documents())
            assert server.found("bm25", "sauce")
            assert server.found("bm25 | dense", "sauce")  # whether or not the embedded engine lives without room
            ballast.unlink()
            writers.start(server.address)
            writers.wait(20)
            writers.stop()
            assert not writers.failures
            server.settle()
            writers.settle(folder.documents())
            server.kill()
        with folder.running() as server:
            server.settle()
            print(folder.log())


def test_indexes_on_a_full_disk_lag_and_say_so_and_catch_up_once_there_is_room(tmp_path: Path) -> None:
    folder, writers = Folder(tmp_path), Writers(2, seed=12)
    folder.data.mkdir()
    with _small_disk(folder.data / "indexes", 300) as disk, folder.running() as server:
        server.create()
        writers.start(server.address)
        writers.wait(10)
        ballast = _fill(disk)
        writers.wait(60)
        writers.stop()
        assert not writers.failures
        writers.settle(folder.documents())
        ballast.unlink()
        server.settle()
        server.kill()


def test_a_second_server_on_a_folder_says_who_has_it(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    with folder.running():
        environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site"), "COLUMNS": "300"}
        command = [sys.executable, "-m", "tamis.cli.app", "serve", "--listen", "127.0.0.1:0"]
        files = ["--config", tmp_path / "tamis.toml", "--data-directory", folder.data]
        ended = subprocess.run([*command, *files], env=environment, capture_output=True, text=True, check=False)
        assert ended.returncode == 3
        assert f"another process uses the data directory {folder.data}" in ended.stderr


@pytest.mark.long  # writes wait for half a minute
def test_while_a_foreign_process_holds_the_journal_writes_wait_then_fail_then_go_on(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    with folder.running() as server:
        server.create()
        _write(server, "before", "the lock")
        with closing(sqlite3.connect(folder.journal, isolation_level=None)) as foreign:
            foreign.execute("BEGIN EXCLUSIVE")
            with pytest.raises(CallError) as refused:
                _write(server, "during", "the lock")
            assert refused.value.reason == "UNAVAILABLE"
            assert "the journal cannot be written: database is locked" in refused.value.message
            assert folder.documents() == {"before": "the lock"}
            foreign.execute("ROLLBACK")
        _write(server, "after", "the lock")
        server.settle()
        assert folder.documents().keys() == {"before", "after"}
