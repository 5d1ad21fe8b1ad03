"""Each bad call of IndexService gets the right status and the field to blame, never INTERNAL; the next call works."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any, TypeAlias

import grpc
import pytest
from google.protobuf.message import Message
from real_server import CallFailed, Client, Servers, fakes

from tamis.v1 import filter_pb2, passage_pb2, value_pb2
from tamis.v1 import index_service_pb2 as pb

Case: TypeAlias = tuple[str, Message, str]
_LONG = "x" * 129
_FAR = 2**31 - 1


def _token(value: Any) -> str:
    return base64.urlsafe_b64encode((value if isinstance(value, str) else json.dumps(value)).encode()).decode()


def _filter(**value: Any) -> filter_pb2.Filter:
    comparison = filter_pb2.Comparison(
        field="year", operator=filter_pb2.COMPARISON_OPERATOR_EQUAL, value=value_pb2.Value(**value)
    )
    return filter_pb2.Filter(comparison=comparison)


def _patch(document_id: str = "a", *removed: str, **set: int) -> pb.MetadataPatch:
    values = {key: value_pb2.Value(int_value=value) for key, value in set.items()}
    return pb.MetadataPatch(document_id=document_id, metadata=values, removed_keys=removed)


def _patches(*patches: pb.MetadataPatch, **fields: str) -> pb.PatchMetadataRequest:
    return pb.PatchMetadataRequest(collection="docs", patches=patches, **fields)


def _deletion(**fields: Any) -> pb.DeleteDocumentsRequest:
    return pb.DeleteDocumentsRequest(collection="docs", **fields)


def _letters(**fields: Any) -> pb.ListDeadLettersRequest:
    return pb.ListDeadLettersRequest(collection="docs", **fields)


def _retry(*ids: str) -> pb.RetryDeadLettersRequest:
    return pb.RetryDeadLettersRequest(collection="docs", document_ids=ids)


_EMPTY_LISTS = [
    filter_pb2.Filter(**{kind: filter_pb2.FilterList()})  # type: ignore[arg-type]
    for kind in ("and", "or")
]
INVALID: list[Case] = [
    ("DeleteDocuments", _deletion(), "document_ids"),
    ("DeleteDocuments", _deletion(document_ids=[str(each) for each in range(1_001)]), "document_ids"),
    ("DeleteDocuments", _deletion(document_ids=["a", ""]), "document_ids[1]"),
    ("DeleteDocuments", _deletion(document_ids=["a", "b", "a"]), "document_ids[2]"),
    ("DeleteDocuments", _deletion(document_ids=["x" * 513]), "document_ids[0]"),
    ("DeleteDocuments", _deletion(document_ids=["a"], filter=_filter(int_value=1)), "filter"),
    ("DeleteDocuments", _deletion(filter=filter_pb2.Filter()), "filter"),
    ("DeleteDocuments", _deletion(filter=_filter()), "filter.comparison.value"),
    *(("DeleteDocuments", _deletion(filter=each), "filter") for each in _EMPTY_LISTS),
    ("DeleteDocuments", _deletion(filter=filter_pb2.Filter(**{"not": _EMPTY_LISTS[1]})), "filter.not"),
    ("DeleteDocuments", _deletion(document_ids=["a"], request_id=_LONG), "request_id"),
    ("DeleteDocuments", _deletion(document_ids=["a"], request_id="a/b"), "request_id"),
    ("DeleteDocuments", _deletion(document_ids=["a"], request_id="a\n"), "request_id"),
    ("PatchMetadata", _patches(), "patches"),
    ("PatchMetadata", _patches(*(_patch(str(each)) for each in range(1_001))), "patches"),
    ("PatchMetadata", _patches(_patch("a", x=1), _patch("a", x=2)), "patches[1].document_id"),
    ("PatchMetadata", _patches(_patch("")), "patches[0].document_id"),
    ("PatchMetadata", _patches(_patch("a\x00")), "patches[0].document_id"),
    ("PatchMetadata", _patches(_patch("a", "x", x=1)), "patches[0].removed_keys[0]"),
    ("PatchMetadata", _patches(_patch("a", "x", "")), "patches[0].removed_keys[1]"),
    ("PatchMetadata", _patches(_patch("a", "$tenant")), "patches[0].removed_keys[0]"),
    ("PatchMetadata", _patches(_patch("a", **{"$tenant": 1})), 'patches[0].metadata["$tenant"]'),
    ("PatchMetadata", _patches(_patch("a", **{"": 1})), "patches[0].metadata"),
    ("PatchMetadata", _patches(_patch("a", x=1), request_id="ü"), "request_id"),
    (
        "PatchMetadata",
        _patches(pb.MetadataPatch(document_id="a", metadata={"x": value_pb2.Value()})),
        'patches[0].metadata["x"]',
    ),
    (
        "PatchMetadata",
        _patches(pb.MetadataPatch(document_id="a", metadata={"x": value_pb2.Value(string_value="x" * 70_000)})),
        "patches[0].metadata",
    ),
    ("ListDeadLetters", _letters(page_size=-1), "page_size"),
    ("ListDeadLetters", _letters(page_token="?"), "page_token"),
    ("ListDeadLetters", _letters(page_token=_token("x")), "page_token"),
    ("ListDeadLetters", _letters(page_token=_token("[" * 100_000)), "page_token"),
    ("ListDeadLetters", _letters(page_token=_token(["a", "b"])), "page_token"),
    ("ListDeadLetters", _letters(page_token=_token(["a", "b", True])), "page_token"),
    ("ListDeadLetters", _letters(page_token=_token(["a", "b", 10**30])), "page_token"),
    ("ListDeadLetters", _letters(page_token=_token(["a", "\ud800", 1])), "page_token"),
    ("RetryDeadLetters", _retry(*map(str, range(1_001))), "document_ids"),
    ("RetryDeadLetters", _retry("a", "a"), "document_ids[1]"),
    ("RetryDeadLetters", _retry(""), "document_ids[0]"),
    ("SwitchGeneration", pb.SwitchGenerationRequest(collection="docs"), "generation"),
    ("SwitchGeneration", pb.SwitchGenerationRequest(collection="docs", generation=-1), "generation"),
    ("DropGeneration", pb.DropGenerationRequest(collection="docs"), "generation"),
    ("WaitIndexed", pb.WaitIndexedRequest(collection="docs", sequence=2**63 - 1), "sequence"),
    ("WaitIndexed", pb.WaitIndexedRequest(collection="docs", sequence=-(2**63)), "sequence"),
    ("CreateCollection", pb.CreateCollectionRequest(collection="new", language="xx"), "language"),
    ("CreateCollection", pb.CreateCollectionRequest(collection="a/new"), "collection"),
    ("ListCollections", pb.ListCollectionsRequest(page_token=_token("a\x00b")), "page_token"),
    ("ListDocuments", pb.ListDocumentsRequest(collection="docs", page_token=_token("a\x00b")), "page_token"),
    ("GetDocument", pb.GetDocumentRequest(collection="docs", document_id="x" * 513), "document_id"),
]
MISSING: list[Case] = [
    ("PatchMetadata", _patches(_patch("a", x=1), _patch("none", x=1)), "patches[1].document_id"),
    ("SwitchGeneration", pb.SwitchGenerationRequest(collection="docs", generation=_FAR), "generation"),
    ("DropGeneration", pb.DropGenerationRequest(collection="docs", generation=2), "generation"),
]
_IN_A_COLLECTION = (
    pb.GetCollectionRequest,
    pb.DeleteCollectionRequest,
    pb.ListDocumentsRequest,
    pb.BuildGenerationRequest,
    pb.CompactCollectionRequest,
    pb.VerifyCollectionRequest,
    pb.WaitIndexedRequest,
    pb.ListDeadLettersRequest,
    pb.RetryDeadLettersRequest,
)


def _of(kind: Callable[..., Message], **fields: Any) -> tuple[str, Message]:
    return kind.__name__.removesuffix("Request"), kind(**fields)


async def _failure(client: Client, method: str, request: Message) -> CallFailed:
    with pytest.raises(CallFailed) as caught:
        call = getattr(client.index, method)(request)
        if isinstance(call, grpc.aio.UnaryStreamCall):
            [each async for each in client.stream(call)]
        else:
            await client.call(call)
    return caught.value


@pytest.mark.parametrize(
    ("code", "cases"), [(grpc.StatusCode.INVALID_ARGUMENT, INVALID), (grpc.StatusCode.NOT_FOUND, MISSING)]
)
async def test_bad_calls_are_refused_with_the_field_to_blame(
    servers: Servers, code: grpc.StatusCode, cases: list[Case]
) -> None:
    async with servers.start(fakes()) as client:
        await client.fill({"a": "smooth sauce"})
        for method, request, field in cases:
            failure = await _failure(client, method, request)
            assert (failure.code, list(failure.violations)) == (code, [field]), (method, failure)
        assert await client.found("sauce") == {"a"}


async def test_calls_about_a_collection_say_when_there_is_none_and_when_its_name_is_wrong(servers: Servers) -> None:
    async with servers.start(fakes()) as client:
        for kind in _IN_A_COLLECTION:
            for name, code in (
                ("", grpc.StatusCode.INVALID_ARGUMENT),
                ("No!", grpc.StatusCode.INVALID_ARGUMENT),
                ("a/b/c", grpc.StatusCode.INVALID_ARGUMENT),
                ("nowhere", grpc.StatusCode.NOT_FOUND),
                ("a/b", grpc.StatusCode.NOT_FOUND),
            ):
                failure = await _failure(client, *_of(kind, collection=name))
                assert (failure.code, list(failure.violations)) == (code, ["collection"]), (kind, name)


async def test_what_a_collection_cannot_do_now_is_a_failed_precondition(servers: Servers) -> None:
    async with servers.start(fakes()) as client:
        await client.fill({"a": "smooth sauce"})
        failure = await _failure(client, *_of(pb.DropGenerationRequest, collection="docs", generation=1))
        assert (failure.code, failure.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "FAILED_PRECONDITION")


async def test_a_request_id_of_another_request_is_refused_by_its_name(servers: Servers) -> None:
    async with servers.start(fakes()) as client:
        await client.fill({"a": "smooth sauce", "b": "rough gravy"})
        await client.call(client.index.DeleteDocuments(_deletion(document_ids=["a"], request_id="one")))
        for method, request in (
            ("DeleteDocuments", _deletion(document_ids=["b"], request_id="one")),
            ("DeleteDocuments", _deletion(filter=_filter(int_value=1), request_id="one")),
            ("PatchMetadata", _patches(_patch("b", x=1), request_id="one")),
        ):
            failure = await _failure(client, method, request)
            assert (failure.code, failure.metadata) == (grpc.StatusCode.ALREADY_EXISTS, {"name": "one"})
        written = pb.WriteDocumentsRequest(
            collection="docs", documents=[passage_pb2.Document(id="c", text="text")], request_id="one"
        )
        with pytest.raises(CallFailed) as caught:
            [each async for each in client.stream(client.index.WriteDocuments(iter([written])))]
        assert caught.value.code is grpc.StatusCode.ALREADY_EXISTS
