"""`tamis reindex` and `tamis generations`."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from click.testing import Result
from typer.testing import CliRunner

from tamis.cli.app import app
from tamis.client import Client
from tamis.v1 import index_service_pb2, passage_pb2


@pytest.fixture(scope="module")
def on(address: str) -> Callable[..., Result]:
    """Runs the command, in this process, against a server that has a collection of two documents."""
    texts = {"sieve": "A drum sieve makes a sauce smooth.", "knife": "A dull knife is a dangerous knife."}
    with Client(address) as client:
        client.stubs.index.CreateCollection(index_service_pb2.CreateCollectionRequest(collection="anew"))
        list(client.stream_write("anew", [passage_pb2.Document(id=id, text=text) for id, text in texts.items()]))
        client.wait_indexed("anew", timeout=30)

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(app, [*arguments, "--address", address], env={"COLUMNS": "160", "TERM": "dumb"})

    return run


def test_a_collection_is_built_anew_switched_to_and_back(on: Callable[..., Result]) -> None:
    built = on("reindex", "anew", "--json")
    assert built.exit_code == 0, built.stderr
    collection = json.loads(built.stdout)["collection"]
    assert [each["state"] for each in collection["generations"]] == [
        "GENERATION_STATE_SERVING",
        "GENERATION_STATE_READY",
    ]
    shown = on("generations", "list", "anew")
    rows = [line.split() for line in shown.stdout.splitlines()]
    assert ["2", "ready", "built", "in", "-", "2", "of", "2", "bm25", "up", "to", "date"] in rows
    assert "generation 2 of anew serves" in on("generations", "switch", "anew", "2").stdout
    refused = on("generations", "drop", "anew", "2", "--yes")
    assert refused.exit_code == 5
    assert "generation 2 serves; switch to another one first" in refused.stderr
    assert (
        json.loads(on("generations", "switch", "anew", "1", "--json").stdout)["collection"]["serving_generation"] == 1
    )
    assert json.loads(on("generations", "drop", "anew", "2", "--json").stdout) == {}
    listed = json.loads(on("generations", "list", "anew", "--json").stdout)
    assert [each["number"] for each in listed["generations"]] == [1]


def test_the_old_generation_is_dropped_when_that_is_asked_for(on: Callable[..., Result]) -> None:
    before = json.loads(on("generations", "list", "anew", "--json").stdout)["serving_generation"]
    ran = on("reindex", "anew", "--drop-old")
    assert ran.exit_code == 0, ran.stderr
    after = json.loads(on("generations", "list", "anew", "--json").stdout)
    assert [each["number"] for each in after["generations"]] == [after["serving_generation"]]
    assert f"anew: generation {after['serving_generation']} serves; generation {before} is dropped" in ran.stdout
    found = json.loads(on("search", "sauce", "--collection", "anew", "--json").stdout)
    assert [each["passage"]["document_id"] for each in found["hits"]] == ["sieve"]


def test_what_is_not_there_is_said_with_what_there_is(on: Callable[..., Result]) -> None:
    ran = on("generations", "switch", "anew", "99")
    assert ran.exit_code == 5
    assert "no generation named '99'; there are:" in ran.stderr
    assert on("reindex", "nowhere").exit_code == 5
