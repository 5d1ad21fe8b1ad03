"""The benchmark of families, on five documents and with rerankers that need no weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from families import chosen, compare
from family_table import FAMILIES, Family
from family_view import WIDTH, table
from pairs import KINDS, MinimalPair
from rich.console import Console

DOCUMENTS = {
    "sieve": "A drum sieve makes a smooth sauce smooth.",
    "knife": "A dull knife is a dangerous knife.",
    "pan": "An iron pan wants oil, not a sauce.",
    "kettle": "The kettle sings when the water boils.",
    "spoon": "A wooden spoon stirs the sauce.",
}
RETRIEVAL = """
[stages.words]
plugin = "fake-memory"
[pipelines.candidates]
expression = "words % 5"
[pipelines.pairs]
expression = "words % 100"
"""
STAGE = '[stages.ranked]\nplugin = "fake-words"\n'
WORDS = Family("words", STAGE, "ranked")
PAIRS = [
    MinimalPair("negation-1", "negation", "a dull knife", "A dull knife.", "A sharp spoon.", "right"),
    MinimalPair("time-1", "time", "a smooth sauce", "An iron pan.", "A smooth sauce.", "wrong"),
    MinimalPair("time-2", "time", "a wooden spoon", "The spoon is wooden.", "Wooden is the spoon.", "right"),
]


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    folder = tmp_path / "kitchen"
    (folder / "qrels").mkdir(parents=True)
    _write(folder / "corpus.jsonl", [{"_id": key, "text": text} for key, text in DOCUMENTS.items()])
    _write(folder / "queries.jsonl", [{"_id": "1", "text": "a smooth sauce"}, {"_id": "2", "text": "a dull knife"}])
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n1\tsieve\t1\n2\tknife\t1\n")
    return folder


def _write(path: Path, rows: list[dict[str, str]]) -> None:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))


async def _records(folder: Path, *families: Family) -> list[dict[str, Any]]:
    return await compare(folder, families, PAIRS, folder.parent, retrieval=RETRIEVAL)


def _printed(records: list[dict[str, Any]]) -> str:
    console = Console(width=WIDTH, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(table(records))
    return console.export_text()


async def test_a_family_is_measured_across_the_socket_by_stage(collection: Path) -> None:
    retrieval, family = await _records(collection, WORDS)
    assert [each["stage"] for each in retrieval["stages"]] == ["words"]
    (stage,) = family["stages"]
    assert (family["queries"], stage["stage"], stage["outcomes"]) == (2, "ranked", {"ran": 2})
    assert stage["ndcg_at_10"] == 1.0
    assert stage["minimal_pairs"]["negation"]["share"] == 1.0
    assert stage["minimal_pairs"]["time"] == {"share": 0.25, "count": 2, "interval": pytest.approx((0.0, 0.8), abs=0.1)}


async def test_what_has_been_measured_is_not_measured_again(collection: Path) -> None:
    (first,) = (await _records(collection, WORDS))[1:]
    kept = collection.parent / "records.jsonl"
    (line,) = kept.read_text().splitlines()
    kept.write_text(f"{line.replace('1.0', '0.5')}\n{line[:40]}\n")
    (again,) = (await _records(collection, WORDS))[1:]
    assert first["stages"][0]["ndcg_at_10"] == 1.0
    assert again["stages"][0]["ndcg_at_10"] == 0.5


async def test_one_that_fails_or_is_not_there_says_why_and_the_next_is_shown(collection: Path) -> None:
    broken = Family("broken", f'{STAGE}behaviour = "raises"\n', "ranked")
    wrong = Family("wrong", f"{STAGE}no_such_setting = 1\n", "ranked")
    absent = Family("absent", '[stages.ranked]\nplugin = "nobody-has-this"\n', "ranked")
    unmade = Family("unmade", f"{STAGE}# $CHECKPOINT\n", "ranked", checkpoint="nobody_makes_this.save")
    found = (await _records(collection, broken, wrong, absent, unmade, WORDS))[1:]
    assert found[0]["failed"] == "ranked nothing: failed"
    assert "no_such_setting" in found[1]["failed"]
    assert found[2]["missing"] == "plugin nobody-has-this"
    assert found[3]["missing"] == "no tests/checkpoints/nobody_makes_this.py"
    assert found[4]["stages"][0]["outcomes"] == {"ran": 2}
    assert len((collection.parent / "records.jsonl").read_text().splitlines()) == 1
    assert "not installed: plugin nobody-has-this" in _printed(found)


async def test_random_weights_are_shown_without_any_quality(collection: Path) -> None:
    (record,) = (await _records(collection, Family("words", STAGE, "ranked", "random")))[1:]
    assert record["stages"][0]["ndcg_at_10"] is None
    assert record["stages"][0]["minimal_pairs"] == {}
    row = next(line for line in _printed([record]).splitlines() if "random" in line)
    assert row.split().count("–") == 3 + len(KINDS)


async def test_a_stored_family_ranks_in_a_search(collection: Path) -> None:
    stored = Family("stored", STAGE, "ranked", stored=True)
    (record,) = (await _records(collection, stored))[1:]
    assert [each["stage"] for each in record["stages"]] == ["words", "ranked"]
    assert record["stages"][1]["ndcg_at_10"] == 1.0


def test_families_have_names_of_their_own_and_configurations_that_can_be_read() -> None:
    assert len({each.name for each in FAMILIES}) == len(FAMILIES)
    for each in FAMILIES:
        assert each.plugins
        assert ("$CHECKPOINT" in each.config) == bool(each.checkpoint)
        assert ("$ENDPOINT" in each.config) == bool(each.endpoint)
        assert each.weights != "trained" or not each.checkpoint


def test_families_are_chosen_by_name_or_by_what_stands_before_the_comma() -> None:
    assert [each.name for each in chosen("mmr, setwise")] == ["setwise", "mmr"]
    assert {each.plugins.pop() for each in chosen("hosted")} >= {"cohere", "jina"}
    assert chosen("") == list(FAMILIES)
    with pytest.raises(typer.BadParameter, match="nobody"):
        chosen("nobody")
