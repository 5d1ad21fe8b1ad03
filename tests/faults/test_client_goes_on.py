"""The server is killed under a client that writes; the client goes on, and each batch is written once."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from fake_plugins import write_distribution

from tamis.client import Client
from tamis.v1 import index_service_pb2 as pb
from tamis.v1 import passage_pb2

CONFIG = """
[stages.words]
plugin = "fake-memory"
[pipelines.default]
expression = "words"
"""
COUNT, BATCH = 400, 10


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _serve(folder: Path, address: str) -> subprocess.Popen[str]:
    """Returns once it listens."""
    command = [sys.executable, "-m", "tamis.cli.app", "serve", "--config", folder / "tamis.toml"]
    process = subprocess.Popen(
        [*command, "--listen", address, "--data-directory", folder / "data"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": str(folder / "site")},
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith("listening on ")
    return process


def test_a_client_goes_on_where_a_killed_server_was(tmp_path: Path) -> None:
    write_distribution(tmp_path / "site")
    (tmp_path / "tamis.toml").write_text(CONFIG)
    address = f"127.0.0.1:{_free_port()}"
    processes = [_serve(tmp_path, address)]

    def documents() -> Iterator[passage_pb2.Document]:
        for number in range(COUNT):
            if number == COUNT // 2:  # sent while the server is down
                processes[0].send_signal(signal.SIGKILL)
                processes[0].wait()
                processes.append(_serve(tmp_path, address))
            yield passage_pb2.Document(id=f"d{number:03}", text=f"text {number}")

    try:
        with Client(address) as client:
            client.stubs.index.CreateCollection(pb.CreateCollectionRequest(collection="docs"))
            written = list(client.stream_write("docs", documents(), batch_size=BATCH))
            assert [each.batch for each in written] == list(range(1, COUNT // BATCH + 1))
            assert [each.written_count for each in written] == [BATCH] * (COUNT // BATCH)
            assert [each.sequence for each in written] == list(range(BATCH, COUNT + 1, BATCH))
            found = client.stubs.index.GetCollection(pb.GetCollectionRequest(collection="docs")).collection
            assert (found.document_count, found.last_sequence) == (COUNT, COUNT)
    finally:
        for process in processes:
            process.kill()
            process.wait()
