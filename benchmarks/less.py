"""What is saved by not doing again, and by not doing: cached scores, one encoding a query, reading only the front.

    python benchmarks/less.py COLLECTION… [--queries N] [--documents 300] [--timed 8] [--kept FOLDER]

Prints JSON, a line for each part. Scores and queries are timed on the first collection's first documents, with and
without, in one run: a cross-encoder of the size of MiniLM with a head made up at random, whose scores mean nothing and
cost the same, and late interaction over stored vectors. What progressive reranking leaves out,
and loses, is computed from every score that late interaction gave: `--kept` keeps those. Every query is judged by what
was learnt from the others.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Annotated, Any

import judged
import leaves
import typer
from skipping import compared

from tamis.config import parse
from tamis.context import Call, Usage
from tamis.deadline import Deadline
from tamis.events import Completed, HitsRevised
from tamis.model import Document, Passage, Query
from tamis.presentation import Presentation
from tamis.search import Search
from tamis.service import Tamis
from tamis_transformers import CrossEncoderReranker
from tamis_transformers.checkpoint import BUNDLED, located

_PAIRS = 16
_ROUNDS = 3
_DEEP = """
[pipelines.deep]
expression = "(bm25 % 100 | dense % 100) % 200 >> late"
"""
_STORED = """
[server]
data_directory = "{folder}"
[models.minilm]
plugin = "sentence-transformers"
query_cache_bytes = {bytes}
[stages.dense]
plugin = "qdrant"
embedder = "minilm"
[stages.late]
plugin = "late-interaction"
embedder = "minilm"
store = "int8"
[pipelines.default]
expression = "dense % 50 >> late"
"""


async def scores(documents: Sequence[Document], queries: Sequence[str]) -> dict[str, Any]:
    """A cross-encoder asked for three pages of each query, with cached scores and without."""
    with tempfile.TemporaryDirectory() as folder:
        _random_head(Path(folder))
        found = {}
        for name, count in (("without", 0), ("with", 100_000)):
            settings = CrossEncoderReranker.Settings(model=folder, dtype="float32", cached_scores=count)
            reranker = CrossEncoderReranker(settings)
            await reranker.open()
            await _paged(reranker, documents, ["warm up"], 1)
            found[name] = await _paged(reranker, documents, queries, _ROUNDS)
            await reranker.close()
    found["times as fast"] = found["without"]["seconds"] / found["with"]["seconds"]
    return found


async def _paged(
    reranker: CrossEncoderReranker, documents: Sequence[Document], queries: Sequence[str], rounds: int
) -> dict[str, float]:
    passages = [Passage(it.id, it.id, 1, it.text, it.title) for it in documents[:_PAIRS]]
    usage, later, begun = Usage(), list[float](), time.perf_counter()
    for query in queries:
        for page in range(rounds):
            call, started = Call(), time.perf_counter()
            async with aclosing(reranker.rerank(Query(query), passages, top_n=10, call=call)) as stream:
                async for _ in stream:
                    pass
            usage.add(call.usage)
            later += [time.perf_counter() - started] if page else []
    found = {"pairs": usage.pair_count, "cached": usage.cache_hit_count, "seconds": time.perf_counter() - begun}
    return found | ({"ms of a later page": 1e3 * statistics.median(later)} if later else {})


def _random_head(folder: Path) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    torch.manual_seed(0)
    bundled = located(BUNDLED)
    AutoModelForSequenceClassification.from_pretrained(bundled, num_labels=1).save_pretrained(folder)
    AutoTokenizer.from_pretrained(bundled).save_pretrained(folder)


async def encodings(documents: Sequence[Document], queries: Sequence[str]) -> dict[str, Any]:
    """Dense retrieval and late interaction over stored vectors, the query encoded once or by each."""
    found = {}
    for name, most_bytes in (("once for each stage", 0), ("once", 8 << 20)):
        with tempfile.TemporaryDirectory() as folder:
            tamis = Tamis(parse(_STORED.format(folder=folder, bytes=most_bytes)))
            await tamis.open()
            await tamis.create_collection("c")
            await tamis.write("c", documents)
            await tamis.wait_indexed("c", 0, deadline=Deadline.after(600))
            await _searched(tamis, "warm up")
            asked = [await _searched(tamis, each) for each in queries]
            again = [await _searched(tamis, each) for each in queries]
            await tamis.close()
        found[name] = {"first": _mean(asked), "asked again": _mean(again)}
    return found


async def _searched(tamis: Tamis, query: str) -> tuple[float, Usage]:
    usage, begun = Usage(), time.perf_counter()
    search = Search(tamis.pipelines.resolve("default"), Query(query, "c"), Presentation(10))
    async for event in tamis.search(search, Deadline.after(60)):
        usage = event.usage if isinstance(event, Completed) else usage
    return time.perf_counter() - begun, usage


def _mean(searches: Sequence[tuple[float, Usage]]) -> dict[str, float]:
    """Of one search."""
    mean = statistics.fmean
    return {
        "model calls": mean(each.model_call_count for _, each in searches),
        "tokens read": mean(each.input_token_count for _, each in searches),
        "pairs": mean(each.pair_count for _, each in searches),
        "ms of models": 1e3 * mean(each.model_seconds for _, each in searches),
        "ms, median": 1e3 * statistics.median(seconds for seconds, _ in searches),
    }


async def deep(folder: Path, count: int | None) -> list[dict[str, Any]]:
    """What every stage scored for each query, two hundred candidates deep."""
    documents, queries = judged.read(folder, count)
    found = []
    async with leaves.Indexed(documents, _DEEP) as tamis:
        for each in queries:
            hits: tuple[Any, ...] = ()
            search = Search(tamis.pipelines.resolve("deep"), Query(each.text, "c"), Presentation())
            async for event in tamis.search(search, Deadline.after(600)):
                hits = event.hits if isinstance(event, HitsRevised) else hits
            found.append(leaves.kept(each, hits))
    return found


def main(
    folders: list[Path],
    queries: Annotated[int | None, typer.Option(help="At most so many, the same each time.")] = None,
    documents: Annotated[int, typer.Option(help="How many of the first collection to time on.")] = 300,
    timed: Annotated[int, typer.Option(help="How many questions to time.")] = 8,
    kept: Annotated[Path | None, typer.Option(help="Where scores are kept.")] = None,
) -> None:
    """Measures all of it."""
    texts, asked = judged.read(folders[0], queries)
    few = [each.text for each in asked[:timed]]
    some = [each for each in texts if each.text][:documents]
    for folder in folders:
        _show({"progressive": {folder.name: compared(_deep(folder, queries, kept))}})
    _show({"cached scores": asyncio.run(scores(some, few))})
    _show({"encodings of a query": asyncio.run(encodings(some, few))})


def _show(found: dict[str, Any]) -> None:
    print(json.dumps(found), flush=True)


def _deep(folder: Path, count: int | None, kept: Path | None) -> list[leaves.Leaves]:
    path = kept / f"{folder.name}-{count or 'all'}.json" if kept else None
    if path is None or not path.exists():
        found = asyncio.run(deep(folder, count))
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(found))
    else:
        found = json.loads(path.read_text())
    return [leaves.read(each) for each in found]


if __name__ == "__main__":
    typer.run(main)
