"""The asynchronous client across the socket, on asyncio's loop and on uvloop's."""

from __future__ import annotations

import asyncio
import inspect
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from real_server import TEXTS, Servers, fakes

from tamis.client import (
    AnswerDelta,
    AsyncClient,
    Cancelled,
    Client,
    Completed,
    Document,
    HitsRevised,
    NotFound,
    Passage,
    StageCompleted,
    field,
)
from tamis.testing.plugins import trace

PASSAGES = [Passage("1", "Tea."), Passage("2", "lime")]
MANY = 200
SLOW = fakes(f"words % {MANY} >> answer", answer="seconds = 0.2")  # 40 seconds of writing
HANGING = fakes("words >> rank", rank='behaviour = "never_returns"')


async def _filled(client: AsyncClient) -> None:
    await client.create_collection("docs")

    async def documents() -> AsyncIterator[Document]:
        for id, text in TEXTS.items():
            yield Document(id, text, metadata={"name": id})

    written = await client.write("docs", documents(), batch_size=2)
    assert (written.batch, written.written_count) == (3, len(TEXTS))
    await client.wait_indexed("docs", written.sequence)


async def _searched_and_listed(client: AsyncClient) -> None:
    await _filled(client)
    result = await client.search("docs", "a smooth sauce", filter=field("name") != "sieve")
    assert result.hits[0].document_id == "spoon"
    assert result.answer.text
    events = [event async for event in client.stream_search("docs", "a smooth sauce")]
    assert isinstance(events[-1], Completed)
    assert {type(each) for each in events} == {HitsRevised, StageCompleted, AnswerDelta, Completed}
    found = [hit.id async for page in client.pages("docs", "a sauce", pipeline="words", page_size=1) for hit in page]
    assert len(set(found)) == len(found) == 4
    assert [each.id async for each in client.documents("docs", page_size=2)] == sorted(TEXTS)
    reranked = await client.rerank("lime", [Passage("1", "Tea."), Passage("2", "lime")], pipeline="rank")
    assert reranked.hits[0].text == "lime"
    with pytest.raises(NotFound):
        await client.document("docs", "nobody")


async def test_an_asynchronous_client_does_what_the_blocking_one_does(servers: Servers) -> None:
    async with servers.start(fakes()) as server, AsyncClient(server.address, timeout=30) as client:
        await _searched_and_listed(client)


@pytest.mark.skipif(sys.platform == "win32", reason="uvloop is not for Windows")
def test_it_works_on_uvloop(tmp_path: Path) -> None:
    import uvloop

    async def run() -> None:
        assert isinstance(asyncio.get_running_loop(), uvloop.Loop)
        async with Servers(tmp_path).start(fakes()) as server, AsyncClient(server.address, timeout=30) as client:
            await _searched_and_listed(client)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())


async def test_cancelling_a_task_ends_its_call_on_the_server(servers: Servers) -> None:
    async with servers.start(HANGING) as server, AsyncClient(server.address, timeout=60) as client:
        task = asyncio.create_task(client.rerank("smooth sauce", PASSAGES, pipeline="rank"))
        assert await asyncio.to_thread(trace.entered.wait, 60)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(trace.left.wait, 60)


async def test_leaving_a_stream_ends_its_call_on_the_server(servers: Servers) -> None:
    async with servers.start(SLOW) as server, AsyncClient(server.address, timeout=60) as client:
        await server.fill({f"d{number}": f"sauce number {number}" for number in range(MANY)})
        async for event in client.stream_search("docs", "sauce", page_size=MANY):
            if isinstance(event, AnswerDelta):
                break
        assert await asyncio.to_thread(trace.left.wait, 60)
        assert trace.begun < MANY


async def test_a_task_that_is_cancelled_within_a_stream_ends_its_call(servers: Servers) -> None:
    async with servers.start(HANGING) as server, AsyncClient(server.address, timeout=60) as client:

        async def read() -> None:
            async for _ in client.stream_rerank("sauce", PASSAGES, pipeline="rank"):
                pass

        task = asyncio.create_task(read())
        assert await asyncio.to_thread(trace.entered.wait, 60)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(trace.left.wait, 60)


async def test_a_call_whose_client_is_closed_is_told_so_and_is_no_cancelled_task(servers: Servers) -> None:
    async with servers.start(HANGING) as server:
        client = AsyncClient(server.address, timeout=60)
        await server.fill()
        trace.entered.clear()
        task = asyncio.create_task(client.search("docs", "smooth sauce"))
        assert await asyncio.to_thread(trace.entered.wait, 60)
        await client.close()
        await client.close()
        with pytest.raises(Cancelled):
            await task
        with pytest.raises(RuntimeError, match="closed"):
            await client.search("docs", "sauce")


async def test_what_asynchronous_documents_raise_reaches_the_caller(servers: Servers) -> None:
    async def documents() -> AsyncIterator[Document]:
        yield Document("a", "one")
        yield Document("b", "two")
        raise LookupError("the source is gone")

    async with servers.start(fakes("words")) as server, AsyncClient(server.address, timeout=30) as client:
        await client.create_collection("docs")
        with pytest.raises(LookupError, match="the source is gone"):
            await client.write("docs", documents(), batch_size=1)
        assert (await client.collection("docs")).document_count == 1


async def test_documents_that_come_more_slowly_than_the_timeout_are_all_written(servers: Servers) -> None:
    """The stream ends by its deadline while it waits for the caller; another one follows."""
    async with servers.start(fakes("words")) as server, AsyncClient(server.address, timeout=30) as client:
        await client.create_collection("docs")
        streams = 0
        write = client.stubs.index.WriteDocuments
        passed = asyncio.Event()

        def counted(*arguments: object, **options: object) -> object:
            nonlocal streams
            streams += 1
            if streams == 3:
                passed.set()
            return write(*arguments, **options)

        client.stubs.index.WriteDocuments = counted

        async def documents() -> AsyncIterator[Document]:
            yield Document("a", "one")
            await passed.wait()
            yield Document("b", "two")

        written = await client.write("docs", documents(), batch_size=1, timeout=0.5)
        assert (written.batch, written.written_count) == (2, 2)


def test_both_clients_offer_the_same() -> None:
    def offered(kind: type) -> dict[str, list[str]]:
        methods = {name: each for name, each in vars(kind).items() if inspect.isfunction(each) and name[0] != "_"}
        return {name: list(inspect.signature(each).parameters) for name, each in methods.items()}

    assert offered(Client) == offered(AsyncClient)
    assert list(inspect.signature(Client).parameters.values()) == list(
        inspect.signature(AsyncClient).parameters.values()
    )
