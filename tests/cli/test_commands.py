"""The command as people and programs use it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three kinds of file, and some that cannot be read."""
    folder = tmp_path_factory.mktemp("files") / "library"
    (folder / "deep").mkdir(parents=True)
    (folder / "sieve.md").write_text("# The drum sieve\n\nA drum sieve makes a sauce smooth.\n")
    (folder / "deep" / "knife.txt").write_text("A dull knife is a dangerous knife.")
    lines = [{"id": "pan", "text": "An iron pan wants oil.", "year": 2019}, {"title": "Kettle", "text": "It sings."}]
    broken = ["not json", '{"text": "\\ud800"}', json.dumps({"text": "x", "title": "x" * 5_000})]
    (folder / "more.jsonl").write_text("\n".join([*map(json.dumps, lines), *broken]))
    (folder / "zeros.txt").write_bytes(b"\0" * 100)
    (folder / "picture.png").write_bytes(b"\x89PNG")
    return folder


@pytest.fixture(scope="module")
def indexed(tamis: Any, address: str, library: Path) -> dict[str, Any]:
    """What `tamis index --json` says of the library."""
    ran = tamis("index", library, "--address", address, "--json")
    assert ran.returncode == 6, ran.stderr
    report: dict[str, Any] = json.loads(ran.stdout)
    return report


def test_indexing_reports_what_it_read_and_what_it_could_not(indexed: dict[str, Any]) -> None:
    assert indexed["written_count"] == 4
    reasons = {(Path(each["path"]).name, each["line"]): each["reason"] for each in indexed["unreadable"]}
    assert set(reasons) == {("zeros.txt", None), ("more.jsonl", 3), ("more.jsonl", 4), ("more.jsonl", 5)}
    assert "title has 5,000 bytes" in reasons["more.jsonl", 5]
    assert "is not text" in reasons["zeros.txt", None]
    assert "surrogate" in reasons["more.jsonl", 4]


def test_indexing_again_changes_nothing(tamis: Any, address: str, library: Path, indexed: dict[str, Any]) -> None:
    again = json.loads(tamis("index", library, "--address", address, "--json").stdout)
    assert (again["written_count"], again["unchanged_count"]) == (0, 4)


def test_a_search_prints_hits_with_their_provenance(tamis: Any, address: str, indexed: dict[str, Any]) -> None:
    ran = tamis("search", "smooth sauce", "--address", address, "--json")
    assert ran.returncode == 0, ran.stderr
    (hit,) = json.loads(ran.stdout)["hits"]
    assert hit["passage"]["document_id"] == "library/sieve.md"
    assert hit["passage"]["title"] == "The drum sieve"
    assert hit["stage_scores"][0]["stage"] == "bm25"


def test_hits_of_one_document_can_be_limited(tamis: Any, address: str, indexed: dict[str, Any]) -> None:
    ran = tamis("search", "knife", "--per-document", "1", "--address", address, "--json")
    assert ran.returncode == 0, ran.stderr
    found = [each["passage"]["document_id"] for each in json.loads(ran.stdout)["hits"]]
    assert found == ["library/deep/knife.txt"]


def test_a_streamed_search_prints_one_event_a_line(tamis: Any, address: str, indexed: dict[str, Any]) -> None:
    ran = tamis("search", "smooth sauce", "--address", address, "--json", "--stream")
    kinds = [next(iter(json.loads(line))) for line in ran.stdout.splitlines()]
    assert kinds[-1] == "completed"
    assert "hits_revised" in kinds


def test_a_search_shows_stages_hits_and_the_cited_answer(tamis: Any, address: str, indexed: dict[str, Any]) -> None:
    ran = tamis("search", "What makes a sauce smooth?", "--address", address)
    assert ran.returncode == 0, ran.stderr
    for part in ("bm25", "The drum sieve", "A drum sieve makes a sauce smooth. [1]", "library/sieve.md:3"):
        assert part in ran.stdout


def test_a_question_without_an_answer_says_so(tamis: Any, address: str, indexed: dict[str, Any]) -> None:
    ran = tamis("ask", "Which oil did Columbus bring to Genoa?", "--address", address)
    assert ran.returncode == 0
    assert "do not answer" in ran.stdout


def test_markup_in_a_query_is_printed_as_it_is(tamis: Any, address: str, indexed: dict[str, Any]) -> None:
    ran = tamis("search", "[bold]knife[/nope]", "--address", address)
    assert ran.returncode == 0, ran.stderr
    assert "[bold]knife[/nope]" in ran.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["search", "q", "--collection", "nowhere"], 5, "no collection named 'nowhere'"),
        (["search", "q", "--pipeline", "bm25 >> bm52"], 5, "did you mean 'bm25'"),
        (["search", " "], 5, "query"),
        (["search"], 2, "query"),
        (["collections", "create", "No Good"], 5, "collection"),
    ],
)
def test_a_refused_request_ends_with_its_code_and_the_field(
    tamis: Any, address: str, indexed: dict[str, Any], arguments: list[str], code: int, message: str
) -> None:
    ran = tamis(*arguments, TAMIS_ADDRESS=address)
    assert ran.returncode == code
    assert message in ran.stderr
    assert "Traceback" not in ran.stderr


def test_without_a_server_the_command_says_how_to_start_one(tamis: Any) -> None:
    ran = tamis("search", "q", "--address", "127.0.0.1:1")
    assert ran.returncode == 4
    assert "tamis serve" in ran.stderr


def test_collections_are_listed_created_and_deleted(tamis: Any, address: str) -> None:
    assert tamis("collections", "create", "spare", "--address", address).returncode == 0
    listed = json.loads(tamis("collections", "list", "--address", address, "--json").stdout)
    assert "spare" in [each["id"] for each in listed["collections"]]
    assert tamis("collections", "delete", "spare", "--yes", "--address", address).returncode == 0
    assert tamis("collections", "delete", "spare", "--yes", "--address", address).returncode == 5


def test_a_language_is_given_where_a_collection_is_created(tamis: Any, address: str, library: Path) -> None:
    refused = tamis("collections", "create", "tongues", "--language", "xx", "--address", address)
    assert refused.returncode == 5
    assert "allowed" in refused.stderr
    assert tamis("collections", "create", "tongues", "--language", "de", "--address", address).returncode == 0
    file = library / "deep" / "knife.txt"
    assert tamis("index", file, "-C", "langues", "--language", "fr", "--address", address).returncode == 0
    assert tamis("index", file, "-C", "tongues", "--language", "fr", "--address", address).returncode == 0
    listed = json.loads(tamis("collections", "list", "--address", address, "--json").stdout)["collections"]
    languages = {each["id"]: each.get("language", "") for each in listed}
    assert (languages["tongues"], languages["langues"]) == ("de", "fr")
    table = tamis("collections", "list", "--address", address).stdout.splitlines()
    assert any(line.split()[:2] == ["tongues", "de"] for line in table)
    for name in ("tongues", "langues"):
        assert tamis("collections", "delete", name, "--yes", "--address", address).returncode == 0
