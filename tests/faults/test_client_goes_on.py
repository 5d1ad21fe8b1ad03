"""The server is killed under a client that writes; the client goes on, and each batch is written once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from faults.servers import Folder
from held_port import HeldPort

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


def test_a_client_goes_on_where_a_killed_server_was(tmp_path: Path) -> None:
    folder = Folder(tmp_path, config=CONFIG)
    port = HeldPort()
    address = port.address
    with ExitStack() as servers:
        first = servers.enter_context(folder.running(listen=address))

        def documents() -> Iterator[passage_pb2.Document]:
            for number in range(COUNT):
                if number == COUNT // 2:  # sent while the server is down
                    first.kill()
                    servers.enter_context(folder.running(listen=address))
                yield passage_pb2.Document(id=f"d{number:03}", text=f"text {number}")

        with Client(address) as client:
            client.stubs.index.CreateCollection(pb.CreateCollectionRequest(collection="docs"))
            written = list(client.stream_write("docs", documents(), batch_size=BATCH))
            assert [each.batch for each in written] == list(range(1, COUNT // BATCH + 1))
            assert [each.written_count for each in written] == [BATCH] * (COUNT // BATCH)
            assert [each.sequence for each in written] == list(range(BATCH, COUNT + 1, BATCH))
            found = client.stubs.index.GetCollection(pb.GetCollectionRequest(collection="docs")).collection
            assert (found.document_count, found.last_sequence) == (COUNT, COUNT)
