"""A server whose stages and models run in other processes: degraded without them, whole again with them."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from plugin_hosts import PluginProcess, certificates, foreign, hosting
from real_server import CallFailed, Client, Servers

from tamis.errors import ConfigurationError
from tamis.v1 import passage_pb2, plugin_service_pb2_grpc, search_service_pb2, value_pb2
from tamis.v1 import plugin_service_pb2 as pb
from tamis_remote import RemoteReranker

_HOSTED = """
[models.hash]
plugin = "fake-hash"
[models.scripted]
plugin = "fake-scripted"
reply = "The moon is round."
[stages.rank]
plugin = "fake-words"
[stages.slow]
plugin = "fake-words"
seconds = 0.1
[stages.hanging]
plugin = "fake-words"
behaviour = "never_returns"
[stages.full]
plugin = "fake-words"
behaviour = "overloaded"
[stages.broken]
plugin = "fake-words"
behaviour = "raises"
[stages.words]
plugin = "fake-memory"
[stages.bm25]
plugin = "tantivy"
[stages.quotes]
plugin = "extractive"
max_sentences = 3
"""
_RANK = '[stages.rank]\nplugin = "fake-words"\n'
_RAN, _PARTIAL = passage_pb2.STAGE_OUTCOME_RAN, passage_pb2.STAGE_OUTCOME_PARTIAL
_FELL_BACK, _UNREACHABLE = passage_pb2.STAGE_OUTCOME_FELL_BACK, passage_pb2.STAGE_OUTCOME_UNREACHABLE
_CALM = "[planner]\nlearns = false\n"  # what is late here is late because the machine is busy
_UNTIL = 30.0


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PluginProcess]:
    with hosting(tmp_path_factory.mktemp("host"), _HOSTED) as process:
        yield process


def _stage(name: str, role: str, *addresses: str, component: str = "", more: str = "") -> str:
    section = "models" if role in ("embedder", "llm") else "stages"
    told = f"addresses = {list(addresses)}\ncomponent = '{component or name}'"
    return f'[{section}.{name}]\nplugin = "remote-{role}"\n{told}\n{more}\n'


def _pipeline(expression: str) -> str:
    return f'[pipelines.default]\nexpression = "{expression}"\n'


_LOCAL = '[stages.local]\nplugin = "fake-memory"\n'


def _reports(found: search_service_pb2.SearchResponse) -> dict[str, passage_pb2.StageReport]:
    return {each.stage: each for each in found.stage_reports}


async def _until(what: Callable[[], Awaitable[bool]]) -> None:
    """Asks again and again."""
    async with asyncio.timeout(_UNTIL):
        while not await what():  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_every_role_works_in_another_process(host: PluginProcess, servers: Servers) -> None:
    at = host.address
    stages = [
        _stage("hash", "embedder", at),
        _stage("words", "retriever", at),
        _stage("bm25", "retriever", at),
        _stage("rank", "reranker", at),
        _stage("answer", "generator", at, component="quotes", more="options = { max_sentences = 1 }"),
        '[stages.dense]\nplugin = "qdrant"\nembedder = "hash"\n',
        _pipeline("(words | bm25 | dense) % 10 >> rank >> answer"),
    ]
    async with servers.start("".join(stages)) as client:
        await client.fill()
        found = await client.search("smooth sauce")
        assert {each.outcome for each in found.stage_reports} == {_RAN}
        assert {each.passage.document_id for each in found.hits[:2]} == {"sieve", "spoon"}
        assert found.hits[0].score_kind == passage_pb2.SCORE_KIND_LOGIT
        assert found.answer.finish_reason == passage_pb2.FINISH_REASON_ANSWERED
        assert found.answer.citations
        assert found.answer.text.count(".") == 1, "the options of the configuration reach the component"
        override = search_service_pb2.StageOverride(stage="answer", setting="options", value=_map(max_sentences=3))
        longer = await client.search("smooth sauce", stage_overrides=[override])
        assert len(longer.answer.text) > len(found.answer.text)


async def test_filters_metadata_and_tenants_cross_the_wire_exactly(host: PluginProcess, servers: Servers) -> None:
    big = (1 << 53) + 1
    stages = _stage("bm25", "retriever", host.address) + _pipeline("bm25")
    async with servers.start(f'{stages}[tenancy]\nheader = "x-tenant"\nrequired = false\n') as client:
        await client.create()
        named = {"exact": big, "near": big - 1, "grüße 🎹.x": 7}
        documents = [
            passage_pb2.Document(id=key, text="common", metadata={"n": value_pb2.Value(int_value=value)})
            for key, value in named.items()
        ]
        await client.write(documents)
        await client.wait()
        filter = search_service_pb2.SearchRequest().filter
        filter.comparison.field, filter.comparison.operator = "n", 1
        filter.comparison.value.int_value = big
        assert await client.found("common", filter=filter) == {"exact"}
        assert await client.found("common") == named.keys()
        tenant = (("x-tenant", "acme"),)
        request = search_service_pb2.SearchRequest(collection="docs", query="common")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await client.searches.Search(request, metadata=tenant)
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_what_a_remote_stage_did_within_its_budget_counts(host: PluginProcess, servers: Servers) -> None:
    stages = _LOCAL + _stage("slow", "reranker", host.address) + _stage("hanging", "reranker", host.address)
    async with servers.start(_CALM + stages + _pipeline("local >> slow")) as client:
        await client.fill({str(number): "common" for number in range(50)})
        part = _reports(await client.search("common", timeout=3.0))["slow"]
        assert (part.outcome, part.reason) == (_PARTIAL, passage_pb2.STAGE_REASON_DEADLINE)
        assert 0 < part.done_count < 50
        late = _reports(await client.search("common", "local >> hanging", timeout=3.0))["hanging"]
        assert (late.outcome, late.reason) == (_FELL_BACK, passage_pb2.STAGE_REASON_DEADLINE)


async def test_a_call_ends_on_the_other_side_with_its_caller(host: PluginProcess, servers: Servers) -> None:
    waiting = _Waiting()
    async with foreign(waiting) as address:
        stages = _LOCAL + _stage("rank", "reranker", address) + _pipeline("local >> rank")
        async with servers.start(stages) as client:
            await client.fill()
            search = search_service_pb2.SearchRequest(collection="docs", query="sauce")
            call = client.searches.Search(search, timeout=60)
            code = asyncio.ensure_future(call.code())
            await asyncio.wait_for(waiting.entered.wait(), _UNTIL)
            call.cancel()
            assert await code is grpc.StatusCode.CANCELLED
            await asyncio.wait_for(waiting.left.wait(), _UNTIL)
    async with grpc.aio.insecure_channel(host.address) as channel:
        stub: Any = plugin_service_pb2_grpc.PluginServiceStub(channel)
        passages = [passage_pb2.Passage(id=str(number), text="common") for number in range(1_000)]
        of = pb.PluginCall(component="slow", contract_version=1, request_id="left-early")
        request = pb.PluginServiceRerankRequest(call=of, query="common", passages=passages)
        ranking = stub.Rerank(iter([request]), metadata=(("x-request-id", "left-early"),))
        assert (await ranking.read()).scores
        ranking.cancel()
        await _until(lambda: _is_told(host, "left-early", "CANCELLED"))


async def test_refusals_are_the_same_as_those_of_a_plugin_here(host: PluginProcess, servers: Servers) -> None:
    stages = _LOCAL + _stage("full", "reranker", host.address) + _stage("broken", "reranker", host.address)
    async with servers.start(stages + _pipeline("local")) as client:
        await client.fill()
        full = _reports(await client.search("sauce", "local >> full"))["full"]
        assert (full.outcome, full.reason) == (_FELL_BACK, passage_pb2.STAGE_REASON_OVERLOADED)
        found = await client.search("sauce", "local >> broken")
        broken = _reports(found)["broken"]
        assert (broken.outcome, broken.reason) == (_FELL_BACK, passage_pb2.STAGE_REASON_FAILED)
        assert found.hits


async def test_a_killed_reranker_costs_its_order_and_comes_back(tmp_path: Path, servers: Servers) -> None:
    with hosting(tmp_path / "one", _RANK) as process:
        stages = _LOCAL + _stage("rank", "reranker", process.address) + _pipeline("local >> rank")
        async with servers.start(_CALM + stages) as client, _load(client) as found:
            await _until(lambda: _ran(client))
            process.kill()
            report = _reports(await client.search("smooth sauce"))["rank"]
            assert (report.outcome, report.reason) == (_FELL_BACK, passage_pb2.STAGE_REASON_FAILED)
            assert report.notes == ["the remote component cannot be reached"]
            process.start()
            await _until(lambda: _ran(client))
        assert all(each.hits for each in found)
        outcomes = {_reports(each)["rank"].outcome for each in found}
        assert {_RAN, _FELL_BACK} <= outcomes


async def test_of_two_addresses_one_may_be_killed_or_stopped(tmp_path: Path, servers: Servers) -> None:
    busy = f"{_RANK}seconds = 0.05\n"  # so that there is always a call to be lost
    with hosting(tmp_path / "one", busy) as one, hosting(tmp_path / "two", busy) as two:
        stages = _LOCAL + _stage("rank", "reranker", one.address, two.address) + _pipeline("local >> rank")
        async with servers.start(_CALM + stages) as client, _load(client, "kettle") as found:
            await _until(lambda: _both_have_served(one, two))
            one.kill()
            count = len(found)
            await _until(lambda: _more_than(found, count + 10))
            one.start()
            served = len(one.calls("Rerank"))
            await _until(lambda: _more_than(one.calls("Rerank"), served))
            assert two.stop() == 0
            count = len(found)
            await _until(lambda: _more_than(found, count + 10))
        assert {_reports(each)["rank"].outcome for each in found} == {_RAN}


async def test_another_model_behind_the_same_name_is_refused(tmp_path: Path, servers: Servers) -> None:
    hosted = '[models.hash]\nplugin = "fake-hash"\nsize = {}\n'
    with hosting(tmp_path / "one", hosted.format(64)) as process:
        dense = '[stages.dense]\nplugin = "qdrant"\nembedder = "hash"\n'
        stages = _LOCAL + _stage("hash", "embedder", process.address) + dense + _pipeline("local | dense")
        async with servers.start(stages) as client:
            await client.fill()
            process.kill()
            process.configure(hosted.format(32))
            process.start()

            async def is_refused() -> bool:
                report = _reports(await client.search("sauce"))["dense"]
                return report.outcome == _UNREACHABLE and "FAILED_PRECONDITION" in process.calls("Embed")

            await _until(is_refused)


async def test_an_index_that_was_lost_is_filled_again(tmp_path: Path, servers: Servers) -> None:
    with hosting(tmp_path / "one", '[stages.bm25]\nplugin = "tantivy"\n') as process:
        async with servers.start(_stage("bm25", "retriever", process.address) + _pipeline("bm25")) as client:
            await client.fill()
            process.kill()
            with pytest.raises(CallFailed) as caught:
                await client.search("sauce")
            assert caught.value.code is grpc.StatusCode.UNAVAILABLE
            await client.write([passage_pb2.Document(id="written meanwhile", text="a sauce")])
            process.start()
            await client.wait()
            assert await client.found("sauce") == {"sieve", "pan", "spoon", "written meanwhile"}
            process.kill()
            process.lose_data()
            process.start()
            await client.write([passage_pb2.Document(id="later", text="another sauce")])
            await client.wait()
            assert await client.found("sauce") == {"sieve", "pan", "spoon", "written meanwhile", "later"}


async def test_a_server_starts_while_a_machine_is_away_that_it_has_known(tmp_path: Path, servers: Servers) -> None:
    with hosting(tmp_path / "one", _RANK) as process:
        rank = _stage("rank", "reranker", process.address, more="patience = 0.2")
        stages = _LOCAL + rank + _pipeline("local >> rank")
        known = {"cache_directory": str(tmp_path / "cache")}
        async with servers.start(stages, **known) as client:
            await client.fill()
        process.kill()
        async with servers.start(stages, **known) as client:
            assert _reports(await client.search("sauce"))["rank"].outcome == _FELL_BACK
            process.start()
            await _until(lambda: _ran(client))
        process.kill()
        with pytest.raises(ConfigurationError, match="cannot be reached"):
            async with servers.start(stages):
                pass


async def test_another_version_of_the_contract_is_refused_by_both_sides(host: PluginProcess, servers: Servers) -> None:
    async with grpc.aio.insecure_channel(host.address) as channel:
        stub: Any = plugin_service_pb2_grpc.PluginServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.Describe(pb.DescribeRequest(component="rank", contract_versions=[98, 99]))
        info = _info(caught.value)
        assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
        assert (info.reason, dict(info.metadata)) == ("UNSUPPORTED_CONTRACT", {"versions": "1"})
        described = await stub.Describe(pb.DescribeRequest(component="rank", contract_versions=[1, 99]))
        assert described.contract_version == 1
    async with foreign(_OfTheFuture()) as address:
        stages = _LOCAL + _stage("rank", "reranker", address) + _pipeline("local >> rank")
        with pytest.raises(ConfigurationError, match=r"does not speak version 1 of .* but 2, 3"):
            async with servers.start(stages):
                pass


@pytest.mark.parametrize(
    ("role", "component", "problem"),
    [
        ("reranker", "nothing", "no component named 'nothing'; there are: .*bm25.*hash"),
        ("reranker", "bm25", "is a retriever, not a reranker"),
        ("generator", "rank", "is a reranker, not a generator"),
    ],
)
async def test_what_is_not_there_is_refused_at_the_start(
    host: PluginProcess, servers: Servers, role: str, component: str, problem: str
) -> None:
    stages = _LOCAL + _stage("it", role, host.address, component=component) + _pipeline("local >> it")
    with pytest.raises(ConfigurationError, match=problem):
        async with servers.start(stages):
            pass


def test_the_doctor_says_whether_a_remote_component_answers(host: PluginProcess) -> None:
    answers = RemoteReranker.Settings(component="rank", addresses=(host.address,))
    assert RemoteReranker(answers).facts() == (f"answers: 'rank' at {host.address} is 'fake-words' of tamis-fakes 1.0",)
    nothing = RemoteReranker.Settings(component="rank", addresses=("127.0.0.1:1",))
    assert RemoteReranker(nothing).facts() == ("does not answer: 'rank' at 127.0.0.1:1 cannot be reached",)


async def test_an_index_is_at_one_address(host: PluginProcess, servers: Servers) -> None:
    stages = _stage("bm25", "retriever", host.address, host.address) + _pipeline("bm25")
    with pytest.raises(ConfigurationError, match="at one address"):
        async with servers.start(stages):
            pass


async def test_a_plugin_in_any_language_may_send_what_it_likes(servers: Servers) -> None:
    async with foreign(_Careless()) as address:
        stages = _LOCAL + _stage("rank", "reranker", address) + _pipeline("local >> rank")
        async with servers.start(stages) as client:
            await client.fill()
            found = await client.search("sauce")
            report = _reports(found)["rank"]
            assert report.outcome == _PARTIAL
            assert sorted(report.notes) == ["duplicate or unknown index dropped", "score that is not finite dropped"]
            assert {each.passage.document_id for each in found.hits} == {"sieve", "pan", "spoon"}
            assert found.hits[0].score == 3.5


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes its certificates with openssl")
async def test_tls_is_spoken_and_both_sides_are_checked(tmp_path: Path, servers: Servers) -> None:
    gpu, tamis, stranger = certificates(tmp_path, "gpu.test", "tamis.test", "stranger.test")
    files = f'certificate_file = "{gpu.certificate}"\nkey_file = "{gpu.key}"\nclient_ca_file = "{tamis.certificate}"\n'
    with hosting(tmp_path / "one", f"[plugin_server]\n{files}{_RANK}") as process:

        def stages(server_name: str, caller: Any) -> str:
            trust = f'ca_file = "{gpu.certificate}"\nserver_name = "{server_name}"\npatience = 1.0\n'
            proof = f'certificate_file = "{caller.certificate}"\nkey_file = "{caller.key}"\n' if caller else ""
            rank = _stage("rank", "reranker", process.address, more=trust + proof)
            return _LOCAL + rank + _pipeline("local >> rank")

        async with servers.start(stages("gpu.test", tamis)) as client:
            await client.fill()
            assert _reports(await client.search("sauce"))["rank"].outcome == _RAN
        for name, caller in (("other.test", tamis), ("gpu.test", stranger), ("gpu.test", None)):
            with pytest.raises(ConfigurationError, match="cannot be reached"):
                async with servers.start(stages(name, caller)):
                    pass


def _map(**fields: int) -> value_pb2.Value:
    values = {key: value_pb2.Value(int_value=value) for key, value in fields.items()}
    return value_pb2.Value(map_value=value_pb2.MapValue(fields=values))


@asynccontextmanager
async def _load(client: Client, query: str = "smooth sauce") -> AsyncIterator[list[search_service_pb2.SearchResponse]]:
    """Four searches at a time, one after the other, for as long as the context lasts; what they found."""
    await client.fill()
    found: list[search_service_pb2.SearchResponse] = []

    async def search() -> None:
        while True:
            found.append(await client.search(query))

    searches = [asyncio.create_task(search()) for _ in range(4)]
    try:
        yield found
    finally:
        ended = [each for each in searches if each.done()]
        for each in searches:
            each.cancel()
        await asyncio.gather(*searches, return_exceptions=True)
    for each in ended:
        each.result()  # raises what ended it


async def _ran(client: Client) -> bool:
    return _reports(await client.search("smooth sauce"))["rank"].outcome == _RAN


async def _both_have_served(*processes: PluginProcess) -> bool:
    return all(each.calls("Rerank") for each in processes)


async def _is_told(process: PluginProcess, request: str, code: str) -> bool:
    return code in process.calls("Rerank", request)


async def _more_than(items: list[Any], count: int) -> bool:
    return len(items) > count


class _OfTheFuture(plugin_service_pb2_grpc.PluginServiceServicer):
    """Speaks none of our versions."""

    async def Describe(self, request: pb.DescribeRequest, context: Any) -> pb.DescribeResponse:  # noqa: N802
        info = error_details_pb2.ErrorInfo(reason="UNSUPPORTED_CONTRACT", domain="tamis", metadata={"versions": "2, 3"})
        status = status_pb2.Status(code=9, message="speaks 2 and 3")
        status.details.add().Pack(info)
        trailers = (("grpc-status-details-bin", status.SerializeToString()),)
        await context.abort(grpc.StatusCode.FAILED_PRECONDITION, status.message, trailers)
        raise AssertionError


class _Careless(plugin_service_pb2_grpc.PluginServiceServicer):
    """Knows no more than the proto's comments, and does not keep all of them."""

    async def Describe(self, request: pb.DescribeRequest, context: Any) -> pb.DescribeResponse:  # noqa: N802
        return pb.DescribeResponse(
            contract_version=1, role=pb.PLUGIN_ROLE_RERANKER, score_kind=passage_pb2.SCORE_KIND_LOGIT
        )

    async def Rerank(self, requests: Any, context: Any) -> AsyncIterator[Any]:  # noqa: N802
        async for _ in requests:
            pass
        wrong = [pb.PassageScore(index=99, score=1.0), pb.PassageScore(index=0, score=float("nan"))]
        yield pb.PluginServiceRerankResponse(scores=[*wrong, pb.PassageScore(index=1, score=3.5)])


class _Waiting(_Careless):
    """Tells when somebody asks, and when nobody waits any more."""

    def __init__(self) -> None:
        self.entered, self.left = asyncio.Event(), asyncio.Event()

    async def Rerank(self, requests: Any, context: Any) -> AsyncIterator[Any]:  # noqa: N802
        self.entered.set()
        try:
            await asyncio.Event().wait()
            yield
        finally:
            self.left.set()


def _info(error: grpc.aio.AioRpcError) -> Any:
    trailers: dict[str, Any] = dict(error.trailing_metadata() or ())
    info = error_details_pb2.ErrorInfo()
    assert any(each.Unpack(info) for each in status_pb2.Status.FromString(trailers["grpc-status-details-bin"]).details)
    return info
