"""Plugins on Ray Serve, asked by the remote plugins as any others: two replicas, one of which is killed under load."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from fake_plugins import write_distribution
from real_server import Servers
from transcripts import BLOCK

from tamis.errors import ConfigurationError
from tamis.v1 import passage_pb2, search_service_pb2
from tamis_remote import RemoteLlm, RemoteReranker

pytestmark = [
    pytest.mark.ray,
    pytest.mark.timeout(600),
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="not installed: ray; make test-ray installs it"),
]


_CLUSTER = Path(__file__).with_name("cluster.py")
_PAGE = Path(__file__).parents[2] / "docs" / "ray-serve.md"
_MODELS = """
[models.hash]
plugin = "fake-hash"
[models.scripted]
plugin = "fake-scripted"
reply = "The moon is round."
"""
_WORDS = """
[stages.rank]
plugin = "fake-words"
[stages.slow]
plugin = "fake-words"
seconds = 0.05
[stages.hanging]
plugin = "fake-words"
behaviour = "never_returns"
[stages.full]
plugin = "fake-words"
behaviour = "overloaded"
"""
_FILES = {"Embedders": _MODELS, "Rerankers": _WORDS}
_RAN = passage_pb2.STAGE_OUTCOME_RAN


class Cluster:
    """What a test has to know of a cluster."""

    def __init__(self, address: str, application: str) -> None:
        self.address, self.application = address, application

    def replicas(self, deployment: str) -> list[int]:
        """The processes of a deployment."""
        return [int(file.parent.name) for file in Path("/proc").glob("[0-9]*/cmdline") if self._is(file, deployment)]

    def _is(self, file: Path, deployment: str) -> bool:
        try:
            title = file.read_text()
        except OSError:
            return False
        return title.startswith(f"ray::ServeReplica:{self.application}:{deployment}")


@pytest.fixture(scope="module")
def fakes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("distribution")
    write_distribution(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        importlib.invalidate_caches()
        yield folder


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, fakes: Path) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("cluster")
    address, name = _configure(folder)
    command = [sys.executable, _CLUSTER, folder / "serve.yaml"]
    # Ray writes a token into the home of its user, and tells its makers that it is used; neither is wanted here.
    environment = {**os.environ, "HOME": str(folder), "RAY_USAGE_STATS_ENABLED": "0", "PYTHONPATH": str(fakes)}
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=environment, text=True
        ) as process,
    ):
        try:
            assert process.stdout is not None
            assert "ready\n" in process.stdout, (folder / "log").read_text()
            yield Cluster(address, name)
        finally:
            process.communicate()


@pytest.fixture
def servers(tmp_path: Path, fakes: Path) -> Servers:
    return Servers(tmp_path / "data")


def _stage(name: str, role: str, address: str) -> str:
    section = "models" if role in ("embedder", "llm") else "stages"
    return f'[{section}.{name}]\nplugin = "remote-{role}"\naddresses = ["{address}"]\ncomponent = "{name}"\n'


async def test_models_and_stages_of_several_deployments_are_found_behind_one_address(
    cluster: Cluster, servers: Servers
) -> None:
    stages = (
        _stage("hash", "embedder", cluster.address),
        _stage("scripted", "llm", cluster.address),
        _stage("rank", "reranker", cluster.address),
        '[stages.words]\nplugin = "fake-memory"\n',
        '[stages.dense]\nplugin = "qdrant"\nembedder = "hash"\n',
        '[stages.answer]\nplugin = "llm"\nllm = "scripted"\n',
        '[pipelines.default]\nexpression = "(words | dense) % 10 >> rank >> answer"\n',
    )
    async with servers.start("".join(stages)) as client:
        await client.fill()
        found = await client.search("smooth sauce", timeout=30)
    assert {each.outcome for each in found.stage_reports} == {_RAN}
    assert {each.passage.document_id for each in found.hits[:2]} == {"sieve", "spoon"}
    assert found.hits[0].score_kind == passage_pb2.SCORE_KIND_LOGIT
    assert found.answer.text


async def test_the_budget_reaches_the_replica_and_better_orders_come_back_in_time(
    cluster: Cluster, servers: Servers
) -> None:
    stages = (
        '[stages.words]\nplugin = "fake-memory"\n[planner]\nlearns = false\n',
        *(_stage(name, "reranker", cluster.address) for name in ("slow", "hanging", "full")),
        '[pipelines.default]\nexpression = "words >> slow"\n',
    )
    async with servers.start("".join(stages)) as client:
        await client.fill({str(number): "common" for number in range(50)})
        part = _report(await client.search("common", timeout=2.0), "slow")
        assert part.outcome == passage_pb2.STAGE_OUTCOME_PARTIAL
        assert 0 < part.done_count < 50
        late = _report(await client.search("common", "words >> hanging", timeout=2.0), "hanging")
        assert (late.outcome, late.reason) == (passage_pb2.STAGE_OUTCOME_FELL_BACK, passage_pb2.STAGE_REASON_DEADLINE)
        full = _report(await client.search("common", "words >> full", timeout=20.0), "full")
        assert (full.outcome, full.reason) == (
            passage_pb2.STAGE_OUTCOME_FELL_BACK,
            passage_pb2.STAGE_REASON_OVERLOADED,
        )


@pytest.mark.parametrize(
    ("component", "plugin", "message"),
    [("nobody", RemoteReranker, "nobody"), ("hash", RemoteLlm, "is a embedder, not a language model")],
)
async def test_what_is_not_there_is_refused_at_the_start(
    cluster: Cluster, component: str, plugin: type[RemoteReranker | RemoteLlm], message: str
) -> None:
    remote = plugin(plugin.Settings(component=component, addresses=(cluster.address,)))
    with pytest.raises(ConfigurationError, match=message):
        await remote.open()
    await remote.close()


async def test_an_index_is_refused(tmp_path: Path, fakes: Path) -> None:
    from tamis.rpc.ray_serve import application

    file = tmp_path / "tantivy.toml"
    file.write_text('[stages.bm25]\nplugin = "tantivy"\n')
    with pytest.raises(ConfigurationError, match="'bm25' keeps an index, which replicas cannot share"):
        application({"Indexes": str(file)})


async def test_no_search_fails_when_a_replica_is_killed_under_load(cluster: Cluster, servers: Servers) -> None:
    stages = (
        '[stages.words]\nplugin = "fake-memory"\n[planner]\nlearns = false\n',
        _stage("slow", "reranker", cluster.address),
        '[pipelines.default]\nexpression = "words >> slow"\n',
    )
    async with servers.start("".join(stages)) as client:
        await client.fill()
        found: list[search_service_pb2.SearchResponse] = []
        killed = asyncio.Event()

        async def ask() -> None:
            """Asks on until enough was asked after the kill."""
            after = 0
            while after < 10:
                after += killed.is_set()
                found.append(await client.search("smooth sauce", timeout=60))

        async with asyncio.TaskGroup() as group:
            for _ in range(8):
                group.create_task(ask())
            while len(found) < 16:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            before = cluster.replicas("Rerankers")
            assert len(before) == 2
            os.kill(before[0], signal.SIGKILL)
            killed.set()
    assert len(found) >= 96
    assert all(each.hits for each in found)
    reports = [_report(each, "slow") for each in found]
    degraded = [each for each in reports if each.outcome != _RAN]
    assert len(degraded) <= 8, "no more than were under way"
    assert [each.outcome for each in reports[-8:]] == [_RAN] * 8


def _report(found: search_service_pb2.SearchResponse, stage: str) -> passage_pb2.StageReport:
    return next(each for each in found.stage_reports if each.stage == stage)


def _configure(folder: Path) -> tuple[str, str]:
    """Writes the documented configuration, with two replicas each on whatever this machine has; the proxy's address
    and the application's name."""
    (documented,) = [text for language, text in BLOCK.findall(_PAGE.read_text()) if language == "yaml"]
    config = yaml.safe_load(documented)
    (application,) = config["applications"]
    port, http_port = _free_ports()
    config["grpc_options"]["port"] = port
    config["http_options"] = {"host": "127.0.0.1", "port": http_port}
    application["name"] = f"tamis-{secrets.token_hex(4)}"
    assert application["args"].keys() == _FILES.keys()
    for deployment, text in _FILES.items():
        file = folder / f"{deployment}.toml"
        file.write_text(text)
        application["args"][deployment] = str(file)
    for each in application["deployments"]:
        each["ray_actor_options"] = {"num_cpus": 1}
    (folder / "serve.yaml").write_text(yaml.safe_dump(config))
    return f"127.0.0.1:{port}", application["name"]


def _free_ports() -> list[int]:
    """Two that nobody has at the moment; Serve does not tell which it would take itself."""
    with socket.socket() as one, socket.socket() as other:
        for each in (one, other):
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in (one, other)]
