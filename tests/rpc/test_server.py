"""What every caller may rely on: health, reflection, request ids, admission, the catalog, silence in the log."""

from __future__ import annotations

import asyncio
import uuid

import grpc
import pytest
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from real_server import CallFailed, Servers, fakes

from tamis.config import parse
from tamis.errors import ConfigurationError
from tamis.rpc.app import running
from tamis.testing.plugins import SECRET, trace
from tamis.v1 import catalog_service_pb2, passage_pb2, search_service_pb2

SERVICES = {"tamis.v1.SearchService", "tamis.v1.IndexService", "tamis.v1.CatalogService"}


async def test_every_service_is_healthy_and_listed_by_reflection(servers: Servers) -> None:
    async with servers.start(fakes()) as client:
        health = health_pb2_grpc.HealthStub(client.channel)
        for name in ("", *SERVICES):
            answer = await health.Check(health_pb2.HealthCheckRequest(service=name))
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        stub = reflection_pb2_grpc.ServerReflectionStub(client.channel)
        request = reflection_pb2.ServerReflectionRequest(list_services="")
        (listed,) = [each async for each in stub.ServerReflectionInfo(iter([request]))]
    assert {each.name for each in listed.list_services_response.service} >= SERVICES


async def test_the_catalog_describes_plugins_pipelines_and_the_server(servers: Servers) -> None:
    pb = catalog_service_pb2
    async with servers.start(fakes()) as client:
        plugins = (await client.catalog.ListPlugins(pb.ListPluginsRequest())).plugins
        (page,) = (await client.catalog.ListPlugins(pb.ListPluginsRequest(page_size=1))).plugins
        pipelines = (await client.catalog.ListPipelines(pb.ListPipelinesRequest())).pipelines
        info = await client.catalog.GetServerInfo(pb.GetServerInfoRequest())
    assert page == plugins[0]
    (words,) = [each for each in plugins if each.name == "fake-words"]
    assert (words.group, words.distribution, list(words.used_by)) == ("tamis.rerankers", "tamis-fakes", ["rank"])
    assert "seconds" in words.settings_schema["properties"]
    assert [(each.name, each.expression) for each in pipelines] == [("default", "words % 50 >> rank >> answer")]
    assert info.contract_version == 1
    assert info.default_deadline_duration.ToTimedelta().total_seconds() == 10


@pytest.mark.parametrize(("sent", "kept"), [("abc-1", True), ("has space", False), ("x" * 200, False), (None, False)])
async def test_a_request_id_is_kept_where_it_is_fit_for_a_log(servers: Servers, sent: str | None, kept: bool) -> None:
    async with servers.start(fakes()) as client:
        metadata = (("x-request-id", sent),) if sent else ()
        call = client.catalog.GetServerInfo(catalog_service_pb2.GetServerInfoRequest(), metadata=metadata)
        returned = dict(await call.initial_metadata())["x-request-id"]
    assert (returned == sent) is kept
    if not kept:
        uuid.UUID(returned)


async def test_a_full_server_refuses_at_once_and_says_when_to_come_back(servers: Servers) -> None:
    async with servers.start(fakes("rank", rank='behaviour = "never_returns"'), max_concurrent_calls=1) as client:
        passages = [passage_pb2.Passage(id="a", text="a")]
        request = search_service_pb2.RerankRequest(query="q", passages=passages)
        waiting = client.searches.Rerank(request, timeout=60)
        running_call = asyncio.ensure_future(waiting)
        assert await asyncio.to_thread(trace.entered.wait, 60)
        with pytest.raises(CallFailed) as caught:
            await client.search("q")
        assert (caught.value.code, caught.value.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED")
        assert caught.value.retries
        health = await health_pb2_grpc.HealthStub(client.channel).Check(health_pb2.HealthCheckRequest())
        assert health.status == health_pb2.HealthCheckResponse.SERVING
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running_call


async def test_neither_queries_nor_documents_reach_the_log(servers: Servers) -> None:
    with structlog.testing.capture_logs() as logs:
        async with servers.start(fakes(rank='behaviour = "raises"')) as client:
            await client.fill({"a": "private words of a document"})
            await client.search("private query")
            with pytest.raises(CallFailed):
                await client.search("private query", "words >> nothing")
    kept = [{key: value for key, value in each.items() if key != "exc_info"} for each in logs]
    assert {"call", "stage failed"} <= {each["event"] for each in kept}
    assert "private" not in str(kept)


async def test_a_bug_reaches_the_client_as_a_fixed_text(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError(SECRET)

    async with servers.start(fakes()) as client:
        await client.fill()
        monkeypatch.setattr("tamis.rpc.search.to_search", fail)
        for call in (client.search, client.events):
            with pytest.raises(CallFailed) as caught:
                await call("sauce")
            assert (caught.value.code, caught.value.message) == (grpc.StatusCode.INTERNAL, "internal error")
            assert SECRET.encode() not in caught.value.raw
            assert caught.value.metadata["request_id"]


async def test_two_servers_do_not_share_a_port_or_a_journal(servers: Servers) -> None:
    async with servers.start(fakes()) as client:
        with pytest.raises(ConfigurationError, match="another process uses the data directory"):
            async with servers.start(fakes()):
                pass
        config = parse(f'[server]\nlisten = "{client.address}"\ndata_directory = "{servers.folder}-2"\n{fakes()}')
        with pytest.raises(ConfigurationError, match="cannot listen"):
            async with running(config):
                pass
