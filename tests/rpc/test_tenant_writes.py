"""What a tenant sends to change a shared collection touches nothing of the others, and tells nothing of them."""

from __future__ import annotations

import base64
import importlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from poison_plugins import write_poison_distribution
from real_server import CallFailed, Client, Servers, fakes
from tenants import Tenants, with_tenants

from tamis.journal import applier
from tamis.v1 import filter_pb2, passage_pb2, value_pb2
from tamis.v1 import index_service_pb2 as pb
from tamis.wire.values import from_metadata

WORDS = fakes("words")
FUSSY = '[stages.fussy]\nplugin = "fussy-words"\n[pipelines.default]\nexpression = "fussy"\n'
DENIED = (grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")


def _document(id: str, text: str = "smooth sauce", **metadata: Any) -> passage_pb2.Document:
    return passage_pb2.Document(id=id, text=text, metadata=from_metadata(metadata))


def _patch(id: str, *removed: str, **metadata: Any) -> pb.MetadataPatch:
    return pb.MetadataPatch(document_id=id, metadata=from_metadata(metadata), removed_keys=removed)


def _exists(field: str) -> filter_pb2.Filter:
    return filter_pb2.Filter(existence=filter_pb2.Existence(field=field))


def _not(filter: filter_pb2.Filter) -> filter_pb2.Filter:
    return filter_pb2.Filter(**{"not": filter})


@asynccontextmanager
async def _shared(servers: Servers, stages: str = WORDS) -> AsyncIterator[Tenants]:
    """A collection with one document `x` of each of the tenants a and b."""
    async with with_tenants(servers, stages) as tenants:
        request = pb.CreateCollectionRequest(collection="docs", tenant_partitioned=True)
        await tenants[""].call(tenants[""].index.CreateCollection(request))
        for tenant in ("a", "b"):
            await tenants[tenant].write([_document("x", year=1)])
        yield tenants


async def _patched(client: Client, *patches: pb.MetadataPatch, **fields: str) -> pb.PatchMetadataResponse:
    request = pb.PatchMetadataRequest(collection="docs", patches=patches, **fields)
    found: pb.PatchMetadataResponse = await client.call(client.index.PatchMetadata(request))
    return found


async def _deleted(client: Client, **fields: Any) -> pb.DeleteDocumentsResponse:
    request = pb.DeleteDocumentsRequest(collection="docs", **fields)
    found: pb.DeleteDocumentsResponse = await client.call(client.index.DeleteDocuments(request))
    return found


async def _year(client: Client, id: str = "x") -> int:
    request = pb.GetDocumentRequest(collection="docs", document_id=id)
    found = (await client.call(client.index.GetDocument(request))).document
    assert set(found.metadata) <= {"year"}
    return int(found.metadata["year"].int_value)


async def test_a_patch_changes_the_tenants_own_document_and_keeps_whose_it_is(servers: Servers) -> None:
    async with _shared(servers) as tenants:
        await _patched(tenants["a"], _patch("x", year=2))
        assert [await _year(tenants[each]) for each in ("a", "b")] == [2, 1]
        await _patched(tenants[""], _patch("b/x", year=3))
        assert [await _year(tenants[each]) for each in ("a", "b")] == [2, 3]
        await tenants[""].wait()
        assert await tenants["a"].found("smooth") == {"x"}
        assert await tenants["b"].found("smooth") == {"x"}


@pytest.mark.parametrize("id", ["b/x", "../b/x", "a/x", "/b/x"])
async def test_no_id_reaches_a_document_of_another_tenant(servers: Servers, id: str) -> None:
    async with _shared(servers) as tenants:
        with pytest.raises(CallFailed) as caught:
            await _patched(tenants["a"], _patch("x", year=2), _patch(id, year=2))
        assert caught.value.code is grpc.StatusCode.NOT_FOUND
        assert caught.value.metadata == {"kind": "document", "name": id}
        assert list(caught.value.violations) == ["patches[1].document_id"]
        assert caught.value.message == f"no document named {id!r}"
        assert (await _deleted(tenants["a"], document_ids=[id])).deleted_count == 0
        assert [await _year(tenants[each]) for each in ("a", "b")] == [1, 1]


@pytest.mark.parametrize(
    "patch",
    [_patch("x", "$tenant"), _patch("x", **{"$tenant": "b"}), _patch("x", **{"$other": 1})],
    ids=["removed", "set", "another"],
)
async def test_nobody_patches_whose_a_document_is(servers: Servers, patch: pb.MetadataPatch) -> None:
    async with _shared(servers) as tenants:
        for client, id in ((tenants["a"], "x"), (tenants[""], "a/x")):
            sent = pb.MetadataPatch(document_id=id, metadata=patch.metadata, removed_keys=patch.removed_keys)
            with pytest.raises(CallFailed) as caught:
                await _patched(client, sent)
            assert list(caught.value.violations.values()) == ["begins with $: such names are reserved"]
        assert await _year(tenants["a"]) == 1


@pytest.mark.parametrize("chooses_all", [_not(_exists("none")), _not(_not(_exists("year")))])
async def test_a_deletion_of_everything_deletes_everything_of_the_tenants(
    servers: Servers, chooses_all: filter_pb2.Filter
) -> None:
    async with _shared(servers) as tenants:
        either = filter_pb2.FilterList(filters=[_exists("none"), chooses_all])
        assert (await _deleted(tenants["a"], filter=filter_pb2.Filter(**{"or": either}))).deleted_count == 1
        assert await _year(tenants["b"]) == 1
        assert (await _deleted(tenants["a"], filter=chooses_all)).deleted_count == 0


async def test_a_deletion_cannot_ask_whose_a_document_is(servers: Servers) -> None:
    async with _shared(servers) as tenants:
        equal = filter_pb2.Comparison(
            field="$tenant",
            operator=filter_pb2.COMPARISON_OPERATOR_EQUAL,
            value=value_pb2.Value(string_value="b"),
        )
        for client in (tenants["a"], tenants[""]):
            with pytest.raises(CallFailed) as caught:
                await _deleted(client, filter=filter_pb2.Filter(comparison=equal))
            assert list(caught.value.violations) == ["filter.comparison.field"]


async def test_equal_request_ids_of_tenants_are_different_requests(servers: Servers) -> None:
    async with _shared(servers) as tenants:
        first = await _patched(tenants["a"], _patch("x", year=2), request_id="same")
        other = await _patched(tenants["b"], _patch("x", year=2), request_id="same")
        assert (first.written_count, other.written_count) == (1, 1)
        assert other.sequence != first.sequence
        assert await _patched(tenants["a"], _patch("x", year=2), request_id="same") == first
        operators = await _deleted(tenants[""], document_ids=["b/x"], request_id="same")
        assert operators.deleted_count == 1
        with pytest.raises(CallFailed) as caught:
            await _patched(tenants["a"], _patch("x", year=3), request_id="same")
        assert (caught.value.code, caught.value.metadata) == (grpc.StatusCode.ALREADY_EXISTS, {"name": "same"})
        assert "a/" not in caught.value.message


@pytest.fixture
def fussy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Stages that cannot take every document."""
    write_poison_distribution(tmp_path / "site")
    monkeypatch.syspath_prepend(tmp_path / "site")
    importlib.invalidate_caches()
    monkeypatch.setattr(applier, "_PAUSES", (0, 0, 0))
    return FUSSY


async def test_dead_letters_of_a_shared_collection_are_an_operators(servers: Servers, fussy: str) -> None:
    async with _shared(servers, fussy) as tenants:
        await tenants["b"].write([_document("poison", "arsenic")])
        await tenants[""].wait()
        operator = tenants[""]
        letters = await operator.call(operator.index.ListDeadLetters(pb.ListDeadLettersRequest(collection="docs")))
        assert [each.document_id for each in letters.dead_letters] == ["b/poison"]
        for client in (tenants["a"], tenants["b"]):
            known = await client.call(client.index.GetCollection(pb.GetCollectionRequest(collection="docs")))
            assert [each.dead_letter_count for each in known.collection.indexes] == [0]
            assert [each.dead_letter_count for each in (await client.wait()).indexes] == [0]
            token = base64.urlsafe_b64encode(json.dumps(["", "", 1]).encode()).decode()
            for call in (
                client.index.ListDeadLetters(pb.ListDeadLettersRequest(collection="docs", page_token=token)),
                client.index.RetryDeadLetters(pb.RetryDeadLettersRequest(collection="docs", document_ids=["x"])),
                client.index.CompactCollection(pb.CompactCollectionRequest(collection="docs")),
            ):
                with pytest.raises(CallFailed) as caught:
                    await client.call(call)
                assert (caught.value.code, caught.value.reason) == DENIED
            with pytest.raises(CallFailed) as caught:
                request = pb.VerifyCollectionRequest(collection="docs", repair=True)
                [each async for each in client.stream(client.index.VerifyCollection(request))]
            assert (caught.value.code, caught.value.reason) == DENIED


async def test_a_tenant_looks_after_a_collection_of_its_own(servers: Servers, fussy: str) -> None:
    async with with_tenants(servers, fussy) as tenants:
        mine = tenants["a"]
        await mine.fill({"x": "smooth sauce", "poison": "arsenic"})
        letters = await mine.call(mine.index.ListDeadLetters(pb.ListDeadLettersRequest(collection="docs")))
        assert [each.document_id for each in letters.dead_letters] == ["poison"]
        retried = await mine.call(mine.index.RetryDeadLetters(pb.RetryDeadLettersRequest(collection="docs")))
        assert retried.retried_count == 1
        await mine.wait()
        compacted = await mine.call(mine.index.CompactCollection(pb.CompactCollectionRequest(collection="docs")))
        assert compacted.removed_change_count == 1
        verification = mine.index.VerifyCollection(pb.VerifyCollectionRequest(collection="docs"))
        found = [each async for each in mine.stream(verification)]
        assert [(each.stage, list(each.problems)) for each in found] == [("", []), ("fussy", [])]
        other = tenants["b"]
        for method, request in (
            ("ListDeadLetters", pb.ListDeadLettersRequest),
            ("RetryDeadLetters", pb.RetryDeadLettersRequest),
            ("CompactCollection", pb.CompactCollectionRequest),
        ):
            for name in ("docs", "a/docs"):
                with pytest.raises(CallFailed) as caught:
                    await other.call(getattr(other.index, method)(request(collection=name)))
                assert caught.value.metadata == {"kind": "collection", "name": name}
                assert "there are" not in caught.value.message


async def test_the_operator_is_told_which_document_lacks_its_tenant(servers: Servers) -> None:
    async with _shared(servers) as tenants:
        with pytest.raises(CallFailed) as caught:
            await tenants[""].write([_document("a/y"), _document("y")])
        assert list(caught.value.violations) == ["documents[1].id"]
