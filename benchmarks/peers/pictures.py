"""One picture for each question that the record answers, as SVG."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")
from matplotlib import pyplot
from matplotlib.axes import Axes

__all__ = ["draw"]

_OURS, _OTHERS = "#1f6f8b", "#b9c2c9"
_STYLE = {
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "font.size": 9,
    "savefig.bbox": "tight",
    "svg.fonttype": "none",
    "svg.hashsalt": "tamis",
}
_Rows = Sequence[Mapping[str, Any]]


def draw(record: Mapping[str, Any], folder: Path) -> list[Path]:
    """The files it wrote. A question that nothing was measured for gets no picture."""
    rows = [row for row in record["rows"] if "failed" not in row]
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    with mpl.rc_context(_STYLE):
        for name, question, value, note in _QUESTIONS:
            asked = [row for row in rows if value(row) is not None]
            if asked:
                found.append(_bars(folder / f"{name}.svg", question, asked, value, note))
        if crowded := [row for row in rows if len(row["at"]) > 1]:
            found.append(_crowds(folder / "side-by-side.svg", crowded))
    return found


def _bars(
    path: Path, question: str, rows: _Rows, value: Callable[[Mapping[str, Any]], float | None], note: str
) -> Path:
    ordered = sorted(rows, key=lambda row: value(row) or 0.0)
    figure, axes = pyplot.subplots(figsize=(7.5, 0.9 + 0.3 * len(rows)))
    values = [value(row) or 0.0 for row in ordered]
    bars = axes.barh([row["name"] for row in ordered], values, color=[_colour(row) for row in ordered], height=0.7)
    axes.bar_label(bars, fmt=_format(max(values)), padding=3)
    axes.set_title(question)
    axes.set_xlabel(note)
    axes.margins(x=0.1)
    axes.tick_params(axis="y", length=0)
    return _saved(figure, path)


def _crowds(path: Path, rows: _Rows) -> Path:
    """Rate and slowest answers against how many ask at a time."""
    figure, both = pyplot.subplots(1, 2, figsize=(9.5, 3.6))
    for axes, key, title in zip(both, ("documents_a_second", "p99_seconds"), _CROWD_TITLES, strict=True):
        for row in rows:
            points = sorted((int(count), at[key]) for count, at in row["at"].items())
            ours = row["name"].startswith("tamis")
            axes.plot(*zip(*points, strict=True), marker="o", ms=4, lw=2 if ours else 1, label=row["name"])
        _counted(axes, sorted({int(count) for row in rows for count in row["at"]}))
        axes.set_title(title)
    both[0].set_ylim(bottom=0)
    both[1].set_yscale("log")
    both[1].legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
    return _saved(figure, path)


def _counted(axes: Axes, counts: Sequence[int]) -> None:
    axes.set_xscale("log", base=2)
    axes.set_xticks(counts, [str(each) for each in counts])
    axes.set_xlabel("queries at a time")


def _colour(row: Mapping[str, Any]) -> str:
    return _OURS if row["name"].startswith("tamis") else _OTHERS


def _format(most: float) -> str:
    return "%.0f" if most > 20 else "%.2f" if most > 1.5 else "%.4f"


def _saved(figure: Any, path: Path) -> Path:
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
    return path


_CROWD_TITLES = ("Is anything lost side by side? documents/s", "How long does the slowest wait? p99, s")
_QUESTIONS: tuple[tuple[str, str, Callable[[Mapping[str, Any]], float | None], str], ...] = (
    (
        "documents-a-second",
        "How many documents a second?",
        lambda row: row["documents_a_second"],
        "one query at a time",
    ),
    (
        "latency",
        "How long does a query of 100 candidates take?",
        lambda row: row["at"]["1"]["p50_seconds"] * 1_000,
        "ms, median, one query at a time",
    ),
    (
        "share-of-peak",
        "How near to what the processor can multiply?",
        lambda row: row["share_of_peak"] * 100,
        "% of the measured matrix-multiply peak, padding not counted as work",
    ),
    ("memory", "How much memory?", lambda row: row["peak_mib"], "MiB resident at most, model and libraries included"),
    ("agreement", "Is the order still the same?", lambda row: row.get("tau"), "Kendall's τ with float32 as it comes"),
)
