"""`tamis documents` and `tamis dead-letters`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import Result
from poison_plugins import write_poison_distribution
from typer.testing import CliRunner

from tamis.cli.app import app
from tamis.client import Client
from tamis.v1 import index_service_pb2 as pb
from tamis.v1 import passage_pb2
from tamis.wire.values import from_metadata

Run = Callable[..., Result]

CONFIG = """
[stages.fussy]
plugin = "fussy-words"
[pipelines.default]
expression = "fussy"
"""


@pytest.fixture(scope="module")
def fussy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where a server listens whose index takes no arsenic."""
    folder = tmp_path_factory.mktemp("fussy")
    write_poison_distribution(folder / "site")
    (folder / "tamis.toml").write_text(CONFIG)
    paths = os.pathsep.join([str(folder / "site"), str(Path(__file__).parents[1])])
    command = [sys.executable, "-m", "tamis.cli.app", "serve", "--config", folder / "tamis.toml"]
    with subprocess.Popen(
        [*command, "--listen", "127.0.0.1:0", "--data-directory", folder / "data"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": paths},
    ) as process:
        assert process.stdout is not None
        yield process.stdout.readline().removeprefix("listening on ").strip()
        process.terminate()
        assert process.wait(60) == 0


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the command in this process, which is much quicker."""
    monkeypatch.setenv("COLUMNS", "120")
    return lambda *arguments: CliRunner().invoke(app, arguments)


def _fill(address: str, collection: str) -> None:
    documents = [
        passage_pb2.Document(id=each, text=text, title=each.upper(), metadata=from_metadata({"year": year}))
        for each, text, year in (("a", "salt", 2019), ("b", "arsenic", 2020), ("c", "pepper", 2021))
    ]
    with Client(address) as client:
        client.stubs.index.CreateCollection(pb.CreateCollectionRequest(collection=collection))
        list(client.stream_write(collection, documents))
        client.wait_indexed(collection)


def test_documents_are_listed_shown_patched_and_deleted(run: Run, fussy: str) -> None:
    _fill(fussy, "kitchen")
    place = ("--address", fussy, "--collection", "kitchen")
    listed = run("documents", "list", "--limit", "2", *place)
    assert [line.split()[0] for line in listed.stdout.splitlines()] == ["document", "a", "b", "next"]
    page = listed.stdout.split("--page ")[1].strip()
    rest = json.loads(run("documents", "list", "--page", page, "--json", *place).stdout)
    assert [each["id"] for each in rest["documents"]] == ["c"]
    patched = run(
        "documents", "patch", "a", "c", "--set", 'tags=["x", true]', "--set", "by=me", "--remove", "year", *place
    )
    assert patched.stdout == "patched 2, 0 were like that before\n", patched.stderr
    shown = json.loads(run("documents", "get", "a", *place).stdout)
    assert (shown["text"], shown["metadata"]["by"]) == ("salt", {"string_value": "me"})
    assert shown["metadata"].keys() == {"tags", "by"}
    deleted = run("documents", "delete", "--where", "by=me", "--yes", "--json", *place)
    assert json.loads(deleted.stdout)["deleted_count"] == 2
    assert run("documents", "delete", "b", "nobody", *place).stdout == "deleted 1\n"


def test_what_makes_no_sense_is_said_before_anything_is_sent(run: Run) -> None:
    for arguments in (
        ("delete",),
        ("delete", "a", "--where", "year=1"),
        ("patch", "a"),
        ("patch", "a", "--set", "year"),
    ):
        assert run("documents", *arguments).exit_code == 2


def test_a_patch_of_nobody_is_refused_and_says_of_whom(run: Run, fussy: str) -> None:
    _fill(fussy, "empty")
    ran = run("documents", "patch", "a", "nobody", "--set", "year=1", "-a", fussy, "-C", "empty")
    assert ran.exit_code == 5
    assert ran.stderr == "error: no document named 'nobody'\n"


def test_dead_letters_are_listed_and_tried_again(run: Run, fussy: str) -> None:
    _fill(fussy, "poisoned")
    ran = run("dead-letters", "list", "poisoned", "--address", fussy)
    assert "b" in ran.stdout.splitlines()[1].split()
    assert "the index failed with LookupError" in " ".join(ran.stdout.split())
    (letter,) = json.loads(run("dead-letters", "list", "poisoned", "--json", "-a", fussy).stdout)["dead_letters"]
    assert (letter["stage"], letter["document_id"], letter["document_version"]) == ("fussy", "b", "2")
    assert "fussy up to date, 1 dead letter" in run("collections", "list", "-a", fussy).stdout
    again = run("dead-letters", "retry", "poisoned", "-a", fussy)
    assert again.stdout == "retried 1; 1 still cannot be indexed\n", again.stderr
    report = json.loads(run("dead-letters", "retry", "poisoned", "b", "--json", "-a", fussy).stdout)
    assert (report["retried_count"], report["dead_document_ids"]) == (1, ["b"])
    with Client(fussy) as client:
        list(client.stream_write("poisoned", [passage_pb2.Document(id="b", text="sugar")]))
        client.wait_indexed("poisoned")
    assert run("dead-letters", "list", "poisoned", "-a", fussy).stdout == "no dead letters in poisoned\n"
    assert run("dead-letters", "retry", "poisoned", "-a", fussy).stdout == "nothing to retry in poisoned\n"
