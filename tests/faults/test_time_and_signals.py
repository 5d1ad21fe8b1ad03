"""Clocks that jump, servers that are asked to end, and servers that stand still."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from faults.servers import Folder, Running
from faults.writers import Writers

from tamis.client import CallError, Client
from tamis.v1 import index_service_pb2, search_service_pb2

JUMPING = '''
import datetime, itertools, sys, time

_jumps = itertools.cycle((0, 3 * 365 * 86_400, -7 * 365 * 86_400, 3_600, -1))
_time, _time_ns, _datetime = time.time, time.time_ns, datetime.datetime


def _jumped():
    """gRPC compares the clock of its C part, which does not jump here, with this one: it is asked by `tamis.rpc`."""
    name = sys._getframe(2).f_globals.get("__name__", "")
    return 0 if name.startswith(("tamis.rpc", "grpc")) else next(_jumps)


time.time = lambda: _time() + _jumped()
time.time_ns = lambda: _time_ns() + _jumped() * 10**9


class Jumping(_datetime):
    @classmethod
    def now(cls, tz=None):
        return _datetime.now(tz) + datetime.timedelta(seconds=next(_jumps))


datetime.datetime = Jumping
'''


class Command:
    """`tamis serve` as it is shipped."""

    def __init__(self, folder: Folder, *paths: Path) -> None:
        found = os.pathsep.join(str(each) for each in (*paths, folder.path / "site"))
        files = ["--config", folder.path / "tamis.toml", "--data-directory", folder.data, "--listen", "127.0.0.1:0"]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tamis.cli.app", "serve", *files],
            env={**os.environ, "PYTHONPATH": found},
            stdout=subprocess.PIPE,
            stderr=(folder.path / "log").open("a"),
            text=True,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        self.address = line.removeprefix("listening on ").strip()
        self.client = Client(self.address)


@contextmanager
def _command(folder: Folder, *paths: Path) -> Iterator[Command]:
    server = Command(folder, *paths)
    try:
        yield server
    finally:
        server.client.close()
        server.process.kill()
        server.process.wait()


def test_a_clock_that_jumps_by_years_changes_no_order_no_wait_and_no_deadline(tmp_path: Path) -> None:
    folder, writers, site = Folder(tmp_path), Writers(2, seed=13), tmp_path / "jumping"
    site.mkdir()
    (site / "sitecustomize.py").write_text(JUMPING)
    with _command(folder, site) as server:
        server.client.stubs.index.CreateCollection(index_service_pb2.CreateCollectionRequest(collection="docs"))
        writers.start(server.address)
        writers.wait(30)
        request = search_service_pb2.SearchRequest(collection="docs", query="sauce")
        for _ in range(20):
            assert server.client.stubs.search.Search(request, timeout=30).hits
        writers.stop()
        assert not writers.failures
        server.client.wait_indexed("docs", timeout=60)
        known = server.client.stubs.index.GetCollection(
            index_service_pb2.GetCollectionRequest(collection="docs")
        ).collection
        assert {each.applied_sequence for each in known.indexes} == {known.last_sequence}
        with pytest.raises(CallError) as late:
            server.client.wait_indexed("docs", known.last_sequence + 1, timeout=30)
        assert late.value.reason == "INVALID_REQUEST"  # and not that a deadline has passed
    writers.settle(folder.documents())
    with folder.running() as again:
        again.settle()


def test_a_server_that_is_told_to_end_while_it_ingests_ends_in_order(tmp_path: Path) -> None:
    folder, writers = Folder(tmp_path), Writers(3, seed=14)
    with _command(folder) as server:
        server.client.stubs.index.CreateCollection(index_service_pb2.CreateCollectionRequest(collection="docs"))
        writers.start(server.address)
        writers.wait(20)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(60) == 0, folder.log()[-3_000:]
        writers.join()
    assert "Traceback" not in folder.log()
    assert re.search(r'"event": "stopping"', folder.log())
    with folder.running() as again:
        again.settle()
        writers.settle(folder.documents())


def test_a_server_that_stands_still_for_a_while_loses_nothing_and_callers_hear_of_their_deadlines(
    tmp_path: Path,
) -> None:
    folder, writers = Folder(tmp_path), Writers(2, seed=15)
    with folder.running() as server:
        server.create()
        writers.start(server.address)
        writers.wait(10)
        os.kill(server.pid, signal.SIGSTOP)
        with pytest.raises(grpc.RpcError) as late:
            _search(server, timeout=0.5)
        assert late.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        os.kill(server.pid, signal.SIGCONT)
        writers.wait(10)
        writers.stop()
        assert not writers.failures
        server.settle()
        writers.settle(folder.documents())


def _search(server: Running, timeout: float) -> search_service_pb2.SearchResponse:
    request = search_service_pb2.SearchRequest(collection="docs", query="sauce")
    found: search_service_pb2.SearchResponse = server.client.stubs.search.Search(request, timeout=timeout)
    return found
