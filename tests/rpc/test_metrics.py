"""Metrics of a real server, as a scraper reads them."""

from __future__ import annotations

import asyncio
import re
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest
from prometheus_client.parser import text_string_to_metric_families
from real_server import CallFailed, Client, fakes
from tenants import HEADER, Tenants

from tamis.config import parse
from tamis.errors import ConfigurationError
from tamis.metrics import IndexReading, Metrics, Reading
from tamis.rpc.app import RunningServer, running

CONFIG = """
[server]
listen = "127.0.0.1:0"
metrics_listen = "127.0.0.1:0"
data_directory = "{folder}"
[tenancy]
header = "{header}"
required = false
"""


@asynccontextmanager
async def _serving(folder: Path) -> AsyncIterator[RunningServer]:
    async with running(parse(CONFIG.format(folder=folder, header=HEADER) + fakes("words >> rank"))) as server:
        yield server


async def _scraped(server: RunningServer) -> tuple[dict[tuple[str, ...], float], str]:
    """Samples by name and label values, these in the order of their labels, and the whole text."""
    url = f"http://{server.metrics_address}/metrics"
    text = await asyncio.to_thread(lambda: urllib.request.urlopen(url, timeout=20).read().decode())
    samples = (each for family in text_string_to_metric_families(text) for each in family.samples)
    return {(each.name, *each.labels.values()): each.value for each in samples}, text


async def test_calls_stages_commits_and_indexes_are_measured(tmp_path: Path) -> None:
    async with _serving(tmp_path) as server, grpc.aio.insecure_channel(server.address) as channel:
        client = Client(channel, server.address)
        await client.fill({"a": "smooth sauce", "b": "rough gravy"})
        await client.search("sauce")
        with pytest.raises(CallFailed):
            await client.search("sauce", collection="nowhere")
        found, text = await _scraped(server)
    assert found["tamis_calls_total", "OK", "SearchService/Search"] == 1
    assert found["tamis_calls_total", "NOT_FOUND", "SearchService/Search"] == 1
    assert found["tamis_call_seconds_count", "SearchService/Search"] == 2
    assert found["tamis_stage_runs_total", "ran", "words"] == 1
    assert found["tamis_stage_seconds_count", "rank"] == 1
    assert found["tamis_journal_commit_seconds_count",] >= 2
    assert found["tamis_journal_writes_total",] >= 2
    assert found["tamis_journal_waiting",] == 0
    assert found["tamis_index_applied_sequence", "docs", "words"] == 2
    assert found["tamis_index_lag_changes", "docs", "words"] == 0
    assert found["tamis_dead_letters", "docs", "words"] == 0
    assert "sauce" not in text


async def test_no_tenant_and_none_of_its_collections_stands_in_a_label(tmp_path: Path) -> None:
    async with _serving(tmp_path) as server:
        tenants = Tenants(server.address)
        await tenants["acme"].fill({"a": "smooth sauce"}, "recipes")
        found, text = await _scraped(server)
        await tenants.close()
    assert found["tamis_index_lag_changes", "(tenants)", "words"] == 0
    assert "acme" not in text
    assert "recipes" not in text


def test_dead_letters_are_added_up_and_tenants_stand_together() -> None:
    metrics = Metrics()
    indexes = [IndexReading(each, "words", 9, 0, count) for each, count in (("docs", 2), ("a/docs", 3), ("b/docs", 4))]
    metrics.look_up(lambda: Reading(tuple(indexes), 0))
    value = metrics.registry.get_sample_value
    assert value("tamis_dead_letters", {"collection": "docs", "stage": "words"}) == 2
    assert value("tamis_dead_letters", {"collection": "(tenants)", "stage": "words"}) == 7


def test_every_metric_stands_in_the_documentation_and_no_other() -> None:
    metrics = Metrics()
    metrics.look_up(lambda: Reading((IndexReading("docs", "words", 1, 0),), 0))
    names = {f"{each.name}_total" if each.type == "counter" else each.name for each in metrics.registry.collect()}
    page = (Path(__file__).parents[2] / "docs/operate.md").read_text()
    assert set(re.findall(r"^\| `(tamis_\w+)` \|", page, re.MULTILINE)) == names


async def test_metrics_are_off_unless_asked_for_and_stay_on_loopback(tmp_path: Path) -> None:
    config = parse(CONFIG.format(folder=tmp_path, header="").replace('metrics_listen = "127.0.0.1:0"', "") + fakes())
    async with running(config) as server:
        assert server.metrics_address == ""
    with pytest.raises(ConfigurationError, match="loopback"):
        parse(CONFIG.format(folder=tmp_path, header="").replace('metrics_listen = "127', 'metrics_listen = "10'))
