"""The table of families."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pairs import KINDS, Share
from rich.table import Table

__all__ = ["WIDTH", "table"]

WIDTH = 200
"""What the table needs; a narrower console would break its rows."""
_COLUMNS = ("n", "top", "pairs", "calls", "tokens in", "out", "model s", "p50 ms", "cost", "prior", "nDCG@10", *KINDS)


def table(records: Sequence[Mapping[str, Any]]) -> Table:
    """One row for each stage of each family.

    Pairs, calls and tokens are those of all questions, the time is one question's. Quality only of trained weights,
    beside that of the order the candidates came in, which differs: some are asked less. A share of minimal pairs has a
    star where chance, 0.5, is outside of its interval of 95 %.
    """
    made = Table(title="Families of rerankers; * differs from chance", box=None, header_style="dim", padding=(0, 1))
    for column in ("family", "stage", "weights"):
        made.add_column(column, no_wrap=True)
    for column in _COLUMNS:
        made.add_column(column, justify="right", no_wrap=True)
    made.add_column("outcomes", no_wrap=True)
    for record in records:
        for row in _rows(record):
            made.add_row(*row, style="red" if "failed" in record else "")
    return made


def _rows(record: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    nothing = ("",) * len(_COLUMNS)
    for place, stage in enumerate(record["stages"]):
        name, weights = (record["family"], record["weights"]) if place == 0 else ("", "")
        yield (name, stage["stage"], weights, *_cells(record, stage), _outcomes(stage["outcomes"]))
    if "missing" in record:
        yield (record["family"], "", record["weights"], *nothing, f"not installed: {record['missing']}")
    if "failed" in record:
        yield (record["family"], "", record["weights"], *nothing, f"failed: {_line(record['failed'])}")


def _cells(record: Mapping[str, Any], stage: Mapping[str, Any]) -> Iterator[str]:
    yield str(record["queries"])
    yield f"{record['candidates']:.0f}"
    for name in ("pairs", "calls", "input_tokens", "output_tokens"):
        yield f"{stage[name]:,}"
    yield f"{stage['model_seconds']:.1f}"
    yield f"{stage['seconds_p50'] * 1_000:.0f}"
    yield "–" if stage["cost"] is None else f"{stage['cost']:.4f} {stage['currency']}"
    yield "–" if record["prior_ndcg_at_10"] is None else f"{record['prior_ndcg_at_10']:.3f}"
    yield "–" if stage["ndcg_at_10"] is None else f"{stage['ndcg_at_10']:.3f}"
    for kind in KINDS:
        yield _share(stage["minimal_pairs"].get(kind))


def _share(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return "–"
    share = Share(found["share"] * found["count"], found["count"])
    return f"{share.value:.2f}{'*' if share.is_beyond_chance else ' '}"


def _outcomes(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())


def _line(text: str) -> str:
    """Its first line, cut: reasons of libraries are long."""
    return next(iter(text.strip().splitlines()), "")[:120]
