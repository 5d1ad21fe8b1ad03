"""A reranker in TypeScript as a remote plugin: the conformance kit over the wire, and a stage of a real server."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from real_server import Servers

from tamis.testing.contract import RerankerContract
from tamis.v1 import passage_pb2, plugin_service_pb2_grpc, search_service_pb2, value_pb2
from tamis.v1 import plugin_service_pb2 as pb
from tamis_remote import RemoteReranker

pytestmark = pytest.mark.clients

_ADDRESSES: list[str] = []
_SERVICE = "tamis.v1.PluginService"


@contextmanager
def _plugin(compiled: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    command = ["node", str(compiled / "examples/reranker.js"), "127.0.0.1:0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("listening on ")
        try:
            yield line.removeprefix("listening on ").strip(), process
        finally:
            process.kill()


@pytest.fixture(scope="module", autouse=True)
def _host(compiled_typescript: Path) -> Iterator[None]:
    with _plugin(compiled_typescript) as (address, _):
        _ADDRESSES[:] = [address]
        yield


class TestTheContract(RerankerContract):
    def component(self) -> RemoteReranker:
        return RemoteReranker(RemoteReranker.Settings(component="trigrams", addresses=(_ADDRESSES[0],)))


def _stages(address: str, more: str = "") -> str:
    return (
        f'[stages.near]\nplugin = "remote-reranker"\ncomponent = "trigrams"\naddresses = ["{address}"]\n{more}\n'
        '[stages.bm25]\nplugin = "tantivy"\n[pipelines.default]\nexpression = "bm25 % 100 >> near"\n'
    )


_TEXTS = {
    "far": "The sauce is red. Nothing else is said of it here.",
    "near": "A sauce with chanterelles, and 🍄 mushrooms of other kinds.",
    "other": "Sauce, sauce, sauce.",
}


async def test_a_server_uses_it_as_a_stage(tmp_path: Path) -> None:
    async with Servers(tmp_path).start(_stages(_ADDRESSES[0])) as client:
        await client.fill(_TEXTS)
        found = await client.search("sauce chanterele")
        (report,) = [each for each in found.stage_reports if each.stage == "near"]
        assert report.outcome == passage_pb2.STAGE_OUTCOME_RAN
        assert report.usage.pair_count == len(found.hits) == 3
        assert found.hits[0].passage.document_id == "near", "a word with an error in it is found by its trigrams"
        assert found.hits[0].score_kind == passage_pb2.SCORE_KIND_NORMALIZED
        options = value_pb2.Value()
        options.map_value.fields["size"].int_value = 2
        override = search_service_pb2.StageOverride(stage="near", setting="options", value=options)
        other = await client.search("sauce chanterele", stage_overrides=[override])
        assert other.hits[0].score != found.hits[0].score


async def test_a_search_goes_on_once_it_has_been_stopped(tmp_path: Path, compiled_typescript: Path) -> None:
    with _plugin(compiled_typescript) as (address, process):
        async with Servers(tmp_path).start(_stages(address)) as client:
            await client.fill(_TEXTS)
            process.terminate()
            assert process.wait(60) == 0, "it ends by itself though a server is connected"
            found = await client.search("sauce")
            outcomes = {each.stage: each.outcome for each in found.stage_reports}
            assert outcomes["near"] == passage_pb2.STAGE_OUTCOME_FELL_BACK
            assert len(found.hits) == 3


async def test_it_says_what_it_is_in_a_version_that_both_speak() -> None:
    async with grpc.aio.insecure_channel(_ADDRESSES[0]) as channel:
        stub = plugin_service_pb2_grpc.PluginServiceStub(channel)
        found = await stub.Describe(pb.DescribeRequest(component="trigrams", contract_versions=[3, 1, 2]))
        assert (found.contract_version, found.role) == (1, pb.PLUGIN_ROLE_RERANKER)
        assert found.settings_schema["properties"]["size"]["overridable"]
        for request, reason, said in [
            (
                pb.DescribeRequest(component="trigrams", contract_versions=[2]),
                "UNSUPPORTED_CONTRACT",
                {"versions": "1"},
            ),
            (pb.DescribeRequest(component="more", contract_versions=[1]), "NOT_FOUND", {"name": "more"}),
        ]:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await stub.Describe(request)
            info = _info(caught.value)
            assert (info.reason, info.domain) == (reason, "tamis")
            assert said.items() <= dict(info.metadata).items()


@pytest.mark.parametrize(
    ("version", "options", "reason"),
    [
        (2, {}, "UNSUPPORTED_CONTRACT"),
        (1, {"size": value_pb2.Value(int_value=9)}, "INVALID_REQUEST"),
        (1, {"more": value_pb2.Value(int_value=3)}, "INVALID_REQUEST"),
    ],
)
async def test_a_call_that_it_cannot_serve_is_refused(
    version: int, options: dict[str, value_pb2.Value], reason: str
) -> None:
    call = pb.PluginCall(component="trigrams", contract_version=version, options=options)
    request = pb.PluginServiceRerankRequest(call=call, query="a", passages=[passage_pb2.Passage(id="1", text="a")])
    async with grpc.aio.insecure_channel(_ADDRESSES[0]) as channel:
        stub = plugin_service_pb2_grpc.PluginServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            async for _ in stub.Rerank(iter([request])):
                pass
    assert _info(caught.value).reason == reason


async def test_scores_come_before_the_last_passage_has_been_sent() -> None:
    call = pb.PluginCall(component="trigrams", contract_version=1)
    passage = passage_pb2.Passage(id="1", text="A sauce.")
    async with grpc.aio.insecure_channel(_ADDRESSES[0]) as channel:
        stream = plugin_service_pb2_grpc.PluginServiceStub(channel).Rerank()
        await stream.write(pb.PluginServiceRerankRequest(call=call, query="sauce", passages=[passage]))
        first = await stream.read()
        assert [(each.index, each.score) for each in first.scores] == [(0, 1.0)]
        passage.id = "2"
        await stream.write(pb.PluginServiceRerankRequest(passages=[passage]))
        second = await stream.read()
        assert [each.index for each in second.scores] == [1]
        await stream.done_writing()
        assert await stream.read() is grpc.aio.EOF


async def test_it_says_how_it_is() -> None:
    async with grpc.aio.insecure_channel(_ADDRESSES[0]) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        for name in ("", _SERVICE):
            found = await stub.Check(health_pb2.HealthCheckRequest(service=name))
            assert found.status == health_pb2.HealthCheckResponse.SERVING
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.Check(health_pb2.HealthCheckRequest(service="more"))
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND


def _info(error: grpc.aio.AioRpcError) -> error_details_pb2.ErrorInfo:
    trailers = dict(error.trailing_metadata() or ())
    (detail,) = status_pb2.Status.FromString(trailers["grpc-status-details-bin"]).details
    info = error_details_pb2.ErrorInfo()
    assert detail.Unpack(info)
    return info
