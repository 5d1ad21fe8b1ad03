"""The record as tables: Markdown between the markers of a page, and the same in a terminal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

__all__ = ["BEGIN", "END", "failures", "markdown", "put", "terminal"]

BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"
_Row = Mapping[str, Any]
_COLUMNS: tuple[tuple[str, Callable[[_Row], str]], ...] = (
    ("documents/s", lambda row: f"{row['documents_a_second']:.1f}"),
    ("× as it comes", lambda row: _ratio(row.get("reference_ratio"))),
    ("Tamis ÷ it", lambda row: _ratio(row.get("our_ratio"))),
    ("p50 / p99, ms", lambda row: _latency(row, 1)),
    ("8 at a time", lambda row: _together(row, 8)),
    ("32 at a time", lambda row: _together(row, 32)),
    ("processors", lambda row: f"{row['processors']:.2f}"),
    ("peak MiB", lambda row: f"{row['peak_mib']:.0f}"),
    ("of the peak", lambda row: f"{row['share_of_peak']:.0%}"),
    ("τ, mean / least", lambda row: _tau(row)),
    ("nDCG@10", lambda row: _ndcg(row)),
    ("queries", lambda row: str(row["at"]["1"]["queries"])),
    ("in", lambda row: row["dtype"]),
)


def markdown(record: Mapping[str, Any]) -> str:
    """One row each, what could not be measured with its reason, then the versions."""
    names = [name for name, _ in _COLUMNS]
    lines = [_about(record), "", f"| | {' | '.join(names)} |", f"|---|{'---:|' * len(names)}"]
    for row in record["rows"]:
        if "failed" in row:
            lines.append(f"| {row['name']} | not measured: {_escaped(row['failed'])} |{' |' * (len(names) - 1)}")
        else:
            lines.append(f"| {row['name']} | {' | '.join(cell(row) for _, cell in _COLUMNS)} |")
    return "\n".join([*lines, "", *(_footnote(row) for row in record["rows"] if "failed" not in row)])


def terminal(record: Mapping[str, Any]) -> Table:
    """For a wide console."""
    table = Table(title=_about(record).replace("`", ""), box=None, header_style="dim", padding=(0, 1))
    table.add_column("", no_wrap=True)
    for name, _ in _COLUMNS:
        table.add_column(name, justify="right", no_wrap=True)
    for row in record["rows"]:
        if "failed" not in row:
            style = "bold" if row["name"].startswith("tamis") else ""
            table.add_row(row["name"], *(cell(row) for _, cell in _COLUMNS), style=style)
    return table


def put(page: Path, text: str) -> None:
    """Replaces what stands between the markers. Raises `ValueError` for a page without them."""
    before, begin, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page} lacks the markers {BEGIN} and {END}")
    page.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


def _about(record: Mapping[str, Any]) -> str:
    machine, pairs, peak = record["machine"], record["pairs"], record["peak"]
    processor = f"{machine['processor']}, {machine['threads']} threads, {machine['memory_gib']:.0f} GiB"
    features = ", ".join(machine["features"])
    rates = ", ".join(f"{rate / 1e9:,.0f} GFLOP/s in {name}" for name, rate in sorted(peak["flops"].items()))
    return (
        f"`make {record['plan']}` of {record['date']}. {processor} ({features}); PyTorch {peak['torch']} multiplies "
        f"matrices at {rates}. {pairs['queries']} queries of {pairs['candidates']} candidates from {pairs['source']}, "
        f"{pairs['mean_tokens']:.0f} tokens a pair, {pairs['cut']:.0%} of them cut at {pairs['max_tokens']}."
    )


def _footnote(row: _Row) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in row["versions"].items())
    rates = " ".join(f"{each:.1f}" for each in row["pass_rates"])
    failed = "".join(f"; {count} at a time: {_escaped(why)}" for count, why in row["failed_at"].items())
    note = f"; {row['note']}" if row["note"] else ""
    loading = f"{row['load_seconds']:.0f} s to start, {row['loaded_mib']:.0f} MiB then"
    return f"- {row['name']}: {versions}{note}; passes {rates}; {loading}{failed}."


def _ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _latency(row: _Row, concurrency: int) -> str:
    at = row["at"].get(str(concurrency))
    return "–" if at is None else f"{at['p50_seconds'] * 1_000:,.0f} / {at['p99_seconds'] * 1_000:,.0f}"


def _together(row: _Row, concurrency: int) -> str:
    at = row["at"].get(str(concurrency))
    return "–" if at is None else f"{at['documents_a_second']:.1f}; {_latency(row, concurrency)}"


def _tau(row: _Row) -> str:
    return "" if row.get("tau") is None else f"{row['tau']:.4f} / {row['least_tau']:.4f}"


def _ndcg(row: _Row) -> str:
    if row.get("tau") is None:
        return ""
    return f"{row['ndcg_at_10']:.3f} ({row['ndcg_at_10'] - row['reference_ndcg_at_10']:+.3f})"


def _escaped(text: str) -> str:
    """In one cell of a table, and no markup of it."""
    return " ".join(text.replace("|", "\\|").replace("<", "&lt;").split())


def failures(rows: Sequence[_Row]) -> list[str]:
    """A line for each row that could not be measured."""
    return [f"{row['name']}: {row['failed']}" for row in rows if "failed" in row]
