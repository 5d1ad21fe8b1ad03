"""What a Qdrant server may be instead, and what its answers mean."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import grpc
import pytest
from qdrant_client import grpc as api
from qdrant_wire import QdrantWire

from tamis.errors import ConfigurationError, Unavailable
from tamis.testing.contract import opened
from tamis.testing.contract.collections import Collection, passage
from tamis.testing.embedders import HashEmbedder
from tamis_qdrant import QdrantRetriever, QdrantSparse
from tamis_qdrant.address import Address
from tamis_qdrant.server import marks, messages
from tamis_qdrant.server.connection import Connection


@pytest.fixture
def wire() -> Iterator[QdrantWire]:
    started = QdrantWire().start()
    yield started
    started.stop()


@asynccontextmanager
async def collection(url: str, directory: Path, **settings: object) -> AsyncIterator[Collection]:
    embedder = HashEmbedder(HashEmbedder.Settings())
    async with opened(QdrantRetriever(QdrantRetriever.Settings(embedder=embedder, url=url, **settings))) as retriever:
        index = await retriever.open_index("c", 1, directory=directory)
        yield Collection(retriever, "c", index, await index.checkpoint())


async def test_a_rest_port_given_by_mistake_is_told_at_the_start(tmp_path: Path) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(24)
        head = b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/html\r\ncontent-length: 13\r\n\r\n"
        writer.write(head + b"<html></html>")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(ConfigurationError, match="does not speak gRPC; Qdrant's gRPC port is 6334"):
            async with collection(f"http://127.0.0.1:{port}", tmp_path / "index"):
                pass


async def test_a_grpc_server_that_is_no_qdrant_is_told_in_its_code_alone(tmp_path: Path) -> None:
    server = grpc.aio.server()
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    with pytest.raises(Unavailable, match="answers UNIMPLEMENTED"):
        async with collection(f"127.0.0.1:{port}", tmp_path / "index"):
            pass
    await server.stop(None)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes its certificate with openssl")
async def test_tls_is_spoken_and_the_certificate_is_checked(tmp_path: Path) -> None:
    credentials, certificate = _certificate(tmp_path)
    wire = QdrantWire(key="secret", credentials=credentials).start()
    try:
        async with collection(wire.url, tmp_path / "i", api_key="secret", ca_file=certificate) as it:
            await it.write("something")
            assert await it.found("something") == ["0/0"]
        with pytest.raises(Unavailable, match="cannot be reached"):
            async with collection(wire.url, tmp_path / "i", api_key="secret"):
                pass
    finally:
        wire.stop()


async def test_the_settings_of_a_cluster_reach_the_server(wire: QdrantWire, tmp_path: Path) -> None:
    settings = {"shard_number": 3, "replication_factor": 2, "write_consistency": 2, "on_disk": True}
    async with collection(
        wire.url, tmp_path / "i", quantization="scalar", read_consistency="majority", prefix="ours.", **settings
    ) as it:
        await it.write("something")
        await it.found("something")
    (name, held), *_ = wire.collections.items()
    made = held.made
    assert name.startswith("ours.c-")
    assert (made.shard_number, made.replication_factor, made.write_consistency_factor) == (3, 2, 2)
    assert made.vectors_config.params_map.map["dense"].on_disk
    assert made.quantization_config.scalar.type == api.QuantizationType.Int8
    (request,) = wire.calls("QueryBatch")
    assert request.message.read_consistency.type == api.ReadConsistencyType.Majority


async def test_every_write_waits_and_is_ordered_strongly_and_the_checkpoint_comes_last(
    wire: QdrantWire, tmp_path: Path
) -> None:
    async with collection(wire.url, tmp_path / "i") as it:
        wire.requests.clear()
        await it.put(("a", [passage("a", "one")]), ("b", [passage("b", "two")]))
    writes = wire.calls("DeletePoints", "Upsert")
    assert [each.method for each in writes] == ["Upsert", "DeletePoints", "Upsert"]
    assert all(each.message.wait for each in writes)
    assert {each.message.ordering.type for each in writes} == {api.WriteOrderingType.Strong}
    (mark,) = writes[-1].message.points
    assert (mark.id, mark.payload["checkpoint"].integer_value) == (marks.checkpoint_id(0), 2)


async def test_a_long_batch_is_replaced_a_few_documents_at_a_time(wire: QdrantWire, tmp_path: Path) -> None:
    async with collection(wire.url, tmp_path / "i") as it:
        documents = [(f"d{n}", [passage(f"d{n}", f"word{n}")]) for n in range(150)]
        await it.put(*documents)
        wire.requests.clear()
        await it.put(("d7", ()), *documents[10:])
        assert [len(each.message.points.filter.should) for each in wire.calls("DeletePoints")] == [64, 64, 13]
        assert len(wire.calls("Upsert")) == 4
        assert set(await it.held()) == {f"d{n}/0" for n in range(150) if n != 7}


async def test_filters_are_answered_by_indexed_fields(wire: QdrantWire, tmp_path: Path) -> None:
    async with collection(wire.url, tmp_path / "i"):
        (held,) = wire.collections.values()
        assert held.indexed == {"d", "t", "v"}


@pytest.mark.parametrize("vector", ["dense", "other"])
async def test_an_unfinished_collection_is_finished_or_made_again(
    wire: QdrantWire, tmp_path: Path, vector: str
) -> None:
    wire.failing["CreateFieldIndex"] = grpc.StatusCode.UNAVAILABLE
    with pytest.raises(Unavailable):
        async with collection(wire.url, tmp_path / "i"):
            pass
    wire.failing.clear()
    async with collection(wire.url, tmp_path / "i", vector=vector) as it:
        assert it.sequence == 0
        await it.write("something")
        assert await it.found("something") == ["0/0"]
    assert len(wire.calls("Create")) == (1 if vector == "dense" else 2)


def test_large_batches_are_sent_in_parts_and_nothing_is_left_out() -> None:
    large = [passage(f"d{n}", "x", metadata={f"k{m}": m for m in range(200)}) for n in range(200)]
    points = [messages.point(replace(each, id=f"{n}"), {}) for n, each in enumerate(large)]
    parts = list(messages.batches(points))
    assert [point for part in parts for point in part] == points
    assert len(parts) > 1
    assert all(sum(each.ByteSize() for each in part) <= 4 << 20 for part in parts)


async def test_ids_come_in_pages_and_each_once(wire: QdrantWire, tmp_path: Path) -> None:
    async with collection(wire.url, tmp_path / "i") as it:
        await it.put(("d", [replace(passage("d", f"word{n}"), id=f"d/{n}") for n in range(2_100)]))
        wire.requests.clear()
        assert set(await it.held()) == {f"d/{n}" for n in range(2_100)}
        assert len(wire.calls("Scroll")) == 3


async def test_a_collection_dropped_while_the_server_is_away_is_deleted_once_it_is_back(
    wire: QdrantWire, tmp_path: Path
) -> None:
    async with collection(wire.url, tmp_path / "i") as it:
        wire.stop()
        await it.index.drop()
        assert wire.collections
        wire.start()
        await asyncio.to_thread(wire.wait_answered, "Delete")
        assert wire.collections == {}


async def test_a_collection_opened_again_is_not_deleted_any_more(wire: QdrantWire, tmp_path: Path) -> None:
    async with collection(wire.url, tmp_path / "i") as it:
        await it.write("something")
        wire.failing["Delete"] = grpc.StatusCode.UNAVAILABLE
        await it.index.drop()
        await asyncio.to_thread(wire.wait_for, "Delete", 2)
        index = await it.retriever.open_index("c", 1, directory=tmp_path / "i")
        wire.failing.clear()
        assert [each async for each in index.ids()] == [("0/0", 1)]
    assert wire.collections


async def test_the_language_of_a_collection_counts_for_its_words_alone(wire: QdrantWire, tmp_path: Path) -> None:
    embedder = HashEmbedder(HashEmbedder.Settings())
    for words in (False, True):
        host = QdrantRetriever(QdrantRetriever.Settings(embedder=embedder, url=wire.url))
        stage = QdrantSparse(QdrantSparse.Settings(index=host)) if words else host
        async with opened(stage):
            directory = tmp_path / str(words)
            index = await host.open_index("c", 1, directory=directory, language="en")
            await index.close()
            if words:
                with pytest.raises(ConfigurationError, match="made by another"):
                    await host.open_index("c", 1, directory=directory, language="de")
            else:
                await host.open_index("c", 1, directory=directory, language="de")


async def test_no_connection_is_made_before_it_is_needed() -> None:
    connection = Connection(Address.parse("localhost:1"), "")
    await connection.close()


async def test_a_write_that_the_server_has_not_applied_does_not_move_the_checkpoint(
    wire: QdrantWire, tmp_path: Path
) -> None:
    async with collection(wire.url, tmp_path / "i") as it:
        await it.write("something")
        wire.update_status = api.UpdateStatus.Acknowledged
        with pytest.raises(Unavailable, match="has not applied a write"):
            await it.put(("more", [passage("more", "more")]))
        wire.update_status = None
        assert await it.index.checkpoint() == 1


async def test_a_server_that_does_not_answer_is_unavailable_and_the_write_is_given_up_there_too(
    wire: QdrantWire, tmp_path: Path
) -> None:
    async with collection(wire.url, tmp_path / "i", write_seconds=0.2, connect_seconds=0.2) as it:
        with wire.hold():
            with pytest.raises(Unavailable, match="does not answer in time"):
                await it.put(("a", [passage("a", "one")]))
            with pytest.raises(Unavailable, match="does not answer in time"):
                await it.index.checkpoint()
            await asyncio.to_thread(wire.wait_cancelled, "Scroll")


def _certificate(folder: Path) -> tuple[grpc.ServerCredentials, Path]:
    """For `localhost`, signed by itself."""
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    new = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject]
    subprocess.run([*new, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
    return grpc.ssl_server_credentials([(key.read_bytes(), certificate.read_bytes())]), certificate
