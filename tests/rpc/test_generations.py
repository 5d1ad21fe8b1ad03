"""Collections that are embedded or divided anew while they are searched and written to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeAlias

import pytest
from real_server import CallFailed, Client, Servers, fakes

from tamis.errors import ConfigurationError
from tamis.testing.plugins import trace
from tamis.v1 import index_service_pb2 as pb
from tamis.v1 import passage_pb2, search_service_pb2

STAGES = """
[models.hash]
plugin = "fake-hash"
[stages.bm25]
plugin = "tantivy"
[stages.dense]
plugin = "qdrant"
embedder = "hash"
[pipelines.default]
expression = "bm25 | dense"
"""
OTHER_EMBEDDER = """
[models.wide]
plugin = "fake-hash"
size = 96
[stages.dense-wide]
plugin = "qdrant"
embedder = "wide"
replaces = "dense"
"""
OTHER_CHUNKER = """
[ingest]
chunker = "short"
[models.short]
plugin = "sentences"
max_tokens = 32
overlap_tokens = 0
"""
QUERY = "smooth sauce"
Seen: TypeAlias = tuple[tuple[str, str, float], ...]
LONG = " ".join(f"Sieve number {number} makes the sauce as smooth as a sauce can be made." for number in range(6))


def _documents(*ids: str, text: str = LONG) -> list[passage_pb2.Document]:
    return [passage_pb2.Document(id=id, text=f"{id}. {text}") for id in ids]


async def _collection(client: Client) -> pb.Collection:
    found = await client.call(client.index.GetCollection(pb.GetCollectionRequest(collection="docs")))
    return found.collection  # type: ignore[no-any-return]


async def _build(client: Client) -> pb.Generation:
    built = await client.call(client.index.BuildGeneration(pb.BuildGenerationRequest(collection="docs")))
    return built.generation  # type: ignore[no-any-return]


async def _known(client: Client, number: int, holds: Callable[[pb.Generation], bool]) -> pb.Generation:
    """Asks until something holds of a generation."""
    async with asyncio.timeout(30):
        while True:
            found = _generation(await _collection(client), number)
            if holds(found):
                return found
            await asyncio.sleep(0.01)


async def _ready(client: Client, number: int) -> pb.Generation:
    return await _known(client, number, lambda each: each.state != pb.GENERATION_STATE_BUILDING)


def _generation(collection: pb.Collection, number: int) -> pb.Generation:
    (found,) = [each for each in collection.generations if each.number == number]
    return found


async def _switch(client: Client, number: int, timeout: float | None = 20) -> pb.Collection:
    request = pb.SwitchGenerationRequest(collection="docs", generation=number)
    switched = await client.call(client.index.SwitchGeneration(request, timeout=timeout))
    return switched.collection  # type: ignore[no-any-return]


async def _drop(client: Client, number: int) -> None:
    await client.call(client.index.DropGeneration(pb.DropGenerationRequest(collection="docs", generation=number)))


def _seen(response: search_service_pb2.SearchResponse) -> Seen:
    """What tells generations apart: the passages by their texts, the vectors by their scores. What is written meanwhile
    does not change it."""
    found = [
        (each.passage.id, each.passage.text, round(score.score, 5))
        for each in response.hits
        for score in each.stage_scores
        if score.stage == "dense" and each.passage.document_id != "meanwhile"
    ]
    return tuple(sorted(found))


class Searchers:
    """Four callers who search without a pause. What one of them meets is raised at the end."""

    def __init__(self, client: Client) -> None:
        self.seen: set[Seen] = set()
        self._client, self._going, self._more = client, True, asyncio.Event()

    async def __aenter__(self) -> Searchers:
        self._tasks = [asyncio.create_task(self._search()) for _ in range(4)]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._going = False
        await asyncio.gather(*self._tasks)

    async def see(self, wanted: Seen) -> None:
        """Returns once one of them has seen it."""
        async with asyncio.timeout(30):
            while wanted not in self.seen:
                self._more.clear()
                await self._more.wait()

    async def _search(self) -> None:
        while self._going:
            response = await self._client.search(QUERY, page_size=50)
            assert {each.outcome for each in response.stage_reports} == {passage_pb2.STAGE_OUTCOME_RAN}
            self.seen.add(_seen(response))
            self._more.set()


@pytest.mark.parametrize(
    "change", [OTHER_EMBEDDER, OTHER_CHUNKER, OTHER_EMBEDDER + OTHER_CHUNKER], ids=["embedder", "chunker", "both"]
)
async def test_whoever_searches_meanwhile_sees_one_generation_or_the_other_and_no_failure(
    servers: Servers, change: str
) -> None:
    async with servers.start(STAGES) as client:
        await client.create()
        await client.write(_documents("a", "b", "c"))
        await client.wait()
        before = _seen(await client.search(QUERY, page_size=50))
    async with servers.start(STAGES + change) as client, Searchers(client) as searchers:
        await searchers.see(before)
        assert (await _build(client)).number == 2
        await client.write(_documents("meanwhile", text="A kettle sings."))
        await _ready(client, 2)
        await _switch(client, 2)
        after = _seen(await client.search(QUERY, page_size=50))
        await searchers.see(after)
        await _switch(client, 1)
        back = _seen(await client.search(QUERY, page_size=50))
        await _switch(client, 2)
        await _drop(client, 1)
        assert "meanwhile" in await client.found("kettle")
    assert before == back != after
    assert searchers.seen == {before, after}


LINES = """
[ingest]
chunker = "lines"
[models.lines]
plugin = "fake-lines"
behaviour = "raises"
"""


def _lines(*ids: str, text: str = "A smooth sauce.\nA dull knife.") -> list[passage_pb2.Document]:
    return [passage_pb2.Document(id=id, text=text) for id in ids]


async def _texts(client: Client, query: str = "smooth dull kettle") -> set[tuple[str, str]]:
    response = await client.search(query, "words % 1000", page_size=1_000)
    return {(each.passage.document_id, each.passage.text) for each in response.hits}


async def test_what_is_written_and_deleted_during_the_build_is_in_the_new_generation(servers: Servers) -> None:
    async with servers.start(fakes()) as client:
        await client.create()
        await client.write(_lines(*(f"d{number}" for number in range(300))))
        await client.wait()
    trace.gate.set()
    async with servers.start(fakes() + LINES) as client:
        await _build(client)
        for number in range(0, 300, 30):
            await client.write(_lines(f"d{number}", text="A kettle.\nA new kettle."), _lines(f"new{number}"))
            gone = pb.DeleteDocumentsRequest(collection="docs", document_ids=[f"d{number + 1}"])
            await client.call(client.index.DeleteDocuments(gone))
        await _ready(client, 2)
        whole = dict(await _texts(client))
        known = await _switch(client, 2)
        assert known.serving_generation == 2
        assert known.passage_count == 2 * known.document_count == 2 * len(whole) == 600
        assert await _texts(client) == {
            (document, line) for document, text in whole.items() for line in text.splitlines()
        }
        # the way back is as good: what is written now is in both
        await client.write(_lines("late"))
        await client.wait()
        await _ready(client, 1)
        await _switch(client, 1)
        assert ("late", "A smooth sauce.\nA dull knife.") in await _texts(client)


async def test_a_build_that_cannot_go_on_says_so_and_neither_serves_nor_stands_in_the_way_of_searches(
    servers: Servers,
) -> None:
    async with servers.start(fakes()) as client:
        await client.create()
        await client.write(_lines("a", "b"))
        await client.wait()
    async with servers.start(fakes() + LINES) as client:
        await _build(client)
        state = await _known(client, 2, lambda each: all(index.problem for index in each.indexes))
        known = await _collection(client)
        assert (state.state, state.chunker) == (pb.GENERATION_STATE_BUILDING, "lines")
        assert {each.problem for each in state.indexes} == {"DIVISION_FAILED"}
        assert _generation(known, 1).state == pb.GENERATION_STATE_SERVING
        for attempt in (_switch(client, 2), _build(client)):
            with pytest.raises(CallFailed) as failed:
                await attempt
            assert failed.value.reason == "FAILED_PRECONDITION"
        assert len(await _texts(client)) == 2
    async with servers.start(fakes() + LINES) as client:  # as after any end: it is gone on with
        trace.gate.set()
        await _ready(client, 2)
        await _switch(client, 2)
        assert len(await _texts(client)) == 4
        await _drop(client, 1)
        assert [each.number for each in (await _collection(client)).generations] == [2]


async def test_a_build_is_given_up_by_dropping_it_and_the_next_one_has_another_number(servers: Servers) -> None:
    async with servers.start(fakes() + LINES.replace("raises", "ok")) as client:
        await client.fill({"a": "A smooth sauce."})
        for number in (2, 3):
            assert (await _build(client)).number == number
            await _ready(client, number)
            await _drop(client, number)
        known = await _collection(client)
        assert ([each.number for each in known.generations], known.serving_generation) == ([1], 1)


async def test_the_generation_that_serves_is_not_dropped_and_one_that_is_not_there_is_not_found(
    servers: Servers,
) -> None:
    async with servers.start(fakes()) as client:
        await client.fill()
        with pytest.raises(CallFailed) as failed:
            await _drop(client, 1)
        assert failed.value.reason == "FAILED_PRECONDITION"
        for attempt in (_drop(client, 2), _switch(client, 2)):
            with pytest.raises(CallFailed) as failed:
                await attempt
            assert (failed.value.reason, list(failed.value.violations)) == ("NOT_FOUND", ["generation"])
        with pytest.raises(CallFailed) as failed:
            await _switch(client, 0)
        assert list(failed.value.violations) == ["generation"]
        assert (await _switch(client, 1)).serving_generation == 1  # what is so already is no error


REPLACED = (
    fakes("words")
    + """
[stages.later]
plugin = "fake-memory"
behaviour = "cannot_index"
replaces = "words"
"""
)


async def test_a_generation_that_is_behind_does_not_serve_and_the_message_says_where(servers: Servers) -> None:
    async with servers.start(fakes("words")) as client:
        await client.fill()
    async with servers.start(REPLACED, default_deadline=1.0) as client:
        built = await _build(client)
        assert dict(built.replacements) == {"words": "later"}
        with pytest.raises(CallFailed) as failed:
            await _switch(client, 2, timeout=None)  # the server's default, so that the server is who ends it
        assert failed.value.reason == "FAILED_PRECONDITION"
        assert "words by 5 changes" in failed.value.message
        assert (await _collection(client)).serving_generation == 1
        trace.gate.set()
        await _ready(client, 2)
        await _switch(client, 2)
        response = await client.search("sauce", "words")
        assert [each.stage for each in response.stage_reports] == ["words"]
        assert len(response.hits) == 3


async def test_a_new_collection_begins_with_the_replacement(servers: Servers) -> None:
    trace.gate.set()
    async with servers.start(REPLACED) as client:
        await client.fill()
        assert dict(_generation(await _collection(client), 1).replacements) == {"words": "later"}
        assert await client.found("sauce", "words") == {"sieve", "pan", "spoon"}


async def test_a_replacement_is_not_named_in_a_pipeline(servers: Servers) -> None:
    async with servers.start(REPLACED) as client:
        await client.create()
        with pytest.raises(CallFailed) as failed:
            await client.search("sauce", "later % 5 >> rank")
        assert "no stage named 'later'" in failed.value.message


async def test_once_it_serves_the_replacement_takes_the_name_and_the_former_settings_go(servers: Servers) -> None:
    async with servers.start(STAGES) as client:
        await client.create()
        await client.write(_documents("a"))
        await client.wait()
    async with servers.start(STAGES + OTHER_EMBEDDER) as client:
        await _build(client)
        await _ready(client, 2)
        await _switch(client, 2)
        after = _seen(await client.search(QUERY))
    renamed = STAGES.replace('plugin = "fake-hash"', 'plugin = "fake-hash"\nsize = 96')
    async with servers.start(renamed) as client:
        assert _seen(await client.search(QUERY)) == after
        former = _generation(await _collection(client), 1)  # its vectors are of an embedder that is not there any more
        assert {each.stage: each.problem for each in former.indexes} == {"bm25": "", "dense": "INDEX_CANNOT_BE_OPENED"}
        assert former.state == pb.GENERATION_STATE_BUILDING
        with pytest.raises(CallFailed) as failed:
            await _switch(client, 1)
        assert failed.value.reason == "FAILED_PRECONDITION"
        await _drop(client, 1)
    async with servers.start(renamed) as client:
        assert _seen(await client.search(QUERY)) == after
        assert len((await _collection(client)).generations) == 1


async def test_a_chunker_that_a_generation_needs_is_missed_at_the_start(servers: Servers) -> None:
    async with servers.start(fakes() + LINES.replace("raises", "ok")) as client:
        await client.fill()
    with pytest.raises(ConfigurationError, match=r"'docs', generation 1: .*'lines'.* keep the table \[models.lines\]"):
        async with servers.start(fakes()):
            pass


async def test_searches_end_before_what_they_read_is_dropped(servers: Servers) -> None:
    async with servers.start(fakes("words", words='behaviour = "asks_its_call"')) as client:
        await client.fill()
        await _build(client)
        await _ready(client, 2)
        searching = asyncio.create_task(client.search("sauce"))
        assert await asyncio.to_thread(trace.entered.wait, 60)
        await _switch(client, 2)
        dropping = asyncio.create_task(_drop(client, 1))
        async with asyncio.timeout(20):
            while len((await _collection(client)).generations) > 1:
                pass  # until it is dropped for everybody else
        trace.gate.set()
        assert len((await searching).hits) == 3
        await dropping


async def test_a_drop_that_waits_for_searches_leaves_a_collection_that_is_created_anew_alone(servers: Servers) -> None:
    async with servers.start(fakes("words", words='behaviour = "asks_its_call"')) as client:
        await client.fill()
        await _build(client)
        await _ready(client, 2)
        searching = asyncio.create_task(client.search("sauce"))
        assert await asyncio.to_thread(trace.entered.wait, 60)
        await _switch(client, 2)
        dropping = asyncio.create_task(_drop(client, 1))
        async with asyncio.timeout(20):
            while len((await _collection(client)).generations) > 1:
                pass  # until it is dropped for everybody else
        await client.call(client.index.DeleteCollection(pb.DeleteCollectionRequest(collection="docs")))
        await client.fill()
        trace.gate.set()
        await asyncio.gather(searching, dropping, return_exceptions=True)
        assert [each.stage for each in (await _collection(client)).indexes] == ["more", "words"]
        assert len((await client.search("sauce")).hits) == 3


async def test_what_a_dropped_generation_kept_on_the_disk_is_gone(servers: Servers) -> None:
    async with servers.start(STAGES) as client:
        await client.fill()
        await _build(client)
        await _ready(client, 2)
        (incarnation,) = (servers.folder / "indexes").iterdir()
        assert {each.name for each in incarnation.iterdir()} == {"bm25", "dense", "2"}
        await _switch(client, 2)
        await _drop(client, 1)
        assert {each.name for each in incarnation.iterdir()} == {"2"}
    (incarnation / "7" / "bm25").mkdir(parents=True)  # of a generation that nobody knows
    async with servers.start(STAGES) as client:
        assert await client.found("sauce", "bm25") == {"sieve", "pan", "spoon"}
        assert {each.name for each in incarnation.iterdir()} == {"2"}


async def test_a_write_that_was_divided_before_a_build_began_is_in_the_new_generation_as_well(
    servers: Servers,
) -> None:
    blocking = fakes() + LINES.replace("raises", "blocks")
    async with servers.start(blocking) as client:
        await client.create()
    async with servers.start(blocking.replace('chunker = "lines"', 'chunker = ""')) as client:
        writing = asyncio.create_task(client.write(_lines("a")))
        assert await asyncio.to_thread(trace.entered.wait, 60)
        assert (await _build(client)).chunker == ""
        trace.gate.set()
        await writing
        await client.wait()
        assert len(await _texts(client)) == 2
        await _ready(client, 2)
        await _switch(client, 2)
        assert await _texts(client) == {("a", "A smooth sauce.\nA dull knife.")}


async def test_a_chunker_that_was_changed_in_its_place_divides_anew_with_the_next_generation(servers: Servers) -> None:
    short = OTHER_CHUNKER.replace("max_tokens = 32", "max_tokens = 64")
    async with servers.start(fakes() + short) as client:
        await client.create()
        await client.write(_documents("a"))
        before = (await _collection(client)).passage_count
    async with servers.start(fakes() + OTHER_CHUNKER) as client:
        await _build(client)
        await _ready(client, 2)
        assert (await _switch(client, 2)).passage_count > before


async def test_a_chunker_may_have_another_name_as_long_as_it_divides_in_the_same_way(servers: Servers) -> None:
    async with servers.start(fakes() + OTHER_CHUNKER) as client:
        await client.create()
        await client.write(_documents("a"))
    async with servers.start(fakes() + OTHER_CHUNKER.replace("short", "renamed")) as client:
        assert (await client.write(_documents("a")))[0].unchanged_count == 1
        await _build(client)  # which shares its passages, so that nothing is divided
        assert _generation(await _collection(client), 2).divided_document_count == 1
        await _ready(client, 2)
