"""Tenants on one server: each sees its own and nothing of the others, whatever it sends."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from qdrant_wire import QdrantWire
from real_server import CallFailed, Client, Servers, fakes
from tenants import HEADER, with_tenants

from tamis.v1 import filter_pb2, index_service_pb2, passage_pb2, search_service_pb2, value_pb2
from tamis.wire.values import from_metadata

WORDS = fakes("words")
SPELLING = '[stages.words]\nplugin = "fake-spelling"\n[pipelines.default]\nexpression = "words"\n'


def _document(id: str, text: str, **metadata: Any) -> passage_pb2.Document:
    return passage_pb2.Document(id=id, text=text, metadata=from_metadata(metadata))


async def _share(operator: Client, name: str = "docs") -> None:
    request = index_service_pb2.CreateCollectionRequest(collection=name, tenant_partitioned=True)
    await operator.call(operator.index.CreateCollection(request))


async def _names(client: Client) -> list[str]:
    found = await client.call(client.index.ListCollections(index_service_pb2.ListCollectionsRequest(page_size=100)))
    return [each.id for each in found.collections]


async def _get(client: Client, collection: str = "docs") -> index_service_pb2.Collection:
    request = index_service_pb2.GetCollectionRequest(collection=collection)
    return (await client.call(client.index.GetCollection(request))).collection


async def _ids(client: Client, **fields: Any) -> list[str]:
    request = index_service_pb2.ListDocumentsRequest(collection="docs", **fields)
    return [each.id for each in (await client.call(client.index.ListDocuments(request))).documents]


def _equal(field: str, value: str) -> filter_pb2.Filter:
    comparison = filter_pb2.Comparison(
        field=field, operator=filter_pb2.COMPARISON_OPERATOR_EQUAL, value=value_pb2.Value(string_value=value)
    )
    return filter_pb2.Filter(comparison=comparison)


async def test_each_tenant_has_collections_of_its_own_under_the_same_names(servers: Servers) -> None:
    async with with_tenants(servers, WORDS) as tenants:
        ours, theirs, operator = tenants["acme"], tenants["acm"], tenants[""]
        await ours.fill({"a": "smooth sauce"})
        await theirs.fill({"a": "smooth gravy"})
        assert [each.passage.text for each in (await ours.search("smooth")).hits] == ["smooth sauce"]
        assert [each.passage.text for each in (await theirs.search("smooth")).hits] == ["smooth gravy"]
        assert (await _names(ours), await _names(theirs)) == (["docs"], ["docs"])
        assert await _names(operator) == ["acm/docs", "acme/docs"]
        assert (await operator.search("smooth", collection="acme/docs")).hits[0].passage.text == "smooth sauce"
        await theirs.call(theirs.index.DeleteCollection(index_service_pb2.DeleteCollectionRequest(collection="docs")))
        assert (await ours.search("smooth")).hits


@pytest.mark.parametrize("name", ["docs", "acme/docs", "secret"])
async def test_what_is_anothers_does_not_exist_and_is_named_nowhere(servers: Servers, name: str) -> None:
    async with with_tenants(servers, WORDS) as tenants:
        await tenants["acme"].fill({"a": "smooth sauce"})
        await tenants[""].fill({"a": "smooth sauce"}, "secret")
        other = tenants["other"]
        await other.create("mine")
        calls = [
            other.index.GetCollection(index_service_pb2.GetCollectionRequest(collection=name)),
            other.index.ListDocuments(index_service_pb2.ListDocumentsRequest(collection=name)),
            other.index.GetDocument(index_service_pb2.GetDocumentRequest(collection=name, document_id="a")),
            other.index.DeleteCollection(index_service_pb2.DeleteCollectionRequest(collection=name)),
            other.index.DeleteDocuments(index_service_pb2.DeleteDocumentsRequest(collection=name, document_ids=["a"])),
            other.index.WaitIndexed(index_service_pb2.WaitIndexedRequest(collection=name)),
            other.index.BuildGeneration(index_service_pb2.BuildGenerationRequest(collection=name)),
            other.index.DropGeneration(index_service_pb2.DropGenerationRequest(collection=name, generation=1)),
            other.index.SwitchGeneration(index_service_pb2.SwitchGenerationRequest(collection=name, generation=1)),
            other.searches.Search(search_service_pb2.SearchRequest(collection=name, query="smooth")),
            other.searches.Retrieve(search_service_pb2.RetrieveRequest(collection=name, query="smooth")),
        ]
        for call in calls:
            with pytest.raises(CallFailed) as caught:
                await other.call(call)
            assert (caught.value.code, caught.value.reason) == (grpc.StatusCode.NOT_FOUND, "NOT_FOUND")
            assert caught.value.metadata == {"kind": "collection", "name": name}
            assert caught.value.message == f"no collection named {name!r}; there are: mine"
        assert await tenants["acme"].found("smooth") == {"a"}


async def test_equal_ids_in_a_shared_collection_never_meet(servers: Servers) -> None:
    async with with_tenants(servers, WORDS) as tenants:
        await _share(tenants[""])
        for tenant, id in (("a", "b/x"), ("b", "x"), ("a-b", "x"), ("a", "x"), ("b", "a/x"), ("b", "ü\u200bx")):
            await tenants[tenant].write([_document(id, f"smooth {tenant} {id}")])
        await tenants["a"].write([_document("x", "smooth again")])
        await tenants[""].wait()
        assert await _ids(tenants["a"]) == ["b/x", "x"]
        assert await _ids(tenants["b"]) == ["a/x", "x", "ü\u200bx"]
        assert await _ids(tenants["a-b"]) == ["x"]
        assert await tenants["b"].found("smooth") == {"x", "a/x", "ü\u200bx"}
        hit = (await tenants["a"].search("again")).hits[0].passage
        assert (hit.id, hit.document_id, dict(hit.metadata)) == ("x#0", "x", {})
        assert await _ids(tenants[""]) == ["a-b/x", "a/b/x", "a/x", "b/a/x", "b/x", "b/ü\u200bx"]
        assert [(await _get(tenants[each])).document_count for each in ("a", "b", "a-b", "c", "")] == [2, 3, 1, 0, 6]
        deletion = index_service_pb2.DeleteDocumentsRequest(collection="docs", document_ids=["x", "b/x", "a-b/x"])
        deleted = await tenants["b"].index.DeleteDocuments(deletion)
        assert deleted.deleted_count == 1
        assert (await _ids(tenants["a"]), await _ids(tenants["a-b"])) == (["b/x", "x"], ["x"])


async def test_a_tenant_is_told_of_no_change_but_its_own(servers: Servers) -> None:
    async with with_tenants(servers, WORDS) as tenants:
        await _share(tenants[""])
        mine, other = tenants["a"], tenants["b"]
        await other.write([_document(str(number), "smooth") for number in range(5)])
        known = await _get(mine)
        assert (known.last_sequence, known.document_count, known.passage_count) == (0, 0, 0)
        assert [(each.applied_sequence, each.lag_count) for each in known.indexes] == [(0, 0), (0, 0)]
        assert not known.generations
        assert {each.applied_sequence for each in (await mine.wait()).indexes} == {0}
        with pytest.raises(CallFailed) as caught:
            await mine.wait(sequence=5)
        assert caught.value.violations == {"sequence": "not written yet; the last one is 0"}
        (ack,) = await mine.write([_document("x", "smooth")])
        await other.write([_document("y", "smooth")])
        await tenants[""].wait()
        found = await mine.search("smooth", min_sequence=ack.sequence)
        assert [each.applied_sequence for each in found.index_progress] == [ack.sequence]
        with pytest.raises(CallFailed) as caught:
            await mine.search("smooth", min_sequence=ack.sequence + 1)
        assert list(caught.value.violations) == ["min_sequence"]


async def test_documents_like_others_and_errors_speak_of_the_tenants_own_ids(servers: Servers) -> None:
    async with with_tenants(servers, WORDS) as tenants:
        await _share(tenants[""])
        await tenants["a"].write([_document("x", "smooth sauce"), _document("y", "smooth sauce")])
        await tenants["b"].write([_document("z", "smooth sauce")])
        await tenants[""].wait()
        found = await tenants["a"].search("", like_document_ids=["x"])
        assert [each.passage.document_id for each in found.hits] == ["y"]
        with pytest.raises(CallFailed) as caught:
            await tenants["a"].search("", like_document_ids=["z"])
        assert caught.value.message == "no document named 'z'"
        request = index_service_pb2.GetDocumentRequest(collection="docs", document_id="z")
        with pytest.raises(CallFailed) as caught:
            await tenants["a"].call(tenants["a"].index.GetDocument(request))
        assert caught.value.metadata == {"kind": "document", "name": "z"}
        got = await tenants["b"].index.GetDocument(request)
        assert (got.document.id, dict(got.document.metadata)) == ("z", {})


async def test_answers_cite_the_tenants_own_ids(servers: Servers) -> None:
    async with with_tenants(servers, fakes("words >> answer")) as tenants:
        await _share(tenants[""])
        await tenants["a"].write([_document("x", "smooth sauce")])
        await tenants["b"].write([_document("z", "smooth sauce")])
        await tenants[""].wait()
        found = await tenants["a"].search("sauce")
        assert [(each.passage_id, each.document_id) for each in found.answer.citations] == [("x#0", "x")]
        events = await tenants["a"].events("sauce")
        cited = [each for event in events for each in event.answer_delta.citations]
        assert {each.document_id for each in cited} == {"x"}


@pytest.mark.parametrize("field", ["$tenant", "\\$tenant", "$tenant.a", "$other"])
@pytest.mark.parametrize("place", ["filter", "boost", "facet", "sort", "recency"])
async def test_nobody_asks_about_reserved_fields(servers: Servers, field: str, place: str) -> None:
    fields: dict[str, Any] = {
        "filter": {"filter": _equal(field, "b")},
        "boost": {"boosts": [search_service_pb2.Boost(weight=1, condition=_equal(field, "b"))]},
        "facet": {"facet_specs": [search_service_pb2.FacetSpec(field=field)]},
        "sort": {"sort_keys": [search_service_pb2.SortKey(field=field)]},
        "recency": {"boosts": [search_service_pb2.Boost(weight=1, recency=search_service_pb2.Recency(field=field))]},
    }
    async with with_tenants(servers, WORDS) as tenants:
        await _share(tenants[""])
        for client in (tenants["a"], tenants[""]):
            with pytest.raises(CallFailed) as caught:
                await client.search("smooth", **fields[place])
            assert caught.value.code is grpc.StatusCode.INVALID_ARGUMENT
            assert list(caught.value.violations.values()) == ["begins with $: such names are reserved"]


async def test_reserved_metadata_is_refused_on_writing(servers: Servers) -> None:
    async with with_tenants(servers, WORDS) as tenants:
        await _share(tenants[""])
        for client in (tenants["a"], tenants[""]):
            with pytest.raises(CallFailed) as caught:
                await client.write([_document("a/x", "smooth", **{"$tenant": "b"})])
            assert list(caught.value.violations) == ['documents[0].metadata["$tenant"]']


@pytest.mark.parametrize("value", ["", "Acme", "a,b", "a b", "a/b", "../a", "a" * 64])
async def test_a_header_that_is_no_tenant_is_refused_and_makes_nobody_an_operator(servers: Servers, value: str) -> None:
    async with with_tenants(servers, WORDS) as tenants:
        with pytest.raises(CallFailed) as caught:
            await _names(tenants.sending((HEADER, value)))
        expected = (grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED")
        assert (caught.value.code, caught.value.reason) == expected


@pytest.mark.parametrize("second", ["acme", "other", ""])
async def test_a_header_twice_is_refused_even_if_both_agree(servers: Servers, second: str) -> None:
    async with with_tenants(servers, WORDS) as tenants:
        with pytest.raises(CallFailed) as caught:
            await _names(tenants.sending((HEADER, "acme"), (HEADER, second)))
        assert caught.value.code is grpc.StatusCode.UNAUTHENTICATED


async def test_a_call_without_the_header_is_refused_where_it_is_required(servers: Servers) -> None:
    async with with_tenants(servers, WORDS, f'[tenancy]\nheader = "{HEADER}"\n') as tenants:
        with pytest.raises(CallFailed) as caught:
            await _names(tenants[""])
        assert caught.value.code is grpc.StatusCode.UNAUTHENTICATED
        assert await _names(tenants["acme"]) == []


async def test_only_an_operator_shares_collections_and_changes_shared_ones(servers: Servers) -> None:
    async with with_tenants(servers, WORDS) as tenants:
        await _share(tenants[""])
        mine = tenants["a"]
        calls = [
            mine.index.CreateCollection(
                index_service_pb2.CreateCollectionRequest(collection="new", tenant_partitioned=True)
            ),
            mine.index.DeleteCollection(index_service_pb2.DeleteCollectionRequest(collection="docs")),
            mine.index.BuildGeneration(index_service_pb2.BuildGenerationRequest(collection="docs")),
            mine.index.DropGeneration(index_service_pb2.DropGenerationRequest(collection="docs", generation=1)),
            mine.index.SwitchGeneration(index_service_pb2.SwitchGenerationRequest(collection="docs", generation=1)),
        ]
        for call in calls:
            with pytest.raises(CallFailed) as caught:
                await mine.call(call)
            expected = (grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")
            assert (caught.value.code, caught.value.reason) == expected
        assert await _names(mine) == ["docs"]
        assert (await _get(mine)).tenant_partitioned


async def test_no_tenant_ever_sees_two_collections_of_one_name(servers: Servers) -> None:
    async with with_tenants(servers, WORDS) as tenants:
        await _share(tenants[""])
        await tenants["a"].create("own")
        for client, make in ((tenants["a"], tenants["a"].create()), (tenants[""], _share(tenants[""], "own"))):
            with pytest.raises(CallFailed) as caught:
                await make
            assert caught.value.code is grpc.StatusCode.ALREADY_EXISTS
            assert await _names(client)
        await tenants[""].create("own")  # not shared, so no tenant sees it
        assert (await _names(tenants["a"]), await _names(tenants["b"])) == (["docs", "own"], ["docs"])


async def test_an_operator_says_whose_a_document_of_a_shared_collection_is(servers: Servers) -> None:
    async with with_tenants(servers, WORDS) as tenants:
        await _share(tenants[""])
        await tenants[""].write([_document("a/x", "smooth")])
        assert await _ids(tenants["a"]) == ["x"]
        for id in ("x", "/x", "A/x", "a/"):
            with pytest.raises(CallFailed) as caught:
                await tenants[""].write([_document(id, "smooth")])
            assert caught.value.code is grpc.StatusCode.INVALID_ARGUMENT
        await tenants[""].wait()
        assert await tenants[""].found("smooth") == {"a/x"}


async def test_words_of_other_tenants_are_not_suggested(servers: Servers) -> None:
    async with with_tenants(servers, SPELLING) as tenants:
        await _share(tenants[""])
        await tenants["b"].write([_document("x", "confidential sauce")])
        await tenants[""].wait()
        assert (await tenants["a"].search("confidentil")).suggested_query == ""
        assert (await tenants[""].search("confidentil")).suggested_query == "confidential"


async def test_page_tokens_and_request_ids_of_another_tenant_give_nothing_of_its(servers: Servers) -> None:
    async with with_tenants(servers, WORDS) as tenants:
        await _share(tenants[""])
        for tenant in ("a", "b"):
            await tenants[tenant].write([_document(f"{tenant}{number}", "smooth") for number in range(4)])
        await tenants[""].wait()
        listing = index_service_pb2.ListDocumentsRequest(collection="docs", page_size=2)
        token = (await tenants["a"].index.ListDocuments(listing)).next_page_token
        assert await _ids(tenants["b"], page_token=token) == ["b0", "b1", "b2", "b3"]
        page = await tenants["a"].search("smooth", page_size=2)
        foreign = await tenants["b"].search("smooth", page_size=2, page_token=page.next_page_token)
        assert {each.passage.document_id for each in foreign.hits} <= {"b0", "b1", "b2", "b3"}
        same = ("x-request-id", "the-same")
        for tenant in ("a", "b"):
            client = tenants.sending((HEADER, tenant), same)
            assert {each[0] for each in await client.found("smooth")} == {tenant}


async def test_the_counts_of_tenants_outlive_the_server(servers: Servers) -> None:
    async with with_tenants(servers, WORDS) as tenants:
        await _share(tenants[""])
        await tenants["a"].write([_document("x", "smooth")])
    async with with_tenants(servers, WORDS) as tenants:
        await tenants[""].wait()
        assert (await _get(tenants["a"])).document_count == 1
        assert await tenants["a"].found("smooth") == {"x"}


WORDS_INDEXED = """
[stages.bm25]
plugin = "tantivy"
[pipelines.default]
expression = "bm25 % 5"
"""
VECTORS = """
[models.hash]
plugin = "fake-hash"
[stages.dense]
plugin = "qdrant"
embedder = "hash"
{server}
[pipelines.default]
expression = "dense % 5"
"""


@pytest.fixture
def wire() -> Iterator[QdrantWire]:
    started = QdrantWire(key="key").start()
    yield started
    started.stop()


@pytest.mark.parametrize("index", ["words", "vectors", "vectors on a server"])
async def test_documents_that_stand_behind_all_of_another_tenant_are_found(
    servers: Servers, wire: QdrantWire, index: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The index itself must leave the others out: what it gives is cut long before these three."""
    monkeypatch.setattr("tamis.stage_run._MOST_CANDIDATES", 50)
    server = f'url = "{wire.url}"\napi_key = "key"\nbatch_seconds = 20\nconnect_seconds = 20'
    stages = {
        "words": WORDS_INDEXED,
        "vectors": VECTORS.format(server=""),
        "vectors on a server": VECTORS.format(server=server),
    }
    async with with_tenants(servers, stages[index]) as tenants:
        await _share(tenants[""])
        await tenants["a"].write([_document(str(number), f"smooth sauce {number % 7}") for number in range(200)])
        await tenants["b"].write([_document(str(number), "sauce " + "and other words " * 9) for number in range(3)])
        await tenants[""].wait()
        request = search_service_pb2.RetrieveRequest(collection="docs", query="smooth sauce")
        found = await tenants["b"].searches.Retrieve(request)
        assert {each.passage.document_id for each in found.hits} == {"0", "1", "2"}
        assert all("other words" in each.passage.text for each in found.hits)
