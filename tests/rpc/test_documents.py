"""Documents patched, deleted by filter, and written once however often they are sent."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import grpc
import pytest
from poison_plugins import FussyEmbedder, write_poison_distribution
from real_server import CallFailed, Client, Servers, fakes

from tamis.journal import applier
from tamis.v1 import filter_pb2, passage_pb2
from tamis.v1 import index_service_pb2 as pb
from tamis.wire.values import from_metadata, to_metadata

EMPTY: dict[str, Any] = {"and": {}}
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


def _document(id: str, text: str = "salt", **metadata: Any) -> passage_pb2.Document:
    return passage_pb2.Document(id=id, text=text, metadata=from_metadata(metadata))


def _patch(id: str, *removed: str, **metadata: Any) -> pb.MetadataPatch:
    return pb.MetadataPatch(document_id=id, metadata=from_metadata(metadata), removed_keys=removed)


def _year(operator: str, year: int) -> filter_pb2.Filter:
    found = filter_pb2.Filter()
    found.comparison.field = "year"
    found.comparison.operator = f"COMPARISON_OPERATOR_{operator}"
    found.comparison.value.int_value = year
    return found


async def _patched(client: Client, *patches: pb.MetadataPatch, request_id: str = "") -> pb.PatchMetadataResponse:
    request = pb.PatchMetadataRequest(collection="docs", patches=patches, request_id=request_id)
    found: pb.PatchMetadataResponse = await client.call(client.index.PatchMetadata(request))
    return found


async def _deleted(client: Client, **fields: Any) -> pb.DeleteDocumentsResponse:
    request = pb.DeleteDocumentsRequest(collection="docs", **fields)
    found: pb.DeleteDocumentsResponse = await client.call(client.index.DeleteDocuments(request))
    return found


async def _metadata(client: Client, id: str) -> dict[str, Any]:
    found = await client.index.GetDocument(pb.GetDocumentRequest(collection="docs", document_id=id))
    return to_metadata(found.document.metadata, "metadata")


async def test_a_patch_sets_and_removes_keys_and_leaves_the_rest(servers: Servers) -> None:
    async with servers.start(fakes()) as client:
        await client.create()
        await client.write([_document("a", year=2019, tags=["x"], draft=True), _document("b", year=2020)])
        found = await _patched(client, _patch("a", "draft", "nothing", year=2021, by="me"), _patch("b", year=2020))
        assert (found.written_count, found.unchanged_count, found.sequence) == (1, 1, 3)
        assert await _metadata(client, "a") == {"year": 2021, "tags": ["x"], "by": "me"}
        read = (await client.index.GetDocument(pb.GetDocumentRequest(collection="docs", document_id="a"))).document
        assert (read.text, read.version) == ("salt", 3)
        again = await _patched(client, _patch("b", year=2020))
        assert (again.written_count, again.sequence) == (0, 2)
        (written,) = await client.write([_document("a", year=2021, tags=["x"], by="me")])
        assert written.unchanged_count == 1
        (written,) = await client.write([_document("a", year=2019, tags=["x"], draft=True)])
        assert written.written_count == 1


async def test_patches_are_made_all_or_none(servers: Servers) -> None:
    async with servers.start(fakes()) as client:
        await client.create()
        await client.write([_document("a", year=2019)])
        with pytest.raises(CallFailed) as caught:
            await _patched(client, _patch("a", year=2021), _patch("b", year=2021))
        assert caught.value.code is grpc.StatusCode.NOT_FOUND
        assert [*caught.value.violations] == ["patches[1].document_id"]
        assert caught.value.metadata == {"kind": "document", "name": "b"}
        with pytest.raises(CallFailed) as caught:
            await _patched(client, _patch("a", year=2021, note="x" * 40_000), _patch("a", year=2021))
        assert [*caught.value.violations] == ["patches[1].document_id"]
        await _patched(client, _patch("a", one="x" * 40_000))
        with pytest.raises(CallFailed) as caught:
            await _patched(client, _patch("a", two="x" * 40_000))
        assert caught.value.code is grpc.StatusCode.INVALID_ARGUMENT
        assert [*caught.value.violations] == ["patches[0].metadata"]
        assert (await _metadata(client, "a")).keys() == {"year", "one"}


@pytest.mark.parametrize(
    ("patches", "field"),
    [
        ([], "patches"),
        ([_patch("")], "patches[0].document_id"),
        ([_patch("a", "year", year=1)], "patches[0].removed_keys[0]"),
        ([_patch("a"), _patch("b", "")], "patches[1].removed_keys[0]"),
        ([pb.MetadataPatch(document_id="a", metadata={"k": {}})], 'patches[0].metadata["k"]'),
    ],
)
async def test_a_patch_that_makes_no_sense_is_refused(
    servers: Servers, patches: list[pb.MetadataPatch], field: str
) -> None:
    async with servers.start(fakes()) as client:
        await client.create()
        with pytest.raises(CallFailed) as caught:
            await _patched(client, *patches)
        assert caught.value.code is grpc.StatusCode.INVALID_ARGUMENT
        assert [*caught.value.violations] == [field]


async def test_real_indexes_filter_by_what_was_patched_and_encode_no_token_anew(
    servers: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_poison_distribution(tmp_path / "site")
    monkeypatch.syspath_prepend(tmp_path / "site")
    importlib.invalidate_caches()
    monkeypatch.setattr(applier, "_PAUSES", (0, 0, 0))
    async with servers.start(REAL) as client:
        await client.create()
        await client.write([_document("a", "salt of the sea", year=2019), _document("b", "salt of the earth")])
        await client.wait()
        del FussyEmbedder.token_texts[:]
        patched = await _patched(client, _patch("a", year=2021), _patch("b", year=2018))
        await client.wait(sequence=patched.sequence)
        for pipeline in ("bm25", "dense", "(bm25 | dense) >> late"):
            assert await client.found("salt", pipeline, _year("GREATER", 2020)) == {"a"}
            assert await client.found("salt", pipeline, _year("EQUAL", 2018)) == {"b"}
            assert await client.found("salt", pipeline, _year("EQUAL", 2019)) == set()
        assert FussyEmbedder.token_texts == []


async def test_everything_that_a_filter_chooses_is_deleted_and_nothing_else(servers: Servers) -> None:
    async with servers.start(fakes()) as client:
        await client.create()
        documents = [_document(f"d{each:04}", year=2000 + each % 4) for each in range(2_400)]
        await client.write(*(documents[start : start + 800] for start in (0, 800, 1_600)))
        found = await _deleted(client, filter=_year("LESS", 2002))
        assert (found.deleted_count, found.sequence) == (1_200, 3_600)
        collection = (await client.index.GetCollection(pb.GetCollectionRequest(collection="docs"))).collection
        assert collection.document_count == 1_200
        assert (await _deleted(client, filter=_year("LESS", 2002))).sequence == 0


@pytest.mark.parametrize(
    ("filter", "field"),
    [
        (filter_pb2.Filter(), "filter"),
        (filter_pb2.Filter(**{"and": {}}), "filter"),
        (filter_pb2.Filter(**{"not": {"or": {}}}), "filter.not"),
        (filter_pb2.Filter(**{"not": {"membership": {"field": "k"}}}), "filter.not"),
        (
            filter_pb2.Filter(**{"or": {"filters": [{"existence": {"field": "k"}}, {"and": {}}]}}),
            "filter.or.filters[1]",
        ),
    ],
)
async def test_nobody_empties_a_collection_by_accident(servers: Servers, filter: filter_pb2.Filter, field: str) -> None:
    async with servers.start(fakes()) as client:
        await client.create()
        await client.write([_document("a", k=1)])
        with pytest.raises(CallFailed) as caught:
            await _deleted(client, filter=filter)
        assert [*caught.value.violations] == [field]
        for fields in ({}, {"filter": _year("LESS", 1), "document_ids": ["a"]}):
            with pytest.raises(CallFailed) as caught:
                await _deleted(client, **fields)
            assert caught.value.code is grpc.StatusCode.INVALID_ARGUMENT
        assert await _metadata(client, "a") == {"k": 1}


async def test_a_request_sent_again_is_answered_as_before_also_after_a_restart(servers: Servers) -> None:
    written = pb.WriteDocumentsRequest(collection="docs", documents=[_document("a", year=2019)], request_id="w:1")
    async with servers.start(fakes()) as client:
        await client.create()
        (first,) = [each async for each in client.stream(client.index.WriteDocuments(iter([written])))]
        patched = await _patched(client, _patch("a", year=2020), request_id="p.1")
        deleted = await _deleted(client, document_ids=["a", "b"], request_id="d-1")
    async with servers.start(fakes()) as client:
        await client.write([_document("a", year=1999)])
        again = [each async for each in client.stream(client.index.WriteDocuments(iter([written, written])))]
        assert [(each.sequence, each.written_count) for each in again] == [(first.sequence, 1)] * 2
        assert await _patched(client, _patch("a", year=2020), request_id="p.1") == patched
        assert await _deleted(client, document_ids=["a", "b"], request_id="d-1") == deleted
        assert await _metadata(client, "a") == {"year": 1999}
        with pytest.raises(CallFailed) as caught:
            await _deleted(client, document_ids=["a"], request_id="w:1")
        assert (caught.value.code, caught.value.reason) == (grpc.StatusCode.ALREADY_EXISTS, "ALREADY_EXISTS")
        for wrong in ("a b", "x" * 129, "ä"):
            with pytest.raises(CallFailed) as caught:
                await _deleted(client, document_ids=["a"], request_id=wrong)
            assert [*caught.value.violations] == ["request_id"]
