"""The arithmetic of the comparison with other rerankers, and what becomes of peers that fail."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from peers import environments, measuring, table
from peers.measuring import Plan, Turns
from peers.pairs import CANDIDATES, Asked
from peers.processes import Failed
from peers.record import agreement, figures, percentile, ratio, rows
from peers.rows import OURS, REFERENCE, ROWS, Row, chosen

TEN = Plan("bench", passes=2, seconds=100.0)


def _pass(seconds: float, *queries: int, concurrency: int = 1, scores: list[float] | None = None) -> dict[str, Any]:
    each = seconds / len(queries)
    return {
        "concurrency": concurrency,
        "seconds": seconds,
        "latencies": [(number, each) for number in queries],
        "scores": [(number, scores or [0.0, 1.0]) for number in queries],
        "processor_seconds": 2 * seconds,
        "peak_bytes": 3 << 20,
    }


def _measured(*passes: dict[str, Any]) -> dict[str, Any]:
    ready = {"dtype": "float32", "versions": {"thing": "1"}, "note": ""}
    return {"ready": ready, "load_seconds": 1.0, "loaded_bytes": 2 << 20, "passes": list(passes)}


def test_documents_a_second_are_the_median_of_the_passes() -> None:
    found = figures(_measured(_pass(1.0, 0), _pass(2.0, 0), _pass(50.0, 0)), [1e9], 1e9)
    assert found["documents_a_second"] == CANDIDATES / 2.0
    assert found["processors"] == pytest.approx(2.0)
    assert found["share_of_peak"] == pytest.approx(3 / 53)
    assert found["peak_mib"] == 3


def test_a_percentile_is_a_value_that_was_measured() -> None:
    assert percentile([4.0, 1.0, 3.0, 2.0], 0.5) == 2.0
    assert percentile([4.0, 1.0, 3.0, 2.0], 0.99) == 4.0
    assert percentile([7.0], 0.01) == 7.0


def test_a_ratio_is_of_the_queries_that_both_were_asked() -> None:
    assert ratio({0: 2.0, 1: 100.0}, {0: 1.0, 2: 0.1}) == 2.0
    assert ratio({0: 2.0}, {1: 1.0}) is None


def test_where_another_is_faster_the_ratio_is_below_one_and_printed_so() -> None:
    measured = {OURS: _measured(_pass(4.0, 0, 1)), REFERENCE: _measured(_pass(2.0, 0, 1))}
    asked = [Asked("q", ["a", "b"], ["x", "y"], ["a"])] * 2
    found = rows(measured, asked, [1.0, 1.0], 1.0)
    assert found[1]["our_ratio"] == 0.5
    assert "| sentence-transformers | 100.0 | 1.00 | 0.50 |" in table.markdown(_record(found))


def test_orders_that_are_turned_round_disagree_wholly() -> None:
    asked = [Asked("q", ["a", "b", "c"], ["x", "y", "z"], ["a"])]
    found = agreement({0: [1.0, 2.0, 3.0]}, {0: [3.0, 2.0, 1.0]}, asked)
    assert found["tau"] == found["least_tau"] == -1.0
    assert found["ndcg_at_10"] == 0.5
    assert found["reference_ndcg_at_10"] == 1.0


def test_a_slow_row_gets_fewer_queries_which_are_among_those_of_the_reference_and_ours() -> None:
    turns = Turns(TEN, 24, left=96.0, seconds_each={OURS: 1.0, REFERENCE: 2.0, "slow": 4.0, "quick": 0.1})
    counts = {name: len(turns.queries(name, 0)) for name in (OURS, REFERENCE, "slow", "quick")}
    assert counts == {OURS: 12, REFERENCE: 8, "slow": 2, "quick": 12}  # of eight seconds each, twice that for the first
    assert sorted(turns.queries(OURS, 0) + turns.queries(OURS, 1)) == list(range(24))
    assert set(turns.queries("slow", 1)) <= set(turns.queries(REFERENCE, 1)) <= set(turns.queries(OURS, 1))


def test_the_first_queries_are_spread_over_all_of_them() -> None:
    assert measuring.spread(range(8)) == [0, 4, 2, 6, 1, 5, 3, 7]
    assert sorted(measuring.spread(range(11))) == list(range(11))
    assert measuring.spread([5]) == [5]


def test_with_enough_time_every_pass_has_every_query() -> None:
    turns = Turns(measuring.FULL, 5, left=None, seconds_each={"slow": 1e6})
    assert turns.queries("slow", 2) == [0, 1, 2, 3, 4]


def test_a_peer_that_cannot_start_is_a_row_with_its_reason() -> None:
    def started(row: Row) -> Any:
        raise Failed("no | wheel")

    found = measuring.measure(ROWS[:1], started, TEN, 2, None, lambda _: None)
    assert found == {OURS: {"failed": "no | wheel"}}
    assert "not measured: no \\| wheel" in table.markdown(_record(rows(found, [], [], 1.0)))


def test_what_cannot_be_started_in_time_says_so_and_is_not_waited_for() -> None:
    def started(row: Row) -> Any:
        raise AssertionError(row.name)

    found = measuring.measure(ROWS[:2], started, TEN, 2, time.monotonic() - 1, lambda _: None)
    assert [row["failed"] for row in found.values()] == ["no time left; make bench-full measures it"] * 2


def test_the_short_run_leaves_rows_out_unless_they_are_asked_for() -> None:
    assert "tamis, server, ONNX" not in [row.name for row in chosen("")]
    assert "tamis, server, ONNX" in [row.name for row in chosen("", full=True)]
    assert "tamis, server, ONNX" in [row.name for row in chosen("ONNX")]


def test_what_was_asked_for_is_measured_beside_ours_and_the_reference() -> None:
    assert [row.name for row in chosen("haystack")] == [OURS, REFERENCE, "haystack"]
    with pytest.raises(ValueError, match="is in none of"):
        chosen("nothing like it")


def test_every_row_has_its_runner_and_its_environment() -> None:
    folder = Path(measuring.__file__).with_name("runners")
    for row in ROWS:
        assert (folder / f"run_{row.runner}.py").exists()
        assert row.environment == environments.TAMIS or row.environment in environments.ENVIRONMENTS


def test_an_environment_that_is_not_there_says_how_to_make_it(tmp_path: Path) -> None:
    assert environments.problem(tmp_path, environments.TAMIS) is None
    assert "make bench-install" in str(environments.problem(tmp_path, "haystack"))
    (tmp_path / "haystack").mkdir()
    (tmp_path / "haystack" / "failed.txt").write_text("no wheel")
    assert environments.problem(tmp_path, "haystack") == "cannot be installed: no wheel"


def test_a_table_replaces_the_one_before_and_nothing_else(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{table.BEGIN}\nold\n{table.END}\nafter\n")
    table.put(page, "new")
    assert page.read_text() == f"before\n{table.BEGIN}\nnew\n{table.END}\nafter\n"
    page.write_text("no markers")
    with pytest.raises(ValueError, match="markers"):
        table.put(page, "new")


def test_a_runner_answers_each_line_and_says_what_failed(tmp_path: Path) -> None:
    from peers.processes import Runner

    row = Row("echo", "echo", environments.TAMIS)
    (tmp_path / "run_echo.py").write_text(_ECHO)
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps({"query": q, "texts": ["a", "bb"]}) + "\n" for q in "xy"))
    given = {"pairs": str(tmp_path / "pairs.jsonl"), "protocol": str(Path(measuring.__file__).with_name("runners"))}
    runner = Runner(row, tmp_path, given, tmp_path / "work", 1, runners=tmp_path)
    try:
        answer = runner.ask([0, 1, 0], concurrency=2)
        assert answer["scores"] == [[0, [1.0, 2.0]], [1, [1.0, 2.0]]]
        assert sorted(number for number, _ in answer["latencies"]) == [0, 0, 1]
        with pytest.raises(Failed, match="IndexError"):
            runner.ask([7], concurrency=1)
    finally:
        runner.close()


_ECHO = """
import json, sys
sys.path.insert(0, json.loads(sys.argv[1])["protocol"])
from protocol import Peer, run

print("a library's greeting")
run(lambda given: Peer(lambda query, texts: [len(text) for text in texts]))
"""


def _record(found: list[dict[str, Any]]) -> dict[str, Any]:
    machine = {"processor": "a processor", "threads": 2, "memory_gib": 8, "features": ["avx2"]}
    pairs = {"queries": 2, "candidates": 100, "source": "here", "mean_tokens": 200.0, "cut": 0.1, "max_tokens": 256}
    return {
        "plan": "bench",
        "date": "2026-11-25",
        "machine": machine,
        "peak": {"torch": "2", "flops": {"float32": 1e11}},
        "pairs": pairs,
        "rows": found,
    }
