"""Options of `tamis search` become fields of the request."""

from __future__ import annotations

import json
from typing import Any

import pytest


@pytest.fixture(scope="module")
def books(tamis: Any, address: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Six books of two languages and three years in the collection `books`."""
    path = tmp_path_factory.mktemp("books") / "books.jsonl"
    rows = [
        {"id": f"b{number}", "text": f"A book of sauces, volume {number}", "lang": "de" if number % 2 else "en"}
        | {"year": 2000 + number % 3, "draft": number == 0}
        for number in range(6)
    ]
    path.write_text("\n".join(map(json.dumps, rows)))
    ran = tamis("index", path, "--collection", "books", "--address", address)
    assert ran.returncode == 0, ran.stderr


def _ids(ran: Any) -> list[str]:
    assert ran.returncode == 0, ran.stderr
    return [each["passage"]["document_id"] for each in json.loads(ran.stdout).get("hits", [])]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--where", "lang=de", "--where", "year>=2001"], {"b1", "b5"}),
        (["--where", "year != 2000", "--where", "lang=en"], {"b2", "b4"}),
        (["--where", "draft=true"], {"b0"}),
        (["--where", 'lang="de"', "--where", "year<2001"], {"b3"}),
        (["--like", "b2"], {"b0", "b1", "b3", "b4", "b5"}),
    ],
)
def test_conditions_and_likeness_choose(
    tamis: Any, address: str, books: None, options: list[str], expected: set[str]
) -> None:
    query = [] if "--like" in options else ["sauces"]
    ran = tamis("search", *query, *options, "--collection", "books", "--address", address, "--json")
    assert set(_ids(ran)) == expected


def test_hits_are_sorted_counted_and_paged(tamis: Any, address: str, books: None) -> None:
    options = ["--collection", "books", "--address", address, "--json", "-n", "4", "--sort", "-year", "--sort", "lang"]
    first = tamis("search", "sauces", "--facet", "lang", *options)
    assert _ids(first) == ["b5", "b2", "b1", "b4"]
    found = json.loads(first.stdout)
    counts = found["facets"][0]["counts"]
    assert [(each["value"]["string_value"], each["document_count"]) for each in counts] == [("de", "3"), ("en", "3")]
    second = tamis("search", "sauces", "--facet", "lang", "--page", found["next_page_token"], *options)
    assert _ids(second) == ["b3", "b0"]


def test_the_terminal_shows_counts_and_the_way_on(tamis: Any, address: str, books: None) -> None:
    ran = tamis("search", "sauces", "--facet", "year", "-n", "2", "--collection", "books", "--address", address)
    assert "3 values in 6 documents" in ran.stdout
    assert "next page: --page " in ran.stdout


def test_a_stage_can_be_told_something_for_one_search(tamis: Any, address: str, books: None) -> None:
    options = ["--collection", "books", "--address", address, "--json"]
    ran = tamis("search", "A book of sauces, volume 1", "--set", "answer.max_sentences=1", *options)
    assert len(json.loads(ran.stdout)["answer"]["citations"]) == 1


@pytest.mark.parametrize(
    "options",
    [
        ["x", "--where", "year"],
        ["x", "--min-score", "warmth=3"],
        ["x", "--min-score", "bm25=high"],
        ["x", "--recent", "day=soon"],
        ["x", "--recent", "day=nand"],
        ["x", "--recent", "day=infd"],
        ["x", "--recent", "day=1e300y"],
        ["x", "--set", "answer"],
        [],
    ],
)
def test_an_option_that_makes_no_sense_is_wrong_usage(tamis: Any, options: list[str]) -> None:
    ran = tamis("search", *options)
    assert ran.returncode == 2
    assert "Invalid value" in ran.stderr


def test_what_the_server_refuses_is_told_with_its_field(tamis: Any, address: str, books: None) -> None:
    ran = tamis("search", "x", "--set", "answer.language=de", "--collection", "books", "--address", address)
    assert ran.returncode == 5
    assert "max_sentences" in ran.stderr
