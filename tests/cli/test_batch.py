"""`tamis batch` over a real server, killed and interrupted where it hurts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from shell_server import ShellServer
from typer.testing import CliRunner

from tamis.cli.app import app
from tamis.client import Client
from tamis.v1 import index_service_pb2, passage_pb2

PASSAGES = [
    {"id": "pan", "text": "An iron pan wants oil."},
    {"id": "sieve", "text": "A drum sieve makes a sauce smooth."},
]
COUNT = 60


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> ShellServer:
    return ShellServer(tmp_path_factory.mktemp("server"))


@pytest.fixture(scope="module")
def address(server: ShellServer) -> Iterator[str]:
    """Where a server listens that has three documents."""
    with server.running(), Client(server.address) as client:
        client.stubs.index.CreateCollection(index_service_pb2.CreateCollectionRequest(collection="docs"))
        texts = {"a": "red sauce", "b": "green sauce", "c": "blue sky"}
        documents = [passage_pb2.Document(id=id, text=text) for id, text in texts.items()]
        (written,) = client.stream_write("docs", documents)
        client.wait_indexed("docs", written.sequence, timeout=30)
        yield server.address


def _file(folder: Path, *objects: dict[str, Any] | str) -> Path:
    path = folder / "questions.jsonl"
    path.write_text("".join(each if isinstance(each, str) else json.dumps(each) + "\n" for each in objects))
    return path


def _many(folder: Path) -> Path:
    return _file(folder, *({"id": f"q{number}", "query": "red sauce"} for number in range(COUNT)))


def _run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["batch", *map(str, arguments)])


def _begin(*arguments: str | Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tamis.cli.app", "batch", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ)


def _read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def _wait_for_lines(path: Path, count: int, process: subprocess.Popen[str]) -> None:
    pause = threading.Event()
    while not path.exists() or path.read_bytes().count(b"\n") < count:
        assert process.poll() is None, "it ended before it was stopped"
        pause.wait(0.005)


def test_lines_are_searched_for_or_reranked_and_totalled(address: str, tmp_path: Path) -> None:
    file = _file(
        tmp_path,
        {"id": "found", "query": "red sauce"},
        {"id": 7, "query": "smooth sauce", "passages": PASSAGES},
    )
    output = tmp_path / "deep" / "out.jsonl"
    ran = _run(file, "-o", output, "--address", address, "--pipeline", "", "--json")
    assert ran.exit_code == 0, ran.stderr
    lines = {each["id"]: each for each in _read(output)}
    assert [each["document_id"] for each in lines["found"]["hits"]] == ["a", "b"]
    assert lines["7"]["hits"][0] == {"rank": 1, "id": "sieve", "score": 2.0, "score_kind": "logit"}
    report = json.loads(ran.stdout)
    assert (report["answered_count"], report["failed_count"], report["known_count"]) == (2, 0, 0)
    assert "usage" in report


@pytest.mark.parametrize(
    ("number", "form"), [(signal.SIGKILL, "json"), (signal.SIGINT, "json"), (signal.SIGKILL, "trec")]
)
def test_a_run_that_is_stopped_goes_on_where_it_was(address: str, tmp_path: Path, number: int, form: str) -> None:
    file, output = _many(tmp_path), tmp_path / "out"
    record = output if form == "json" else tmp_path / "out.done"
    options = [file, "-o", output, "--address", address, "-j", "2", *(["--trec"] if form == "trec" else [])]
    with _begin(*options) as process:
        _wait_for_lines(record, 10, process)
        process.send_signal(number)
        process.wait(60)
    assert process.returncode == (-signal.SIGKILL if number == signal.SIGKILL else 130)
    known = record.read_bytes().count(b"\n")
    assert 10 <= known < COUNT
    ran = _run(*options, "--json")
    assert ran.exit_code == 0, ran.stderr
    report = json.loads(ran.stdout)
    assert (report["known_count"], report["answered_count"]) == (known, COUNT - known)
    ids = [each["id"] for each in _read(record)]
    assert sorted(ids) == sorted(f"q{number}" for number in range(COUNT))
    if form == "trec":
        rows = [line.split() for line in output.read_text().splitlines()]
        assert sorted((row[0], row[2]) for row in rows) == sorted((id, name) for id in ids for name in ("a", "b"))


def test_a_server_that_is_killed_ends_the_run_which_goes_on_with_the_next(tmp_path: Path) -> None:
    server = ShellServer(tmp_path / "server")
    file = _file(tmp_path, *({"id": str(n), "query": "red sauce", "passages": PASSAGES} for n in range(800)))
    output = tmp_path / "out.jsonl"
    with server.running() as served:
        options = [file, "-o", output, "--address", server.address, "--retries", "0"]
        with _begin(*options) as process:
            _wait_for_lines(output, 20, process)
            served.send_signal(signal.SIGKILL)
            _, told = process.communicate(timeout=60)
    assert process.returncode == 4, told
    assert "run the same command again" in told
    assert all("error" not in each for each in _read(output))
    with server.running():
        ran = _run(*options)
    assert ran.exit_code == 0, ran.stderr
    assert sorted(int(each["id"]) for each in _read(output)) == list(range(800))


def test_a_query_waits_for_a_server_that_is_away_for_a_while(tmp_path: Path) -> None:
    server = ShellServer(tmp_path / "server")
    output = tmp_path / "out.jsonl"
    file = _file(tmp_path, {"id": "q", "query": "sauce", "passages": PASSAGES})
    with _begin(file, "-o", output, "--address", server.address, "--retries", "20") as process:
        _wait_for_lines(output, 0, process)
        with server.running():
            process.communicate(timeout=60)
    assert process.returncode == 0
    assert [each["id"] for each in _read(output)] == ["q"]


def test_failures_are_recorded_told_and_asked_again_only_on_demand(address: str, tmp_path: Path) -> None:
    file = _file(
        tmp_path,
        {"id": "good", "query": "sauce"},
        {"id": "long", "query": "w" * 10_001},
        {"id": "last", "query": "sky"},
    )
    output = tmp_path / "out.jsonl"
    options = [file, "-o", output, "--address", address, "-j", "1"]
    ran = _run(*options)
    assert ran.exit_code == 6
    assert "long: INVALID_ARGUMENT: query" in ran.stderr
    assert "1 failed" in ran.stdout
    failed = {each["id"]: each["error"] for each in _read(output) if "error" in each}
    assert failed["long"]["reason"] == "INVALID_REQUEST"
    again = _run(*options)
    assert again.exit_code == 6
    assert "1 failed before" in again.stdout
    _file(tmp_path, {"id": "good", "query": "sauce"}, {"id": "long", "query": "sky"}, {"id": "last", "query": "sky"})
    mended = _run(*options, "--retry-failed", "--json")
    assert mended.exit_code == 0, mended.stderr
    assert json.loads(mended.stdout)["answered_count"] == 1
    assert [each["id"] for each in _read(output)] == ["good", "last", "long"]


def test_a_run_file_has_falling_scores_and_each_document_once(address: str, tmp_path: Path) -> None:
    questions = [{"id": "q1", "query": "red sauce"}, {"id": "q2", "query": "sauce"}, {"id": "q 3", "query": "x"}]
    output = tmp_path / "out.run"
    ran = _run(_file(tmp_path, *questions), "-o", output, "--address", address, "--trec", "--tag", "mine")
    assert ran.exit_code == 6
    assert "line 3: has white space in its id" in ran.stderr
    assert sorted(output.read_text().splitlines()) == [
        "q1 Q0 a 1 2.0 mine",
        "q1 Q0 b 2 1.0 mine",
        "q2 Q0 a 1 1.0 mine",
        "q2 Q0 b 2 0.5 mine",
    ]


def test_lines_that_cannot_be_used_are_told_and_left_out(address: str, tmp_path: Path) -> None:
    good = {"id": "q", "query": "sauce"}
    file = _file(
        tmp_path, good, {"query": "no id"}, good, "{\n", {"id": "x"}, {"id": "y", "query": "s", "passages": [1]}
    )
    ran = _run(file, "-o", tmp_path / "out.jsonl", "--address", address)
    assert ran.exit_code == 6
    assert [each["id"] for each in _read(tmp_path / "out.jsonl")] == ["q"]
    for number in range(2, 7):
        assert f"line {number}: " in ran.stderr
    assert "5 lines not read" in ran.stdout


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--pipeline", "nowhere"], 5, "no pipeline named"),
        (["--collection", "nowhere"], 5, "no collection named"),
        (["--set", "rank.nothing=1"], 5, "stage_overrides"),
        (["--trec", "--tag", "two words"], 2, "one word"),
    ],
)
def test_what_no_query_can_survive_ends_the_run_at_once(
    address: str, tmp_path: Path, options: list[str], code: int, message: str
) -> None:
    output = tmp_path / "out.jsonl"
    ran = _run(_many(tmp_path), "-o", output, "--address", address, *options)
    assert ran.exit_code == code, ran.stderr
    assert message in ran.stderr
    assert not output.exists() or output.read_text() == ""


def test_a_file_of_somebody_else_is_left_as_it_is(address: str, tmp_path: Path) -> None:
    file = _many(tmp_path)
    before = file.read_text()
    other = tmp_path / "other.jsonl"
    other.write_text(before)
    ran = _run(file, "-o", other, "--address", address)
    assert ran.exit_code == 2
    assert "was not written by this command" in ran.stderr
    assert other.read_text() == before


def test_a_new_beginning_without_an_input_leaves_the_old_output_alone(address: str, tmp_path: Path) -> None:
    output = tmp_path / "out.jsonl"
    assert _run(_file(tmp_path, {"id": "q", "query": "sauce"}), "-o", output, "--address", address).exit_code == 0
    before = output.read_bytes()
    assert _run(tmp_path / "gone.jsonl", "-o", output, "--restart", "--address", address).exit_code != 0
    assert output.read_bytes() == before


def test_the_input_is_no_output(address: str, tmp_path: Path) -> None:
    questions = _file(tmp_path, {"id": "q", "query": "sauce"})
    before = questions.read_bytes()
    ran = _run(questions, "-o", questions, "--restart", "--address", address)
    assert ran.exit_code == 2
    assert "the output is the input" in ran.stderr
    assert questions.read_bytes() == before
