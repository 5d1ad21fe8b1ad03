"""Compares ways to rank: nDCG@10 on judged collections, all fusions on the very same leaf rankings.

    python benchmarks/ranking.py FOLDER… [--cache FOLDER] [--queries N] [--passage-tokens N] [--explore] [--json]

The formats are those of `judged.read`. The stages run once for each question; the fusions are then computed from what
they scored, in seconds. `--cache` keeps that. `--timed` runs the shipped pipelines through a server's inside as well.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import judged
import leaves
import numpy as np
import typer
from fusions import DEFAULT, variants
from leaves import Leaves
from rich.console import Console
from rich.table import Table
from significance import chosen_elsewhere, p_value

REQUIRED = 0.02
"""How far the default may stay behind the best of these, on any collection."""
REFERENCES = ("bm25", "dense", "rrf k=60")
SHOWN = (
    *REFERENCES,
    "min_max",
    "z_score",
    "rrf k=60 » late",
    "rrf k=60 » blend",
    "min_max » blend",
    "z_score » blend",
    DEFAULT,
)
"""What is printed without `--explore`: what the server can be configured to do."""
_WEIGHED = "kind = 'z_score', weights = { dense = 1.4 }"
_SIDES = "(bm25 % 50 | dense % 50) % 100"
_TIMED = {
    "bm25": ("bm25 % 100", ""),
    "dense": ("dense % 100", ""),
    "rrf k=60": (_SIDES, "kind = 'rrf'"),
    "z_score dense=1.4": (_SIDES, _WEIGHED),
    "rrf k=60 » late": (f"{_SIDES} >> late", "kind = 'rrf'"),
    DEFAULT: (f"{_SIDES} >> (prior | late) % 50", _WEIGHED),
}


def compare(collections: Mapping[str, Sequence[Leaves]]) -> dict[str, Any]:
    """Every variant on every collection: means, how far behind the best reference, and whether that is chance."""
    found = {each.name: each for each in variants()}
    scores = {
        name: [np.array([each.ndcg(variant.order(each)) for each in asked]) for asked in collections.values()]
        for name, variant in found.items()
    }
    best = [max(scores[name][place].mean() for name in REFERENCES) for place in range(len(collections))]
    rows = {name: _row(each, scores[DEFAULT], best) for name, each in scores.items()}
    for name, row in rows.items():
        row["family"] = found[name].family
    return {"collections": list(collections), "variants": rows, "left_out": _left_out(rows, len(collections))}


def _row(scores: list[Any], default: list[Any], best: list[float]) -> dict[str, Any]:
    differences = [one - other for one, other in zip(scores, default, strict=True)]
    means = [float(each.mean()) for each in scores]
    return {
        "ndcg_at_10": means,
        "mean": statistics.fmean(means),
        "behind": max(0.0, *(float(b - mean) for b, mean in zip(best, means, strict=True))),
        "p_values": [p_value([each]) for each in differences],
        "p_value": p_value(differences),
    }


def _left_out(rows: Mapping[str, dict[str, Any]], count: int) -> dict[str, dict[str, Any]]:
    """For each family: what it gets on each collection when its numbers are chosen on the others."""
    families: dict[str, dict[str, list[float]]] = {}
    for name, row in rows.items():
        families.setdefault(row["family"], {})[name] = row["ndcg_at_10"]
    found = {}
    for family, members in families.items():
        if family != "alone" and count > 1:
            chosen = [chosen_elsewhere(members, place) for place in range(count)]
            reached = [members[name][place] for place, name in enumerate(chosen)]
            found[family] = {"chosen": chosen, "ndcg_at_10": reached, "mean": statistics.fmean(reached)}
    return found


def show(result: Mapping[str, Any], console: Console, *, explore: bool) -> None:
    """One row a variant, best mean first when all are shown."""
    rows = result["variants"]
    names = sorted(rows, key=lambda name: -rows[name]["mean"]) if explore else [each for each in SHOWN if each in rows]
    table = Table(title=f"nDCG@10; * differs from {DEFAULT!r} with p < 0.05", box=None, header_style="dim")
    table.add_column("variant", no_wrap=True)
    for column in (*result["collections"], "mean", "p", "behind"):
        table.add_column(column, justify="right")
    best = [max(rows[name]["ndcg_at_10"][place] for name in names) for place in range(len(result["collections"]))]
    for name in names:
        row = rows[name]
        cells = [
            f"{'[green]' if mean == most else ''}{mean:.3f}{'*' if p < 0.05 else ' '}"
            for mean, most, p in zip(row["ndcg_at_10"], best, row["p_values"], strict=True)
        ]
        behind = f"{'[red]' if row['behind'] > REQUIRED else ''}{row['behind']:.3f}"
        style = "bold" if name == DEFAULT else ""
        table.add_row(name, *cells, f"{row['mean']:.4f}", f"{row['p_value']:.3f}", behind, style=style)
    console.print(table)
    if explore and result["left_out"]:
        _show_left_out(result, console)


def _show_left_out(result: Mapping[str, Any], console: Console) -> None:
    table = Table(title="Each family, its numbers chosen on the other collections", box=None, header_style="dim")
    table.add_column("family", no_wrap=True)
    for column in (*result["collections"], "mean"):
        table.add_column(column, justify="right")
    for family, found in sorted(result["left_out"].items(), key=lambda each: -each[1]["mean"]):
        table.add_row(family, *(f"{each:.3f}" for each in found["ndcg_at_10"]), f"{found['mean']:.4f}")
    console.print(table)


async def timed(folder: Path, count: int | None) -> dict[str, float]:
    """The median milliseconds of a search in the server's process; each question once before it counts."""
    documents, queries = judged.read(folder, count)
    pipelines = "".join(
        f"[pipelines.v{place}]\nexpression = '{expression}'\nfusion = {{ {fusion} }}\n"
        for place, (expression, fusion) in enumerate(_TIMED.values())
    )
    found = {}
    async with leaves.Indexed(documents, pipelines) as tamis:
        for place, name in enumerate(_TIMED):
            for each in queries:
                await leaves.hits_of(tamis, f"v{place}", each.text)
            seconds = []
            for each in queries:
                started = time.perf_counter()
                await leaves.hits_of(tamis, f"v{place}", each.text)
                seconds.append(time.perf_counter() - started)
            found[name] = statistics.median(seconds) * 1_000
    return found


def main(
    folders: Annotated[list[Path], typer.Argument(help="Judged collections.")],
    queries: Annotated[int | None, typer.Option(help="At most so many queries each, the same each time.")] = None,
    cache: Annotated[Path | None, typer.Option(help="Where leaf rankings are kept.")] = None,
    passage_tokens: Annotated[int | None, typer.Option(help="The most tokens of a passage.")] = None,
    explore: Annotated[
        bool, typer.Option("--explore", help="Show every fusion, and leave one collection out.")
    ] = False,
    time_too: Annotated[bool, typer.Option("--timed", help="Time the shipped pipelines, on 50 queries.")] = False,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Prints a table: what is best, what differs by more than chance, and how far each is behind the best reference."""
    found = {}
    sizes = {}
    for folder in folders:
        sizes[folder.name], found[folder.name] = leaves.collect(folder, queries, cache, passage_tokens)
    result = {"sizes": sizes, "passage_tokens": passage_tokens, **compare(found)}
    if time_too:
        result["median_milliseconds"] = {each.name: asyncio.run(timed(each, 50)) for each in folders}
    if as_json:
        print(json.dumps(result))
        return
    console = Console()
    show(result, console, explore=explore)
    for name, each in result.get("median_milliseconds", {}).items():
        console.print(f"{name}, ms: " + ", ".join(f"{variant} {value:.0f}" for variant, value in each.items()))


if __name__ == "__main__":
    typer.run(main)
