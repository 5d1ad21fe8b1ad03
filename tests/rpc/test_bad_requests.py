"""Each bad input gets the right status, one ErrorInfo and the field to blame; the next request works."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from real_server import CallFailed, Client, Servers, fakes

from tamis.v1 import catalog_service_pb2, filter_pb2, index_service_pb2, passage_pb2, search_service_pb2, value_pb2

INVALID = grpc.StatusCode.INVALID_ARGUMENT
NOT_FOUND = grpc.StatusCode.NOT_FOUND
Value = value_pb2.Value
pb = search_service_pb2


def _compare(field: str = "f", operator: Any = "COMPARISON_OPERATOR_EQUAL", **value: Any) -> filter_pb2.Filter:
    comparison = filter_pb2.Comparison(field=field, operator=operator, value=Value(**value))
    return filter_pb2.Filter(comparison=comparison)


def _nested(depth: int) -> filter_pb2.Filter:
    found = _compare(int_value=1)
    for _ in range(depth):
        found = filter_pb2.Filter(**{"not": found})
    return found


def _in(count: int) -> filter_pb2.Filter:
    membership = filter_pb2.Membership(field="f", values=[Value(int_value=1)] * count)
    return filter_pb2.Filter(membership=membership)


def _any(filters: Sequence[filter_pb2.Filter]) -> filter_pb2.Filter:
    return filter_pb2.Filter(**{"or": filter_pb2.FilterList(filters=filters)})


SEARCHES: list[tuple[dict[str, Any], grpc.StatusCode, str]] = [
    ({"query": ""}, INVALID, "query"),
    ({"query": " \n\t"}, INVALID, "query"),
    ({"query": "x" * 10_001}, INVALID, "query"),
    ({"collection": ""}, INVALID, "collection"),
    ({"collection": "No such name"}, INVALID, "collection"),
    ({"collection": "nowhere"}, NOT_FOUND, "collection"),
    ({"pipeline": "nothing"}, NOT_FOUND, "pipeline"),
    ({"pipeline": "words >> nothing"}, INVALID, "pipeline"),
    ({"pipeline": "words >>"}, INVALID, "pipeline"),
    ({"pipeline": "(" * 5_000}, INVALID, "pipeline"),
    ({"pipeline": "rank-only"}, INVALID, "pipeline"),
    ({"page_size": -1}, INVALID, "page_size"),
    ({"document_hit_limit": -1}, INVALID, "document_hit_limit"),
    ({"page_token": "?"}, INVALID, "page_token"),
    ({"page_token": "AAAA"}, INVALID, "page_token"),
    ({"page_token": "A" * 16}, INVALID, "page_token"),
    ({"score_thresholds": [pb.ScoreThreshold()]}, INVALID, "score_thresholds[0].score_kind"),
    ({"score_thresholds": [pb.ScoreThreshold(score_kind=99)]}, INVALID, "score_thresholds[0].score_kind"),
    ({"score_thresholds": [pb.ScoreThreshold(score_kind=4)] * 2}, INVALID, "score_thresholds[1].score_kind"),
    (
        {"score_thresholds": [pb.ScoreThreshold(score_kind=4, min_score=math.nan)]},
        INVALID,
        "score_thresholds[0].min_score",
    ),
    ({"boosts": [pb.Boost(weight=1)]}, INVALID, "boosts[0]"),
    ({"boosts": [pb.Boost(condition=_compare(int_value=1))]}, INVALID, "boosts[0].weight"),
    ({"boosts": [pb.Boost(weight=math.inf, condition=_compare(int_value=1))]}, INVALID, "boosts[0].weight"),
    ({"boosts": [pb.Boost(weight=math.nan, condition=_compare(int_value=1))]}, INVALID, "boosts[0].weight"),
    ({"boosts": [pb.Boost(weight=1, condition=_compare())]}, INVALID, "boosts[0].condition.comparison.value"),
    (
        {"boosts": [pb.Boost(weight=1, recency=pb.Recency(field="d"))]},
        INVALID,
        "boosts[0].recency.half_life_duration",
    ),
    ({"boosts": [pb.Boost(weight=1, condition=_compare(int_value=1))] * 21}, INVALID, "boosts"),
    ({"sort_keys": [pb.SortKey()]}, INVALID, "sort_keys[0].field"),
    ({"sort_keys": [pb.SortKey(field="a")] * 9}, INVALID, "sort_keys"),
    ({"facet_specs": [pb.FacetSpec(field="a..b")]}, INVALID, "facet_specs[0].field"),
    ({"facet_specs": [pb.FacetSpec(field="a", value_limit=-1)]}, INVALID, "facet_specs[0].value_limit"),
    ({"like_document_ids": [""]}, INVALID, "like_document_ids[0]"),
    ({"like_document_ids": ["sieve"] * 2}, INVALID, "like_document_ids[1]"),
    ({"like_document_ids": [str(number) for number in range(21)]}, INVALID, "like_document_ids"),
    ({"page_size": -(2**31)}, INVALID, "page_size"),
    ({"filter": filter_pb2.Filter()}, INVALID, "filter"),
    ({"filter": _compare(field="")}, INVALID, "filter.comparison.field"),
    ({"filter": _compare(field="a..b", int_value=1)}, INVALID, "filter.comparison.field"),
    ({"filter": _compare(field="a\\", int_value=1)}, INVALID, "filter.comparison.field"),
    ({"filter": _compare()}, INVALID, "filter.comparison.value"),
    ({"filter": _compare(operator=0, int_value=1)}, INVALID, "filter.comparison.operator"),
    ({"filter": _compare(operator=99, int_value=1)}, INVALID, "filter.comparison.operator"),
    ({"filter": _compare(double_value=math.nan)}, INVALID, "filter.comparison.value"),
    (
        {"filter": _compare(operator="COMPARISON_OPERATOR_LESS", bool_value=True)},
        INVALID,
        "filter.comparison.value",
    ),
    ({"filter": _compare(list_value=value_pb2.ListValue())}, INVALID, "filter.comparison.value"),
    ({"filter": _nested(20)}, INVALID, "filter" + ".not" * 16),
    (
        {"filter": filter_pb2.Filter(**{"and": filter_pb2.FilterList(filters=[_compare(int_value=1), _compare()])})},
        INVALID,
        "filter.and.filters[1].comparison.value",
    ),
    ({"filter": _any([_compare(int_value=1)] * 1_000)}, INVALID, "filter"),
    (
        {"boosts": [pb.Boost(weight=1, condition=_any([_compare(int_value=1)] * 1_000))]},
        INVALID,
        "boosts[0].condition",
    ),
    ({"filter": _in(10_001)}, INVALID, "filter.membership.values"),
    ({"filter": _any([_in(4_000)] * 3)}, INVALID, "filter.or.filters[2].membership.values"),
]

RANK_ONLY = '[pipelines.rank-only]\nexpression = "rank"\n'


@pytest.mark.parametrize(("fields", "code", "field"), SEARCHES)
async def test_a_bad_search_is_refused_with_the_field_to_blame(
    servers: Servers, fields: dict[str, Any], code: grpc.StatusCode, field: str
) -> None:
    arguments: dict[str, Any] = {"query": "sauce", "collection": "docs", **fields}
    async with servers.start(fakes() + RANK_ONLY) as client:
        await client.fill()
        for call in (client.search, client.events):
            with pytest.raises(CallFailed) as caught:
                await call(**arguments)
            assert caught.value.code is code
            assert list(caught.value.violations) == [field]
            assert caught.value.violations[field]
        assert (await client.search("sauce")).hits


async def test_a_limit_beyond_the_most_is_cut(servers: Servers) -> None:
    async with servers.start(fakes()) as client:
        await client.fill()
        assert (await client.search("sauce", page_size=2**31 - 1)).hits


def _too_deep() -> bytes:
    """A filter that negates a thousand times."""
    filter = b""
    for _ in range(1_000):
        filter = b"\x1a" + _length(filter) + filter
    return b"\x0a\x04docs\x12\x05sauce\x22" + _length(filter) + filter


def _length(data: bytes) -> bytes:
    high, low = divmod(len(data), 128)
    return bytes([low]) if not high else bytes([low | 128, high])


MALFORMED = [b"\x0a\x02\xff\xfe", b"\x12\x03\xed\xa0\x80", b"\x0a\xff", b"\xff" * 50, _too_deep()]


@pytest.mark.parametrize("raw", MALFORMED, ids=["not utf-8", "lone surrogate", "too short", "noise", "too deep"])
async def test_bytes_that_are_no_message_are_refused(servers: Servers, raw: bytes) -> None:
    async with servers.start(fakes()) as client:
        await client.fill()
        for method in ("Search", "Retrieve", "Rerank"):
            with pytest.raises(CallFailed) as caught:
                await client.call(client.channel.unary_unary(f"/tamis.v1.SearchService/{method}")(raw))
            assert (caught.value.code, caught.value.reason) == (INVALID, "MALFORMED_MESSAGE")
        with pytest.raises(CallFailed) as caught:
            stream = client.channel.unary_stream("/tamis.v1.SearchService/StreamSearch")(raw)
            [each async for each in client.stream(stream)]
        assert caught.value.reason == "MALFORMED_MESSAGE"
        assert (await client.search("sauce")).hits


@pytest.mark.parametrize("raw", [b"\x0a\x02\xff\xfe", b"\x12\x06\x1a\x04\x61\xed\xa0\x80", b"\xff" * 50])
async def test_a_batch_that_is_no_message_ends_the_stream_and_loses_nothing(servers: Servers, raw: bytes) -> None:
    async with servers.start(fakes()) as client:
        await client.fill()
        good = index_service_pb2.WriteDocumentsRequest(collection="docs", documents=[_document("next")])
        write = client.channel.stream_stream(
            "/tamis.v1.IndexService/WriteDocuments",
            response_deserializer=index_service_pb2.WriteDocumentsResponse.FromString,
        )
        acks = []
        with pytest.raises(CallFailed) as caught:
            async for each in client.stream(write(iter([good.SerializeToString(), raw]))):
                acks.append(each.sequence)
        assert (caught.value.code, caught.value.reason) == (INVALID, "MALFORMED_MESSAGE")
        assert acks == [6]
        assert (await client.write([_document("after")]))[0].sequence == 7


def _token(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode()


def _document(id: str = "a", text: str = "text", **fields: Any) -> passage_pb2.Document:
    return passage_pb2.Document(id=id, text=text, **fields)


def _deep(depth: int) -> value_pb2.Value:
    found = Value(int_value=1)
    for _ in range(depth):
        found = Value(list_value=value_pb2.ListValue(values=[found]))
    return found


DOCUMENTS: list[tuple[list[passage_pb2.Document], str]] = [
    ([], "documents"),
    ([_document(str(number)) for number in range(1_001)], "documents"),
    ([_document("")], "documents[0].id"),
    ([_document("a"), _document("b" * 513)], "documents[1].id"),
    ([_document("a\x00b")], "documents[0].id"),
    ([_document("a"), _document("b"), _document("a")], "documents[2].id"),
    ([_document(text=" \n")], "documents[0].text"),
    ([_document(text="x" * (50 << 20))], "documents[0].text"),
    ([_document(title="é" * 2_049)], "documents[0].title"),
    ([_document(metadata={"f": Value()})], 'documents[0].metadata["f"]'),
    ([_document(metadata={"": Value(int_value=1)})], "documents[0].metadata"),
    ([_document(metadata={"f": Value(double_value=math.nan)})], 'documents[0].metadata["f"]'),
    ([_document(metadata={"f": Value(double_value=-math.inf)})], 'documents[0].metadata["f"]'),
    ([_document(metadata={"f": Value(timestamp_value=Timestamp(seconds=10**13))})], 'documents[0].metadata["f"]'),
    ([_document(metadata={"f": Value(timestamp_value=Timestamp(nanos=-1))})], 'documents[0].metadata["f"]'),
    ([_document(metadata={"f": _deep(17)})], 'documents[0].metadata["f"]' + "[0]" * 16),
    ([_document(metadata={"f": Value(string_value="x" * 70_000)})], "documents[0].metadata"),
]


@pytest.mark.parametrize(("documents", "field"), DOCUMENTS, ids=[field for _, field in DOCUMENTS])
async def test_a_bad_batch_is_refused_whole(
    servers: Servers, documents: list[passage_pb2.Document], field: str
) -> None:
    async with servers.start(fakes()) as client:
        await client.fill()
        with pytest.raises(CallFailed) as caught:
            await client.write(documents)
        assert caught.value.code is INVALID
        assert list(caught.value.violations) == [field]
        known = await client.index.GetCollection(index_service_pb2.GetCollectionRequest(collection="docs"))
        assert known.collection.last_sequence == 5
        assert (await client.write([_document("next")]))[0].sequence == 6


async def test_a_message_beyond_the_servers_limit_is_refused_and_the_next_call_works(servers: Servers) -> None:
    async with servers.start(fakes(), max_message_bytes=1 << 20) as client:
        await client.fill()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await client.searches.Search(search_service_pb2.SearchRequest(query="x" * (2 << 20)))
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert (await client.search("sauce")).hits


PASSAGE = passage_pb2.Passage(id="a", text="sauce")
RERANKS: list[tuple[dict[str, Any], str]] = [
    ({"query": ""}, "query"),
    ({"passages": [PASSAGE, PASSAGE]}, "passages[1].id"),
    ({"passages": [passage_pb2.Passage(text="sauce")]}, "passages[0].id"),
    ({"passages": [passage_pb2.Passage(id="a")]}, "passages[0].text"),
    ({"passages": [passage_pb2.Passage(id="a", text="x" * (1 << 20 | 1))]}, "passages[0].text"),
    (
        {"passages": [passage_pb2.Passage(id="a", text="é", document_span=passage_pb2.ByteSpan(start=3, end=4))]},
        "passages[0].document_span",
    ),
    (
        {"passages": [passage_pb2.Passage(id="a", text="e", document_span=passage_pb2.ByteSpan(start=-1, end=0))]},
        "passages[0].document_span",
    ),
    ({"page_size": -5}, "page_size"),
    ({"pipeline": "words"}, "pipeline"),
    ({"pipeline": "answer"}, "pipeline"),
]


@pytest.mark.parametrize(("fields", "field"), RERANKS)
async def test_a_bad_rerank_is_refused_with_the_field_to_blame(
    servers: Servers, fields: dict[str, Any], field: str
) -> None:
    async with servers.start(fakes()) as client:
        request = search_service_pb2.RerankRequest(**{"query": "sauce", "passages": [PASSAGE], **fields})
        await _refused(client, client.searches.Rerank(request), field)


async def _refused(client: Client, awaited: Any, field: str) -> None:
    with pytest.raises(CallFailed) as caught:
        await client.call(awaited)
    assert caught.value.code is INVALID
    assert list(caught.value.violations) == [field]


async def test_bad_requests_to_the_index_are_refused_with_the_field_to_blame(servers: Servers) -> None:
    pb = index_service_pb2
    async with servers.start(fakes()) as client:
        await client.fill()
        index = client.index
        for awaited, field in (
            (index.CreateCollection(pb.CreateCollectionRequest(collection="Docs")), "collection"),
            (index.CreateCollection(pb.CreateCollectionRequest(collection="x" * 64)), "collection"),
            (index.ListCollections(pb.ListCollectionsRequest(page_size=-1)), "page_size"),
            (index.ListCollections(pb.ListCollectionsRequest(page_token="%%%")), "page_token"),
            (index.GetDocument(pb.GetDocumentRequest(collection="docs")), "document_id"),
            (index.ListDocuments(pb.ListDocumentsRequest(collection="docs", page_token="é")), "page_token"),
            (index.DeleteDocuments(pb.DeleteDocumentsRequest(collection="docs")), "document_ids"),
            (
                index.DeleteDocuments(pb.DeleteDocumentsRequest(collection="docs", document_ids=["a", "a"])),
                "document_ids[1]",
            ),
            (index.WaitIndexed(pb.WaitIndexedRequest(collection="docs", sequence=-1)), "sequence"),
            (index.WaitIndexed(pb.WaitIndexedRequest(collection="docs", sequence=99)), "sequence"),
        ):
            await _refused(client, awaited, field)


NO_TOKENS = ["%%%", "é", _token("x"), _token("-1"), _token("999"), _token("9" * 5_000)]


@pytest.mark.parametrize("token", NO_TOKENS, ids=range(len(NO_TOKENS)))
async def test_the_catalog_refuses_tokens_it_did_not_make(servers: Servers, token: str) -> None:
    async with servers.start(fakes()) as client:
        plugins = catalog_service_pb2.ListPluginsRequest(page_token=token)
        await _refused(client, client.catalog.ListPlugins(plugins), "page_token")
        pipelines = catalog_service_pb2.ListPipelinesRequest(page_token=token)
        await _refused(client, client.catalog.ListPipelines(pipelines), "page_token")
        size = catalog_service_pb2.ListPipelinesRequest(page_size=-1)
        await _refused(client, client.catalog.ListPipelines(size), "page_size")


async def test_a_bad_retrieval_and_a_bad_generation_are_refused_like_a_search(servers: Servers) -> None:
    pb = search_service_pb2
    async with servers.start(fakes()) as client:
        await client.fill()
        retrieve, generate = client.searches.Retrieve, client.searches.Generate
        for request, field in (
            (pb.RetrieveRequest(collection="docs"), "query"),
            (pb.RetrieveRequest(collection="docs", query="q", page_size=-1), "page_size"),
            (pb.RetrieveRequest(collection="docs", query="q", filter=filter_pb2.Filter()), "filter"),
            (pb.RetrieveRequest(collection="docs", query="q", pipeline="rank"), "pipeline"),
        ):
            await _refused(client, retrieve(request), field)
        for wrong, field in (
            (pb.GenerateRequest(passages=[PASSAGE]), "query"),
            (pb.GenerateRequest(query="q", passages=[PASSAGE, PASSAGE]), "passages[1].id"),
            (pb.GenerateRequest(query="q", passages=[PASSAGE] * 1_001), "passages"),
            (pb.GenerateRequest(query="q", passages=[PASSAGE], pipeline="words"), "pipeline"),
        ):
            with pytest.raises(CallFailed) as caught:
                [each async for each in client.stream(generate(wrong))]
            assert caught.value.code is INVALID
            assert list(caught.value.violations) == [field]
        assert (await client.search("sauce")).hits
