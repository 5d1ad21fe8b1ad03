"""How much each further candidate buys a reranker: gain-by-depth curves for `[planner] gains`.

    python benchmarks/gains.py COLLECTION [COLLECTION ...] [--config tamis.toml] [--pipeline default] [--queries 100]

For each reranker and each depth every question goes through the pipeline up to it, cut at that depth, and then through
it; the depth's gain is the mean nDCG@10 over all questions less that of the order before. Without `--config` the
built-in configuration is measured. Prints the table to paste.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import judged
from judged import Judged, Judgement

from tamis.config import load
from tamis.deadline import Deadline
from tamis.events import HitsRevised, StageRole
from tamis.expression import Chain, Cut, Expression, Leaf, leaves
from tamis.model import Hit, Query
from tamis.pipeline import Pipeline
from tamis.presentation import Presentation
from tamis.search import Search
from tamis.service import Tamis

DEPTHS = (5, 10, 20, 35, 50, 75, 100)
_PATIENCE = 600.0  # seconds for a search


def main() -> None:
    """Prints a line of TOML for each reranker."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("collections", type=Path, nargs="+")
    parser.add_argument("--config", type=Path)
    parser.add_argument("--pipeline", default="default")
    parser.add_argument("--queries", type=int, default=100)
    given = parser.parse_args()
    found: dict[str, list[list[float]]] = {}
    for collection in given.collections:
        for stage, gains in asyncio.run(_measured(collection, given.config, given.pipeline, given.queries)).items():
            found.setdefault(stage, []).append(gains)
    print("[planner.gains]")
    for stage, curves in found.items():
        means = [statistics.fmean(each) for each in zip(*curves, strict=True)]
        points = ", ".join(f"[{depth}, {gain:.4f}]" for depth, gain in zip(DEPTHS, means, strict=True))
        print(f"{stage} = [{points}]")


async def _measured(collection: Path, config: Path | None, pipeline: str, count: int) -> dict[str, list[float]]:
    """The gains of each reranker, by depth."""
    documents, queries = judged.read(collection, count)
    with tempfile.TemporaryDirectory() as data:
        tamis = Tamis(load(config).with_server(data_directory=data))
        await tamis.open()
        try:
            await tamis.create_collection("c")
            written = [each for each in documents if each.text or each.title]
            for start in range(0, len(written), 200):
                await tamis.write("c", written[start : start + 200])
            await tamis.wait_indexed("c", 0, deadline=Deadline.after(3_600))
            return await _gains(tamis, tamis.pipelines.resolve(pipeline), queries)
        finally:
            await tamis.close()


async def _gains(tamis: Tamis, pipeline: Pipeline, queries: Sequence[Judged]) -> dict[str, list[float]]:
    gains: dict[str, list[list[float]]] = {}
    for place, asked in enumerate(queries):
        for stages, before, operand in _rerankings(pipeline):
            base = await _quality(tamis, pipeline, before, asked)
            found = []
            for depth in DEPTHS:
                found.append(await _quality(tamis, pipeline, Chain((Cut(before, depth), operand)), asked) - base)
            for stage in stages:
                gains.setdefault(stage, []).append([each / len(stages) for each in found])
        print(f"\r{place + 1} of {len(queries)}", end="", file=sys.stderr)
    print(file=sys.stderr)
    return {stage: [statistics.fmean(each) for each in zip(*rows, strict=True)] for stage, rows in gains.items()}


def _rerankings(pipeline: Pipeline) -> Iterator[tuple[list[str], Expression, Expression]]:
    """The rerankers of each operand, what stands before it, and the operand; rerankers side by side share a gain."""
    operands = pipeline.expression.operands if isinstance(pipeline.expression, Chain) else ()
    for place, operand in enumerate(operands):
        names = [each.name for each in leaves(operand) if isinstance(each, Leaf)]
        if place and any(pipeline.roles[name] is StageRole.RERANKER for name in names):
            before = operands[:place]
            yield names, before[0] if place == 1 else Chain(before), operand


async def _quality(tamis: Tamis, pipeline: Pipeline, expression: Expression, asked: Judged) -> float:
    """nDCG@10 of a part of the pipeline."""
    hits: tuple[Hit, ...] = ()
    search = Search(replace(pipeline, expression=expression), Query(asked.text, "c"), Presentation(100))
    async for event in tamis.search(search, Deadline.after(_PATIENCE)):
        hits = event.hits if isinstance(event, HitsRevised) else hits
    order = [Judgement(hit.passage.document_id, asked.key(hit)) for hit in hits]
    return judged.ndcg(order, asked.relevant_count)


if __name__ == "__main__":
    main()
