"""A Qdrant server behind Tamis, both across sockets: one request a search, deadlines, and a server that goes away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import grpc
import pytest
from qdrant_wire import QdrantWire
from real_server import TEXTS, CallFailed, Client, Servers

from tamis.errors import ConfigurationError
from tamis.v1 import filter_pb2, index_service_pb2, passage_pb2, value_pb2

KEY = "a-key-that-nobody-may-see"
STAGES = """
[models.hash]
plugin = "fake-hash"
[models.other]
plugin = "fake-hash"
size = 16
[stages.bm25]
plugin = "tantivy"
[stages.dense]
plugin = "qdrant"
embedder = "hash"
url = "{url}"
api_key = "{key}"
batch_seconds = 20
connect_seconds = 20
[stages.sparse]
plugin = "qdrant-sparse"
index = "dense"
[stages.tokens]
plugin = "qdrant-tokens"
index = "dense"
embedder = "other"
[stages.far]
plugin = "qdrant-dense"
index = "dense"
embedder = "other"
vector = "far"
[pipelines.default]
expression = "bm25 % 50 | dense % 50 | sparse % 50 | tokens % 50"
"""
VECTORS = {"dense", "words", "tokens", "far"}


@pytest.fixture
def wire() -> Iterator[QdrantWire]:
    started = QdrantWire(key=KEY).start()
    yield started
    started.stop()


@asynccontextmanager
async def serving(servers: Servers, wire: QdrantWire, stages: str = STAGES) -> AsyncIterator[Client]:
    async with servers.start(stages.format(url=wire.url, key=KEY)) as client:
        yield client


def outcomes(response: object) -> dict[str, int]:
    return {each.stage: each.outcome for each in response.stage_reports}  # type: ignore[attr-defined]


async def test_stages_side_by_side_search_in_one_request_and_keep_their_own_scores(
    servers: Servers, wire: QdrantWire
) -> None:
    async with serving(servers, wire) as client:
        await client.fill()
        for expression, vectors in {
            "dense | sparse": {"dense", "words"},
            "(dense % 20 | sparse % 30) % 10 | (tokens | far)": VECTORS,
            "bm25 % 5 | sparse": {"words"},
        }.items():
            for _ in range(5):
                wire.requests.clear()
                found = await client.search("a smooth sauce", expression)
                (request,) = wire.calls("QueryBatch", "Query")
                assert {each.using for each in request.message.query_points} == vectors
                assert {each.outcome for each in found.stage_reports} == {passage_pb2.STAGE_OUTCOME_RAN}
        scores = {each.stage: each for each in (await client.search("a smooth sauce")).hits[0].stage_scores}
        kinds = {name: each.score_kind for name, each in scores.items() if name in ("dense", "sparse", "tokens")}
        assert kinds == {
            "dense": passage_pb2.SCORE_KIND_COSINE,
            "sparse": passage_pb2.SCORE_KIND_BM25,
            "tokens": passage_pb2.SCORE_KIND_MAX_SIM,
        }
        assert scores["dense"].score <= 1 < scores["tokens"].score


async def test_requests_at_the_same_time_are_not_mixed(servers: Servers, wire: QdrantWire) -> None:
    async with serving(servers, wire) as client:
        await client.fill()
        wire.requests.clear()
        await asyncio.gather(*(client.search(text, "dense | sparse | tokens") for text in TEXTS.values()))
        asked = [{each.using for each in call.message.query_points} for call in wire.calls("QueryBatch")]
        assert asked == [{"dense", "words", "tokens"}] * len(TEXTS)


async def test_a_stage_without_a_vector_for_the_query_does_not_keep_the_others(
    servers: Servers, wire: QdrantWire
) -> None:
    async with serving(servers, wire) as client:
        await client.fill()
        wire.requests.clear()
        found = await client.search("?!", "dense | sparse")
        (request,) = wire.calls("QueryBatch")
        assert [each.using for each in request.message.query_points] == ["dense"]
        assert outcomes(found)["sparse"] == passage_pb2.STAGE_OUTCOME_RAN


async def test_more_is_asked_for_when_the_filter_took_too_many(servers: Servers, wire: QdrantWire) -> None:
    async with serving(servers, wire) as client:
        await client.create()
        numbers = [value_pb2.Value(int_value=number) for number in range(30)]
        documents = [
            passage_pb2.Document(id=f"{each.int_value}", text=f"sauce {each.int_value}", metadata={"n": each})
            for each in numbers
        ]
        await client.write(documents)
        await client.wait()
        wire.requests.clear()
        above = filter_pb2.Comparison(field="n", operator=filter_pb2.COMPARISON_OPERATOR_GREATER, value=numbers[26])
        found = await client.search("sauce", "dense % 3 | sparse % 3", filter=filter_pb2.Filter(comparison=above))
        assert len(wire.calls("QueryBatch")[0].message.query_points) == 2
        assert {each.passage.document_id for each in found.hits} == {"27", "28", "29"}


async def test_the_deadline_crosses_the_wire_in_fractions_of_a_second(servers: Servers, wire: QdrantWire) -> None:
    async with serving(servers, wire) as client:
        await client.fill()
        wire.requests.clear()
        await client.search("sauce", "dense | sparse", timeout=9.75)
        (request,) = wire.calls("QueryBatch")
        assert request.remaining is not None
        # 9.75 less the margin for the way back; gRPC itself rounds to hundredths.
        assert 0 < request.remaining < 9.5, "not rounded up to whole seconds"
        assert request.message.timeout >= request.remaining, "whole seconds, and never sooner than the client"


async def test_a_search_that_takes_too_long_is_given_up_at_the_server_too_and_the_others_stand(
    servers: Servers, wire: QdrantWire
) -> None:
    async with serving(servers, wire) as client:
        await client.fill()
        with wire.hold():
            found = await client.search("smooth sauce", "bm25 | dense | sparse", timeout=2.5)
            await asyncio.to_thread(wire.wait_cancelled, "QueryBatch")
        reports = {each.stage: each for each in found.stage_reports}
        assert reports["dense"].outcome == reports["sparse"].outcome == passage_pb2.STAGE_OUTCOME_UNREACHABLE
        assert reports["dense"].reason == passage_pb2.STAGE_REASON_DEADLINE
        assert {each.passage.document_id for each in found.hits} >= {"sieve", "spoon"}


async def test_a_caller_who_leaves_ends_the_search_at_the_server(servers: Servers, wire: QdrantWire) -> None:
    async with serving(servers, wire) as client:
        await client.fill()
        with wire.hold():
            search = asyncio.create_task(client.search("smooth sauce", "dense | sparse"))
            await asyncio.to_thread(wire.wait_for, "QueryBatch")
            search.cancel()
            await asyncio.gather(search, return_exceptions=True)
            await asyncio.to_thread(wire.wait_cancelled, "QueryBatch")


async def test_a_server_that_is_away_costs_its_stages_alone_and_is_found_again(
    servers: Servers, wire: QdrantWire
) -> None:
    async with serving(servers, wire) as client:
        await client.fill()
        wire.stop()
        found = await client.search("smooth sauce", "bm25 | dense | sparse")
        reports = {each.stage: each for each in found.stage_reports}
        assert reports["bm25"].outcome == passage_pb2.STAGE_OUTCOME_RAN
        assert reports["dense"].outcome == reports["sparse"].outcome == passage_pb2.STAGE_OUTCOME_UNREACHABLE
        assert reports["dense"].reason == passage_pb2.STAGE_REASON_FAILED
        assert {each.passage.document_id for each in found.hits} >= {"sieve", "spoon"}
        with pytest.raises(CallFailed) as caught:
            await client.search("smooth sauce", "dense")
        assert caught.value.code is grpc.StatusCode.UNAVAILABLE
        wire.start()
        assert await _found_again(client) >= {"sieve", "spoon"}


async def _found_again(client: Client) -> set[str]:
    """Searches until the connection is made anew."""
    while True:
        try:
            return await client.found("smooth sauce", "dense")
        except CallFailed as failed:
            assert failed.code is grpc.StatusCode.UNAVAILABLE


async def test_what_is_written_while_the_server_is_away_is_indexed_once_it_is_back(
    servers: Servers, wire: QdrantWire
) -> None:
    async with serving(servers, wire) as client:
        await client.fill()
        wire.stop()
        await client.write([passage_pb2.Document(id="away", text="written while it was away")])
        await client.index.DeleteDocuments(
            index_service_pb2.DeleteDocumentsRequest(collection="docs", document_ids=["pan"])
        )
        states = await _problem(client)
        assert states == {"bm25": "", "dense": "APPLY_FAILED"}
        wire.start()
        await client.wait()
        for pipeline in ("dense", "sparse", "tokens", "far"):
            found = await client.search("written while it was away", pipeline)
            assert found.hits[0].passage.document_id == "away"
        assert "pan" not in await client.found("an iron pan wants oil", "dense")


async def test_a_server_that_goes_and_comes_back_while_much_is_written_and_searched_loses_nothing(
    servers: Servers, wire: QdrantWire
) -> None:
    async with serving(servers, wire) as client:
        await client.fill()
        written: set[str] = {*TEXTS}
        for turn in range(3):
            with wire.hold():
                wire.requests.clear()
                written |= await _write(client, turn, "before")
                await asyncio.to_thread(wire.wait_for, "Scroll")  # so that it goes under a batch
                wire.stop()
            written |= await _write(client, turn, "while")
            await client.index.DeleteDocuments(
                index_service_pb2.DeleteDocumentsRequest(collection="docs", document_ids=[f"{turn}-before-0"])
            )
            written.remove(f"{turn}-before-0")
            found = await client.search("smooth sauce", "bm25 | dense", page_size=100)
            assert outcomes(found)["bm25"] == passage_pb2.STAGE_OUTCOME_RAN
            assert outcomes(found)["dense"] == passage_pb2.STAGE_OUTCOME_UNREACHABLE
            assert {each.passage.document_id for each in found.hits} >= {"sieve", "spoon"}
            assert (await _problem(client))["dense"] == "APPLY_FAILED"
            wire.start()
            await client.wait()
        said = written - {"knife", "kettle"}
        for pipeline, expected in {"bm25": said, "sparse": said, "dense": written}.items():
            found = await client.search("smooth sauce", pipeline, page_size=100)
            assert {each.passage.document_id for each in found.hits} == expected, pipeline
        (collection,) = wire.collections.values()
        assert sorted(payload["d"] for payload, _ in collection.points.values() if "d" in payload) == sorted(written)


async def _write(client: Client, turn: int, when: str) -> set[str]:
    """The ids of some documents that everybody finds."""
    names = [f"{turn}-{when}-{number}" for number in range(5)]
    await client.write([passage_pb2.Document(id=each, text=f"a smooth sauce {each}") for each in names])
    return {*names}


async def _problem(client: Client) -> dict[str, str]:
    """The problem of each index, once one has any."""
    while True:
        request = index_service_pb2.GetCollectionRequest(collection="docs")
        states = (await client.index.GetCollection(request)).collection.indexes
        if any(each.problem for each in states):
            return {each.stage: each.problem for each in states}


async def test_a_batch_that_breaks_off_half_way_is_done_again(servers: Servers, wire: QdrantWire) -> None:
    async with serving(servers, wire) as client:
        await client.fill()
        wire.failing["Upsert"] = grpc.StatusCode.UNAVAILABLE
        await client.write([passage_pb2.Document(id="pan", text="a copper pan")])
        await _problem(client)
        assert _checkpoint(wire) == len(TEXTS), "never ahead of what is there"
        del wire.failing["Upsert"]
        await client.wait()
        assert (await client.search("copper", "sparse")).hits[0].passage.document_id == "pan"
        assert _checkpoint(wire) == len(TEXTS) + 1


async def test_a_server_that_lost_everything_is_filled_again_from_the_journal(
    servers: Servers, wire: QdrantWire
) -> None:
    async with serving(servers, wire) as client:
        await client.fill()
        wire.collections.clear()
        with pytest.raises(CallFailed) as caught:  # and no empty list of hits, as if there was nothing
            await client.search("smooth sauce", "dense")
        assert caught.value.code is grpc.StatusCode.UNAVAILABLE
        await client.write([passage_pb2.Document(id="new", text="new")])
        await client.wait()
        assert await client.found("smooth sauce", "dense") == {*TEXTS, "new"}


async def test_a_server_restored_from_a_backup_is_brought_up_to_date(servers: Servers, wire: QdrantWire) -> None:
    async with serving(servers, wire) as client:
        await client.fill()
        (collection,) = wire.collections.values()
        backup = dict(collection.points)
        await client.write([passage_pb2.Document(id="later", text="later")])
        await client.wait()
        collection.points = backup
        await client.write([passage_pb2.Document(id="latest", text="latest")])
        await client.wait()
        assert await client.found("smooth sauce", "dense") == {*TEXTS, "later", "latest"}


async def test_tamis_starts_while_the_server_is_away_and_follows_once_it_is_there(
    servers: Servers, wire: QdrantWire
) -> None:
    async with serving(servers, wire) as client:
        await client.fill()
    wire.stop()
    async with serving(servers, wire) as client:
        assert await client.found("smooth sauce", "bm25 | dense") >= {"sieve", "spoon"}
        await client.write([passage_pb2.Document(id="new", text="new")])
        assert (await _problem(client))["dense"] == "APPLY_FAILED"
        await client.create("other")
        await client.write([passage_pb2.Document(id="new", text="new")], collection="other")
        wire.start()
        await client.wait()
        await client.wait("other")
        assert await client.found("smooth sauce", "dense") == {*TEXTS, "new"}
    assert len(wire.collections) == 2


async def test_a_collection_that_is_deleted_goes_at_the_server_and_one_created_again_never_meets_its_points(
    servers: Servers, wire: QdrantWire
) -> None:
    async with serving(servers, wire) as client:
        await client.fill()
        (first,) = wire.collections
        assert first.startswith("tamis-docs-")
        assert first.endswith("-dense")
        await client.index.DeleteCollection(index_service_pb2.DeleteCollectionRequest(collection="docs"))
        assert wire.collections == {}
        await client.fill({"c": "smooth gravy"})
        assert first not in wire.collections
        assert await client.found("smooth sauce", "dense | sparse | tokens") == {"c"}


async def test_vectors_of_another_embedder_are_refused_at_the_start(servers: Servers, wire: QdrantWire) -> None:
    async with serving(servers, wire) as client:
        await client.fill()
    for changed in (
        STAGES.replace("size = 16", "size = 24"),
        STAGES.replace('index = "dense"\n[stages.tokens]', 'index = "dense"\nk1 = 0.9\n[stages.tokens]'),
    ):
        assert changed != STAGES
        with pytest.raises(ConfigurationError, match="another embedder or with other settings"):
            async with serving(servers, wire, changed):
                pass
    async with serving(servers, wire) as client:
        assert await client.found("smooth sauce", "dense") == set(TEXTS)


async def test_the_key_goes_with_every_call_and_into_no_message(
    servers: Servers, wire: QdrantWire, capsys: pytest.CaptureFixture[str]
) -> None:
    async with serving(servers, wire) as client:
        await client.fill()
        await client.search("smooth sauce")
        assert {each.metadata.get("api-key") for each in wire.requests} == {KEY}
        wire.key = "another"
        found = await client.search("smooth sauce", "bm25 | dense")
        assert outcomes(found)["dense"] == passage_pb2.STAGE_OUTCOME_UNREACHABLE
        await client.write([passage_pb2.Document(id="new", text="new")])
        assert (await _problem(client))["dense"] == "APPLY_FAILED"
    with pytest.raises(ConfigurationError, match="refuses the key") as caught:
        async with serving(servers, wire):
            pass
    assert KEY not in "".join((str(caught.value), repr(caught.value), *capsys.readouterr()))


async def test_a_server_that_wants_a_key_says_so_at_the_start(servers: Servers, wire: QdrantWire) -> None:
    async with servers.start("") as client:
        await client.create()
    with pytest.raises(ConfigurationError, match="wants a key: set api_key_file"):
        async with servers.start(STAGES.format(url=wire.url, key="")):
            pass


async def test_a_server_that_refuses_for_now_is_overloaded(servers: Servers, wire: QdrantWire) -> None:
    async with serving(servers, wire) as client:
        await client.fill()
        wire.failing["QueryBatch"] = grpc.StatusCode.RESOURCE_EXHAUSTED
        found = await client.search("smooth sauce", "bm25 | dense")
        reasons = {each.stage: each.reason for each in found.stage_reports}
        assert reasons["dense"] == passage_pb2.STAGE_REASON_OVERLOADED


def _checkpoint(wire: QdrantWire) -> int:
    (collection,) = wire.collections.values()
    return max(int(payload.get("checkpoint", 0)) for payload, _ in collection.points.values())
