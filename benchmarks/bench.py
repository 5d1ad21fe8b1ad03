"""Tamis beside its peers: the same weights, the same pairs, one machine, one run.

    python benchmarks/bench.py [--full] [--only NAME] [--collection FOLDER] [--queries N] [--json FILE]
    python benchmarks/bench.py --install [--only NAME]

Each row of the table runs in a process and an environment of its own. `--install` makes the environments, below
`.bench`; what is there already is left alone. Writes `benchmarks/results/`, and table and pictures of
`docs/performance.md` unless only some rows were asked for.
"""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import psutil
import typer
from peers import checkpoint, pairs, pictures, record, table
from peers.environments import ENVIRONMENTS, TAMIS, install, problem
from peers.measuring import FULL, QUICK, Plan, measure
from peers.processes import Failed, Runner, environment_variables
from peers.rows import OURS, REFERENCE, Row, chosen
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

ROOT = Path(__file__).parents[1]
_PAGE = ROOT / "docs/performance.md"
_PICTURES = ROOT / "docs/performance"
_RESULTS = ROOT / "benchmarks/results"
_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8", "neon", "bf16", "sve")


def compare(
    rows: Sequence[Row], asked: Sequence[pairs.Asked], source: str, plan: Plan, work: Path, threads: int, told: Any
) -> dict[str, Any]:
    """The whole record."""
    until = None if plan.seconds is None else time.monotonic() + plan.seconds
    told("checkpoint")
    model = checkpoint.make(work / "model")
    pairs.write(asked, work / "pairs.jsonl")
    tokens = checkpoint.token_counts(model, asked)
    operations = [sum(checkpoint.flops(model, each) for each in query) for query in tokens]
    given = {
        "model": str(model),
        "body": str(checkpoint.body()),
        "pairs": str(work / "pairs.jsonl"),
        "sample": {"query": asked[0].query, "texts": asked[0].texts[::4]},
    }
    told("matrix products")
    begun = time.monotonic()
    before = _peak(threads)
    if until is not None:
        until -= time.monotonic() - begun  # once more at the end

    def started(row: Row) -> Runner:
        if reason := problem(work / "environments", row.environment):
            raise Failed(reason)
        return Runner(row, work / "environments", given, work / "runners" / row.name.replace(" ", "-"), threads)

    there = [row for row in rows if not row.needs or find_spec(row.needs)]
    measured = measure(there, started, plan, len(asked), until, told)
    told("matrix products")
    peak = _faster(before, _peak(threads))
    return {
        "plan": plan.name,
        "date": time.strftime("%Y-%m-%d"),
        "machine": _machine(threads),
        "peak": peak,
        "pairs": _about(asked, tokens, source),
        "rows": record.rows(measured, asked, operations, max(peak["flops"].values())),
    }


def _peak(threads: int) -> dict[str, Any]:
    command = [sys.executable, str(ROOT / "benchmarks/peers/runners/run_peak.py")]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env=environment_variables(threads, ours=True)
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _faster(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    return one | {"flops": {name: max(rate, other["flops"][name]) for name, rate in one["flops"].items()}}


def _machine(threads: int) -> dict[str, Any]:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    said = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    flags = set(said.get("flags", said.get("Features", "")).split())
    return {
        "processor": said.get("model name", "unknown processor"),
        "features": [each for each in _FLAGS if each in flags],
        "threads": threads,
        "memory_gib": psutil.virtual_memory().total / 2**30,
        "python": sys.version.split()[0],
    }


def _about(asked: Sequence[pairs.Asked], tokens: Sequence[Sequence[int]], source: str) -> dict[str, Any]:
    counts = [count for query in tokens for count in query]
    return {
        "source": source,
        "queries": len(asked),
        "candidates": pairs.CANDIDATES,
        "mean_tokens": statistics.fmean(counts),
        "cut": statistics.fmean(count >= checkpoint.MAX_TOKENS for count in counts),
        "max_tokens": checkpoint.MAX_TOKENS,
    }


def _publish(found: dict[str, Any], as_json: Path | None, *, whole: bool) -> None:
    text = json.dumps(found, indent=1, ensure_ascii=False) + "\n"
    if as_json is not None:
        as_json.write_text(text, encoding="utf-8")
    if whole:
        _RESULTS.mkdir(exist_ok=True)
        (_RESULTS / f"{found['plan']}.json").write_text(text, encoding="utf-8")
        table.put(_PAGE, table.markdown(found))
        pictures.draw(found, _PICTURES)


def main(
    only: Annotated[str, typer.Option(help="Rows with this in their name, divided by commas.")] = "",
    collection: Annotated[Path | None, typer.Option(help="A judged collection in BEIR's format.")] = None,
    queries: Annotated[int, typer.Option(min=2)] = 24,
    full: Annotated[bool, typer.Option(help="Every query in every pass, every row side by side.")] = False,
    seconds: Annotated[float | None, typer.Option(help="For measuring, instead of the plan's.")] = None,
    threads: Annotated[int, typer.Option(help="Of each row.")] = len(os.sched_getaffinity(0)),
    work: Annotated[Path, typer.Option(help="Where environments and model are kept.")] = ROOT / ".bench",
    as_json: Annotated[Path | None, typer.Option("--json", help="Write the record to this file, too.")] = None,
    installing: Annotated[bool, typer.Option("--install", help="Make the environments, measure nothing.")] = False,
    redraw: Annotated[bool, typer.Option(help="Table and pictures of the last record, measuring nothing.")] = False,
) -> None:
    """Prints one table. The exit code is 1 when Tamis or the reference could not be measured."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that no stopped process is left behind
    console = Console()
    plan = FULL if full else QUICK
    if redraw:
        _publish(json.loads((_RESULTS / f"{plan.name}.json").read_text(encoding="utf-8")), None, whole=True)
        raise typer.Exit
    rows = chosen(only, full=full)
    work = work.resolve()
    if installing:
        names = dict.fromkeys(row.environment for row in rows if row.environment != TAMIS)
        install(work / "environments", [*names], lambda name, state: console.print(f"{name}: {state}", markup=False))
        raise typer.Exit
    if all(problem(work / "environments", name) for name in ENVIRONMENTS):
        console.print("The peers are not installed. First run: make bench-install")
        raise typer.Exit(2)
    work.mkdir(parents=True, exist_ok=True)
    if seconds is not None:
        plan = Plan(plan.name, plan.passes, seconds, plan.concurrencies, plan.repeats)
    asked = pairs.from_collection(collection, queries) if collection else pairs.from_documentation(queries)
    source = collection.name if collection else "Python's documentation"
    with _told() as told:
        found = compare(rows, asked, source, plan, work, threads, told)
    _publish(found, as_json, whole=not only and seconds is None)
    Console(width=240).print(table.terminal(found))
    for line in table.failures(found["rows"]):
        console.print(f"not measured: {line}", markup=False)
    failed = {row["name"] for row in found["rows"] if "failed" in row}
    raise typer.Exit(1 if {OURS, REFERENCE} & failed else 0)


@contextmanager
def _told() -> Iterator[Callable[[str], None]]:
    """What is being done: one line that changes, or lines with the seconds where nobody watches a terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        begun = time.monotonic()
        yield lambda text: console.print(f"{time.monotonic() - begun:4.0f} s  {text}", markup=False, highlight=False)
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=None)
        yield lambda text: progress.update(task, description=text)


if __name__ == "__main__":
    typer.run(main)
