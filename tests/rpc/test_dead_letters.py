"""Documents that an index cannot take hold up nobody, are listed with the reason, and can be tried again."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from poison_plugins import cure, write_poison_distribution
from real_server import CallFailed, Client, Servers

from tamis.journal import applier
from tamis.v1 import index_service_pb2 as pb
from tamis.v1 import passage_pb2

FUSSY = """
[stages.fussy]
plugin = "fussy-words"
[stages.again]
plugin = "fussy-words"
[pipelines.default]
expression = "fussy"
"""
REAL = """
[models.hash]
plugin = "fussy-hash"
[stages.bm25]
plugin = "tantivy"
[stages.dense]
plugin = "qdrant"
embedder = "hash"
[stages.late]
plugin = "late-interaction"
embedder = "hash"
store = "int8"
[pipelines.default]
expression = "(bm25 | dense) >> late"
"""
NAN = "the embedder makes {} of it that {} not finite"


@pytest.fixture(autouse=True)
def _the_fussy_plugins_are_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    write_poison_distribution(tmp_path / "site")
    monkeypatch.syspath_prepend(tmp_path / "site")
    importlib.invalidate_caches()
    monkeypatch.setattr(applier, "_PAUSES", (0, 0, 0))
    cure(False)
    yield
    cure(False)


async def _letters(client: Client, **fields: int | str) -> pb.ListDeadLettersResponse:
    request = pb.ListDeadLettersRequest(collection="docs", **fields)  # type: ignore[arg-type]
    found: pb.ListDeadLettersResponse = await client.call(client.index.ListDeadLetters(request))
    return found


async def _counts(client: Client) -> dict[str, int]:
    found = await client.index.GetCollection(pb.GetCollectionRequest(collection="docs"))
    return {each.stage: each.dead_letter_count for each in found.collection.indexes}


async def test_dead_letters_are_listed_by_stage_and_document_and_counted(servers: Servers) -> None:
    async with servers.start(FUSSY) as client:
        await client.fill({"c": "arsenic", "a": "salt", "b": "cyanide"})
        assert await client.found("anything") == {"a"}
        first = await _letters(client, page_size=3)
        rest = await _letters(client, page_token=first.next_page_token)
        found = [*first.dead_letters, *rest.dead_letters]
        assert [(each.stage, each.document_id, each.document_version) for each in found] == [
            ("again", "b", 3),
            ("again", "c", 1),
            ("fussy", "b", 3),
            ("fussy", "c", 1),
        ]
        assert {(each.generation, each.reason) for each in found} == {(1, "the index failed with LookupError")}
        assert all(each.create_time.seconds for each in found)
        assert await _counts(client) == {"fussy": 2, "again": 2}
        states = (await client.wait()).indexes
        assert all(each.lag_count == 0 and not each.problem and each.dead_letter_count == 2 for each in states)


async def test_a_dead_letter_stays_over_a_restart_and_vanishes_when_the_document_is_mended_or_deleted(
    servers: Servers,
) -> None:
    async with servers.start(REAL) as client:
        await client.fill({"a": "arsenic", "b": "arsenic", "c": "salt"})
        assert await _counts(client) == {"bm25": 0, "dense": 2, "late": 2}
    async with servers.start(REAL) as client:
        await client.wait()
        assert await _counts(client) == {"bm25": 0, "dense": 2, "late": 2}
        await client.write([passage_pb2.Document(id="a", text="pepper")])
        await client.index.DeleteDocuments(pb.DeleteDocumentsRequest(collection="docs", document_ids=["b"]))
        await client.wait()
        assert await _counts(client) == {"bm25": 0, "dense": 0, "late": 0}
        assert await client.found("pepper", "dense") == {"a", "c"}


@pytest.mark.parametrize(
    ("poison", "reasons"),
    [
        ("arsenic", {NAN.format("a vector", "is"), NAN.format("vectors", "are")}),
        ("cyanide", {"the index failed with RuntimeError"}),
    ],
)
async def test_the_real_indexes_give_up_one_document_and_find_all_others(
    servers: Servers, poison: str, reasons: set[str]
) -> None:
    """A token without an end is no poison to any of them."""
    texts = {f"d{each:02}": f"salt number {each}" for each in range(30)}
    async with servers.start(REAL) as client:
        await client.fill({**texts, "d17": "salt and sugar", "long": "é" * (1 << 19)})
        await client.write([passage_pb2.Document(id="d17", text=f"salt and {poison}")])
        await client.wait()
        letters = (await _letters(client)).dead_letters
        assert {(each.stage, each.document_id) for each in letters} == {("dense", "d17"), ("late", "d17")}
        assert {each.reason for each in letters} == reasons
        assert await client.found("salt", "bm25") == set(texts)
        assert await client.found("salt", "dense") == {*texts, "long"} - {"d17"}


async def test_what_is_tried_again_is_found_once_the_index_can_take_it(servers: Servers) -> None:
    async with servers.start(FUSSY) as client:
        await client.fill({"a": "arsenic", "b": "cyanide", "c": "salt"})
        retry = client.index.RetryDeadLetters
        failed = await retry(pb.RetryDeadLettersRequest(collection="docs"))
        assert (failed.retried_count, failed.sequence) == (2, 5)
        await client.wait(sequence=failed.sequence)
        assert [each.document_version for each in (await _letters(client)).dead_letters] == [4, 5, 4, 5]
        cure(True)
        one = await retry(pb.RetryDeadLettersRequest(collection="docs", document_ids=["a", "c", "nobody"]))
        assert (one.retried_count, one.sequence) == (1, 6)
        await client.wait(sequence=one.sequence)
        assert await _counts(client) == {"fussy": 1, "again": 1}
        assert (await retry(pb.RetryDeadLettersRequest(collection="docs"))).retried_count == 1
        await client.wait()
        assert await client.found("anything") == {"a", "b", "c"}
        nothing = await retry(pb.RetryDeadLettersRequest(collection="docs"))
        assert (nothing.retried_count, nothing.sequence) == (0, 0)
        read = await client.index.GetDocument(pb.GetDocumentRequest(collection="docs", document_id="b"))
        assert (read.document.text, read.document.version) == ("cyanide", 7)


async def test_requests_about_dead_letters_are_checked(servers: Servers) -> None:
    async with servers.start(FUSSY) as client:
        await client.create()
        nobodys = pb.ListDeadLettersRequest(collection="nowhere")
        forged = pb.ListDeadLettersRequest(collection="docs", page_token="WzEsMiwzXQ==")
        twice = pb.RetryDeadLettersRequest(collection="docs", document_ids=["a", "a"])
        for awaited, code in (
            (client.index.ListDeadLetters(nobodys), grpc.StatusCode.NOT_FOUND),
            (client.index.ListDeadLetters(forged), grpc.StatusCode.INVALID_ARGUMENT),
            (client.index.RetryDeadLetters(twice), grpc.StatusCode.INVALID_ARGUMENT),
        ):
            with pytest.raises(CallFailed) as caught:
                await client.call(awaited)
            assert caught.value.code is code
