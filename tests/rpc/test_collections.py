"""Collections and the documents in them."""

from __future__ import annotations

import grpc
import pytest
from real_server import TEXTS, CallFailed, Servers, fakes

from tamis.v1 import index_service_pb2 as pb
from tamis.v1 import passage_pb2


def _documents(*ids: str, text: str = "text of") -> list[passage_pb2.Document]:
    return [passage_pb2.Document(id=each, text=f"{text} {each}") for each in ids]


async def test_collections_are_created_listed_by_page_and_deleted(servers: Servers) -> None:
    async with servers.start(fakes()) as client:
        for name in ("b", "c", "a"):
            await client.create(name)
        first = await client.index.ListCollections(pb.ListCollectionsRequest(page_size=2))
        rest = await client.index.ListCollections(pb.ListCollectionsRequest(page_token=first.next_page_token))
        assert [each.id for each in (*first.collections, *rest.collections)] == ["a", "b", "c"]
        assert rest.next_page_token == ""
        await client.index.DeleteCollection(pb.DeleteCollectionRequest(collection="b"))
        left = await client.index.ListCollections(pb.ListCollectionsRequest())
        assert [each.id for each in left.collections] == ["a", "c"]


async def test_a_collection_exists_once_and_its_absence_is_told(servers: Servers) -> None:
    async with servers.start(fakes()) as client:
        await client.create()
        with pytest.raises(CallFailed) as caught:
            await client.create()
        assert (caught.value.code, caught.value.reason) == (grpc.StatusCode.ALREADY_EXISTS, "ALREADY_EXISTS")
        for awaited in (
            client.index.GetCollection(pb.GetCollectionRequest(collection="nowhere")),
            client.index.DeleteCollection(pb.DeleteCollectionRequest(collection="nowhere")),
            client.index.ListDocuments(pb.ListDocumentsRequest(collection="nowhere")),
            client.index.WaitIndexed(pb.WaitIndexedRequest(collection="nowhere")),
        ):
            with pytest.raises(CallFailed) as caught:
                await client.call(awaited)
            assert caught.value.code is grpc.StatusCode.NOT_FOUND
            assert caught.value.metadata == {"kind": "collection", "name": "nowhere"}


async def test_two_collections_with_the_same_ids_do_not_mix(servers: Servers) -> None:
    async with servers.start(fakes()) as client:
        await client.fill({"a": "smooth sauce"}, "ours")
        await client.fill({"a": "rough gravy"}, "theirs")
        ours = await client.search("sauce gravy", "words", collection="ours")
        theirs = await client.search("sauce gravy", "words", collection="theirs")
        assert [each.passage.text for each in ours.hits] == ["smooth sauce"]
        assert [each.passage.text for each in theirs.hits] == ["rough gravy"]
        await client.index.DeleteCollection(pb.DeleteCollectionRequest(collection="theirs"))
        assert (await client.search("sauce", "words", collection="ours")).hits


async def test_a_collection_created_again_is_empty(servers: Servers) -> None:
    async with servers.start(fakes()) as client:
        await client.fill()
        await client.index.DeleteCollection(pb.DeleteCollectionRequest(collection="docs"))
        await client.create()
        assert not (await client.search("sauce", "words")).hits
        known = await client.index.GetCollection(pb.GetCollectionRequest(collection="docs"))
        assert (known.collection.last_sequence, known.collection.document_count) == (0, 0)


async def test_batches_are_acknowledged_in_order_with_their_sequences(servers: Servers) -> None:
    async with servers.start(fakes()) as client:
        await client.create()
        acks = await client.write(_documents("a", "b"), _documents("c"), _documents("a", "d"))
    assert [(each.batch, each.sequence) for each in acks] == [(1, 2), (2, 3), (3, 4)]
    assert [(each.written_count, each.unchanged_count) for each in acks] == [(2, 0), (1, 0), (1, 1)]


async def test_a_batch_that_fails_ends_the_stream_and_what_was_acknowledged_stays(servers: Servers) -> None:
    async with servers.start(fakes()) as client:
        await client.create()
        acks = []
        batches = [_documents("a"), [], _documents("c")]
        requests = [pb.WriteDocumentsRequest(collection="docs", documents=each) for each in batches]
        with pytest.raises(CallFailed) as caught:
            async for each in client.stream(client.index.WriteDocuments(iter(requests))):
                acks.append(each.batch)
        assert list(caught.value.violations) == ["documents"]
        listed = await client.index.ListDocuments(pb.ListDocumentsRequest(collection="docs"))
    assert acks == [1]
    assert [each.id for each in listed.documents] == ["a"]


async def test_a_stream_keeps_to_its_collection(servers: Servers) -> None:
    async with servers.start(fakes()) as client:
        await client.create()
        requests = [pb.WriteDocumentsRequest(collection=each, documents=_documents("a")) for each in ("docs", "other")]
        with pytest.raises(CallFailed) as caught:
            [each async for each in client.stream(client.index.WriteDocuments(iter(requests)))]
        assert list(caught.value.violations) == ["collection"]


async def test_documents_come_back_as_written_and_are_listed_without_text(servers: Servers) -> None:
    async with servers.start(fakes()) as client:
        await client.create()
        written = passage_pb2.Document(id="ä/1", title="Grüße", text="Zeile\n𝄞\x00 end", version=99)
        await client.write([written])
        request = pb.GetDocumentRequest(collection="docs", document_id="ä/1")
        found = (await client.index.GetDocument(request)).document
        assert (found.id, found.title, found.text, found.version) == ("ä/1", "Grüße", "Zeile\n𝄞\x00 end", 1)
        listed = await client.index.ListDocuments(pb.ListDocumentsRequest(collection="docs"))
        assert [(each.id, each.text) for each in listed.documents] == [("ä/1", "")]


async def test_documents_are_listed_page_by_page(servers: Servers) -> None:
    async with servers.start(fakes()) as client:
        await client.create()
        await client.write(_documents(*"edcba"))
        found, token = [], ""
        while True:
            request = pb.ListDocumentsRequest(collection="docs", page_size=2, page_token=token)
            page = await client.index.ListDocuments(request)
            found.append([each.id for each in page.documents])
            token = page.next_page_token
            if not token:
                break
    assert found == [["a", "b"], ["c", "d"], ["e"]]


async def test_deleted_and_replaced_documents_are_found_no_more(servers: Servers) -> None:
    async with servers.start(fakes()) as client:
        await client.fill()
        await client.write([passage_pb2.Document(id="pan", text="No longer about that.")])
        request = pb.DeleteDocumentsRequest(collection="docs", document_ids=["sieve", "never"])
        deleted = await client.index.DeleteDocuments(request)
        assert (deleted.deleted_count, deleted.sequence) == (1, 7)
        await client.wait(sequence=deleted.sequence)
        assert await client.found("sauce", "words") == {"spoon"}
        with pytest.raises(CallFailed) as caught:
            await client.call(client.index.GetDocument(pb.GetDocumentRequest(collection="docs", document_id="sieve")))
        assert caught.value.metadata["kind"] == "document"


async def test_waiting_tells_how_far_each_index_is(servers: Servers) -> None:
    async with servers.start(fakes()) as client:
        await client.fill()
        states = (await client.wait()).indexes
        known = (await client.index.GetCollection(pb.GetCollectionRequest(collection="docs"))).collection
    assert [(each.stage, each.applied_sequence, each.lag_count) for each in states] == [("more", 5, 0), ("words", 5, 0)]
    assert list(known.indexes) == list(states)
    assert (known.document_count, known.passage_count) == (len(TEXTS), len(TEXTS))


async def test_a_write_stream_that_its_client_cancels_keeps_what_was_acknowledged(servers: Servers) -> None:
    async with servers.start(fakes()) as client:
        await client.create()
        call = client.index.WriteDocuments()
        await call.write(pb.WriteDocumentsRequest(collection="docs", documents=_documents("a", "b")))
        assert (await call.read()).sequence == 2
        call.cancel()
        await client.wait(sequence=2)
        assert await client.found("text", "words") == {"a", "b"}
        assert (await client.write(_documents("c")))[0].sequence == 3
