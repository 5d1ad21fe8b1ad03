"""`tamis index` over folders that change."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tamis.client import Client
from tamis.v1 import index_service_pb2 as pb

Index = Callable[..., dict[str, Any]]


@pytest.fixture
def collection(request: pytest.FixtureRequest) -> str:
    return "c" + str(abs(hash(request.node.nodeid)))[:12]


@pytest.fixture
def index(tamis: Any, address: str, collection: str) -> Index:
    """Runs the command and returns its report; `code` is what it must end with."""

    def run(*arguments: str | Path, code: int = 0) -> dict[str, Any]:
        ran = tamis("index", *arguments, "--json", "--no-wait", "--address", address, "--collection", collection)
        assert ran.returncode == code, ran.stdout + ran.stderr
        report: dict[str, Any] = json.loads(ran.stdout) if ran.stdout else {"message": ran.stderr}
        return report

    return run


@pytest.fixture
def held(address: str, collection: str) -> Callable[[], dict[str, int]]:
    """The documents of the collection, with their versions."""

    def documents() -> dict[str, int]:
        with Client(address) as client:
            request = pb.ListDocumentsRequest(collection=collection, page_size=1_000)
            return {each.id: each.version for each in client.stubs.index.ListDocuments(request).documents}

    return documents


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "notes"
    (made / "deep").mkdir(parents=True)
    (made / "a.md").write_text("# A\n\nAbout a.\n")
    (made / "deep" / "b.txt").write_text("About b.")
    (made / "rows.jsonl").write_text('{"id": "one", "text": "1"}\n{"id": "two", "text": "2"}\n{"text": "3"}\n')
    return made


ALL = {"notes/a.md", "notes/deep/b.txt", "one", "two", "notes/rows.jsonl:3"}


def _counts(report: dict[str, Any]) -> tuple[int, int, int]:
    return report["written_count"], report["unchanged_count"], report["deleted_count"]


def test_files_that_have_not_changed_are_not_read_again(index: Index, held: Any, folder: Path) -> None:
    assert _counts(index(folder)) == (5, 0, 0)
    before = held()
    assert set(before) == ALL
    assert _counts(index(folder)) == (0, 5, 0)
    # No reader can have seen a file that has its time but no time to be read in.
    assert _counts(index(folder, "--file-timeout", "0.1", "--file-memory", "16")) == (0, 5, 0)
    assert held() == before


def test_only_what_changed_is_written(index: Index, held: Any, folder: Path) -> None:
    index(folder)
    before = held()
    (folder / "a.md").write_text("# A\n\nMore about a.\n")
    (folder / "rows.jsonl").write_text(
        '{"id": "one", "text": "1"}\n{"id": "two", "text": "2, changed"}\n{"text": "3"}\n'
    )
    assert _counts(index(folder)) == (3, 2, 0)  # of the rows the first one, too: it carries the hash of the file
    assert {id for id, version in held().items() if version != before[id]} == {"notes/a.md", "one", "two"}


def test_what_vanished_is_removed_and_what_was_renamed_is_named_anew(index: Index, held: Any, folder: Path) -> None:
    index(folder)
    (folder / "deep" / "b.txt").unlink()
    (folder / "a.md").rename(folder / "c.md")
    (folder / "rows.jsonl").write_text('{"id": "two", "text": "2"}\n')
    assert index(folder, "--dry-run")["deleted_count"] == 2
    assert set(held()) == ALL
    assert index(folder)["deleted_count"] == 4
    assert set(held()) == {"notes/c.md", "two"}


def test_nothing_is_removed_that_this_folder_did_not_bring(
    index: Index, held: Any, folder: Path, tmp_path: Path, address: str, collection: str
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "x.txt").write_text("About x.")
    index(folder)
    index(other)
    with Client(address) as client:
        from tamis.v1 import passage_pb2

        list(client.stream_write(collection, [passage_pb2.Document(id="notes/mine.md", text="Mine.")]))
    for each in ("a.md", "rows.jsonl", "deep/b.txt"):
        (folder / each).unlink()
    assert index(folder)["deleted_count"] == 5
    assert set(held()) == {"other/x.txt", "notes/mine.md"}


@pytest.mark.parametrize(
    "options", [["--no-delete"], ["--exclude", "*.md", "--exclude", "deep"], ["--include", "*.pdf"]]
)
def test_what_is_only_left_out_is_not_removed(index: Index, held: Any, folder: Path, options: list[str]) -> None:
    index(folder)
    if options == ["--no-delete"]:
        (folder / "a.md").unlink()
    assert index(folder, *options)["deleted_count"] == 0
    assert set(held()) == ALL


def test_a_file_that_can_no_longer_be_read_keeps_what_was_indexed_of_it(index: Index, held: Any, folder: Path) -> None:
    index(folder)
    (folder / "a.md").write_bytes(b"\0\0")
    (folder / "rows.jsonl").write_text('{"id": "one", "text": "1"}\nbroken\n')
    report = index(folder, code=6)
    assert {(Path(each["path"]).name, each["line"]) for each in report["unreadable"]} == {
        ("a.md", None),
        ("rows.jsonl", 2),
    }
    assert set(held()) == ALL
    assert index(folder, code=6)["deleted_count"] == 0


def test_rows_may_move_to_a_renamed_file(index: Index, held: Any, folder: Path) -> None:
    index(folder)
    (folder / "rows.jsonl").rename(folder / "a-rows.jsonl")
    index(folder)
    assert set(held()) == (ALL - {"notes/rows.jsonl:3"}) | {"notes/a-rows.jsonl:3"}
    assert _counts(index(folder)) == (0, 5, 0)


def test_two_folders_of_one_name_are_told_apart(index: Index, held: Any, folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere" / "notes"
    other.mkdir(parents=True)
    (other / "a.md").write_text("# Another A\n")
    index(folder, other, code=2)
    index(folder)
    assert "--moved" in index(other, code=5)["message"]
    assert set(held()) == ALL
    index(other, "--name", "others")
    assert set(held()) == ALL | {"others/a.md"}
    assert _counts(index(folder)) == (0, 5, 0)


def test_a_folder_that_was_moved_can_be_taken_over(index: Index, held: Any, folder: Path, tmp_path: Path) -> None:
    index(folder)
    moved = tmp_path / "elsewhere" / "notes"
    moved.parent.mkdir()
    folder.rename(moved)
    (moved / "a.md").unlink()
    assert index(moved, "--moved")["deleted_count"] == 1
    assert set(held()) == ALL - {"notes/a.md"}
    assert _counts(index(moved)) == (0, 4, 0)


def test_odd_entries_are_left_out_or_named(index: Index, held: Any, folder: Path, tmp_path: Path) -> None:
    (folder / ".hidden.md").write_text("# Hidden\n")
    (folder / "picture.png").write_bytes(b"png")
    (folder / "README").write_text("x")
    os.mkfifo(folder / "pipe.txt")
    (folder / "loop").symlink_to(folder)
    (folder / "gone.txt").symlink_to(tmp_path / "nothing")
    report = index(folder, code=6)
    reasons = {Path(each["path"]).name: each["reason"] for each in report["unreadable"]}
    assert reasons == {"pipe.txt": "is not a regular file", "gone.txt": "is a link that leads nowhere"}
    assert report["unknown_suffixes"] == {".png": 1, "no suffix": 1}
    assert set(held()) == ALL


def test_an_id_that_is_taken_is_refused_where_it_is_found(index: Index, held: Any, folder: Path) -> None:
    (folder / "z.jsonl").write_text('{"id": "one", "text": "not the same"}\n')
    report = index(folder, code=6)
    (problem,) = report["unreadable"]
    assert (Path(problem["path"]).name, problem["line"]) == ("z.jsonl", 1)
    assert set(held()) == ALL


def test_citations_open_at_the_place(tamis: Any, address: str, collection: str, folder: Path) -> None:
    (folder / "a.md").write_text("# A\n\nNothing.\n\nThe drum sieve makes\na sauce smooth.\n")
    ran = tamis("index", folder, "--address", address, "--collection", collection)
    assert ran.returncode == 0, ran.stderr
    ran = tamis("ask", "What makes a sauce smooth?", "--address", address, "--collection", collection)
    assert "notes/a.md:5-6" in ran.stdout


def _command(address: str, collection: str, folder: Path, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tamis.cli.app", "index", folder, *options]
    return subprocess.Popen(
        [*map(str, command), "--address", address, "--collection", collection],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "TERM": "dumb", "COLUMNS": "200", "PYTHONUNBUFFERED": "1"},
    )


def _line_with(process: subprocess.Popen[str], word: str) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if word in line:
            return line
    raise AssertionError(f"the command ended without saying {word!r}")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_watched_folder_is_followed_until_the_command_is_told_to_stop(
    address: str, collection: str, folder: Path, held: Any, number: signal.Signals
) -> None:
    with _command(address, collection, folder, "--watch") as process:
        try:
            assert "5 documents written" in _line_with(process, "written")
            _line_with(process, "watching")
            (folder / "new.txt").write_text("New.")
            assert "1 documents written" in _line_with(process, "written")
            assert "notes/new.txt" in held()
            (folder / "new.txt").unlink()
            assert "1 removed" in _line_with(process, "removed")
            process.send_signal(number)
            _line_with(process, "stopped")
            assert process.wait(60) == 0
        finally:
            process.kill()
    assert set(held()) == ALL


def test_a_run_that_was_killed_is_resumed_and_nothing_is_lost_or_done_twice(
    address: str, collection: str, folder: Path, held: Any, index: Index
) -> None:
    lines = [json.dumps({"id": f"r{number}", "text": f"Row {number}."}) for number in range(600)]
    (folder / "rows.jsonl").write_text("\n".join(lines))
    for number in range(120):
        (folder / f"n{number}.txt").write_text(f"Text {number}.")
    expected = {f"r{number}" for number in range(600)} | {f"notes/n{number}.txt" for number in range(120)}
    with _command(address, collection, folder, "--json") as process:
        while not len(_or_none(held)) > 20 and process.poll() is None:
            os.sched_yield()
        process.send_signal(signal.SIGKILL)
    before = _or_none(held)
    assert len(before) > 20
    report = index(folder)
    after = held()
    assert set(after) == expected | {"notes/a.md", "notes/deep/b.txt"}
    assert {id for id, version in before.items() if after[id] != version} == set()
    assert report["written_count"] == len(after) - len(before)
    assert _counts(index(folder)) == (0, len(after), 0)


def _or_none(held: Callable[[], dict[str, int]]) -> dict[str, int]:
    """What is held; nothing before there is a collection."""
    import grpc

    try:
        return held()
    except grpc.RpcError:
        return {}
