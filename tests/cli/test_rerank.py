"""`tamis rerank` as people and programs use it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from shell_server import ShellServer
from typer.testing import CliRunner

from tamis.cli.app import app

PASSAGES = [
    {"id": "pan", "text": "An iron pan wants oil.", "metadata": {"year": 2019}},
    {"id": "sieve", "title": "The drum sieve", "text": "A drum sieve makes a sauce smooth."},
    {"id": "spoon", "text": "A wooden spoon stirs the sauce."},
]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where a server with rerankers listens."""
    server = ShellServer(tmp_path_factory.mktemp("server"))
    with server.running():
        yield server.address


def _run(address: str, *arguments: str | Path, lines: str = "") -> Result:
    return CliRunner().invoke(app, ["rerank", *map(str, arguments), "--address", address], input=lines)


def _lines(*objects: Any) -> str:
    return "".join(each if isinstance(each, str) else json.dumps(each) + "\n" for each in objects)


def _printed(ran: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in ran.stdout.splitlines()]


def test_passages_come_back_in_their_new_order_and_can_be_piped_on(address: str) -> None:
    ran = _run(address, "smooth sauce", "--pipeline", "rank", "--json", lines=_lines(*PASSAGES))
    assert ran.exit_code == 0, ran.stderr
    hits = _printed(ran)
    assert [(each["id"], each["rank"], each["prior_rank"], each["score"]) for each in hits] == [
        ("sieve", 1, 2, 2.0),
        ("spoon", 2, 3, 1.0),
        ("pan", 3, 1, 0.0),
    ]
    assert hits[0]["score_kind"] == "logit"
    assert hits[2]["metadata"] == {"year": 2019}
    again = _run(address, "iron", "--pipeline", "rank", "--json", "--limit", "1", lines=ran.stdout)
    assert [(each["id"], each["prior_rank"], each["text"]) for each in _printed(again)] == [
        ("pan", 3, PASSAGES[0]["text"])
    ]


def test_lines_may_have_queries_of_their_own(address: str, tmp_path: Path) -> None:
    file = tmp_path / "questions.jsonl"
    questions = [{"id": f"q{query}", "query": query, "passages": PASSAGES} for query in ("iron", "spoon")]
    file.write_text(_lines(*questions))
    ran = _run(address, file, "--pipeline", "rank", "--json", "-n", "1")
    assert ran.exit_code == 0, ran.stderr
    assert [(each["query_id"], each["query"], each["id"]) for each in _printed(ran)] == [
        ("qiron", "iron", "pan"),
        ("qspoon", "spoon", "spoon"),
    ]


def test_a_view_shows_scores_moves_and_what_was_consumed(address: str) -> None:
    ran = _run(address, "smooth sauce", "--pipeline", "rank >> diverse", lines=_lines(*PASSAGES))
    assert ran.exit_code == 0, ran.stderr
    for part in ("The drum sieve", "▲ 1", "rank", "3 of 3 passages", "3 pairs", "all stages: 3 pairs"):
        assert part in " ".join(ran.stdout.split())


def test_a_setting_and_a_deadline_reach_the_server(address: str) -> None:
    same = [{"id": "a", "text": "red sauce"}, {"id": "b", "text": "red sauce"}, {"id": "c", "text": "blue"}]
    options = ["--pipeline", "diverse", "--json", "--deadline", "20"]
    plain = _run(address, "red sauce", *options, lines=_lines(*same))
    diverse = _run(address, "red sauce", *options, "--set", "diverse.diversity=0.9", lines=_lines(*same))
    assert [each["id"] for each in _printed(plain)] == ["a", "b", "c"]
    assert [each["id"] for each in _printed(diverse)] == ["a", "c", "b"]


def test_every_event_can_be_had(address: str) -> None:
    ran = _run(address, "sauce", "--pipeline", "rank", "--json", "--stream", lines=_lines(*PASSAGES))
    kinds = [next(iter(each)) for each in _printed(ran)]
    assert kinds[-1] == "completed"
    assert {"hits_revised", "stage_completed"} < set(kinds)


def test_lines_that_cannot_be_read_are_told_by_their_number_and_the_others_are_ranked(address: str) -> None:
    broken = ["no json\n", {"id": "x"}, PASSAGES[0], {"text": "\ud800"}, {"text": 5}, [], "\n", {"text": "[b]x[/no]"}]
    ran = _run(address, "sauce", "--pipeline", "rank", "--json", lines=_lines(*PASSAGES, *broken))
    assert ran.exit_code == 6
    assert [each["id"] for each in _printed(ran)] == ["sieve", "spoon", "pan", "11"]
    reasons = [
        "is not JSON",
        "a passage has neither",
        "the id 'pan' stands on line 1",
        "holds half a",
        '"text"',
        "is not",
    ]
    for number, reason in enumerate(reasons, 4):
        assert f"line {number}: {reason}" in ran.stderr


@pytest.mark.parametrize(
    ("arguments", "lines", "code", "message"),
    [
        ([], _lines(*PASSAGES), 2, "say what to order by"),
        (["sauce", "nowhere.jsonl"], "", 2, "nowhere.jsonl: No such file"),
        (["sauce", "--pipeline", "words"], _lines(*PASSAGES), 5, "pipeline"),
        (["sauce", "--pipeline", "rnak"], _lines(*PASSAGES), 5, "no pipeline named"),
        (["sauce", "--set", "rank"], _lines(*PASSAGES), 2, "STAGE.SETTING=VALUE"),
        (["sauce"], "", 0, "no passages"),
    ],
)
def test_what_cannot_be_done_is_said(address: str, arguments: list[str], lines: str, code: int, message: str) -> None:
    ran = _run(address, *arguments, lines=lines)
    assert ran.exit_code == code, ran.stderr
    assert message in ran.stderr
    assert isinstance(ran.exception, SystemExit | None)


def test_more_passages_than_can_be_ordered_are_refused_before_they_are_sent(address: str) -> None:
    ran = _run(address, "sauce", lines="".join(f'{{"text": "{number}"}}\n' for number in range(10_001)))
    assert ran.exit_code == 2
    assert "more than 10,000" in ran.stderr


def test_a_query_too_long_for_a_path_is_a_query(address: str) -> None:
    ran = _run(address, "smooth sauce " * 40, "--pipeline", "rank", "--json", lines=_lines(*PASSAGES))
    assert ran.exit_code == 0, ran.stderr
    assert _printed(ran)[0]["id"] == "sieve"


def test_half_a_character_in_what_is_carried_along_comes_back(address: str) -> None:
    odd = '{"id": "odd", "text": "smooth sauce", "note": "\\ud800"}\n'
    ran = _run(address, "smooth sauce", "--pipeline", "rank", "--json", lines=odd)
    assert ran.exit_code == 0, ran.stderr
    assert _printed(ran)[0]["note"] == "\ud800"
