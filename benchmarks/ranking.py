"""Measures how well pipelines rank: nDCG@10 on a judged collection, all variants in one run on one index.

    python benchmarks/ranking.py FOLDER [--queries N] [--json]

FOLDER is in BEIR's format (corpus.jsonl, queries.jsonl, qrels/test.tsv), or holds documents/*.txt and questions.jsonl
with the bytes of each answer (document, start_byte, end_byte): a passage is relevant when it overlaps the answer.
"""

from __future__ import annotations

import asyncio
import csv
import json
import math
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from tamis.config import parse
from tamis.deadline import Deadline
from tamis.events import HitsRevised
from tamis.model import Document, Hit, Query
from tamis.presentation import Presentation
from tamis.search import Search
from tamis.service import Tamis

STAGES = """
[models.minilm]
plugin = "sentence-transformers"
[stages.bm25]
plugin = "tantivy"
[stages.dense]
plugin = "qdrant"
embedder = "minilm"
[stages.late]
plugin = "late-interaction"
embedder = "minilm"
cache_bytes = 2_000_000_000
"""
SIDES = "(bm25 % 50 | dense % 50) % 100"
VARIANTS: dict[str, tuple[str, str]] = {
    "bm25": ("bm25 % 100", ""),
    "dense": ("dense % 100", ""),
    "rrf": (SIDES, 'kind = "rrf"'),
    "min-max": (SIDES, 'kind = "min_max"'),
    "z-score": (SIDES, 'kind = "z_score"'),
    "z-score, bm25 0.5": (SIDES, 'kind = "z_score", weights = { bm25 = 0.5 }'),
    "rrf, late replaces": (f"{SIDES} >> late", 'kind = "rrf"'),
    "rrf, late blends": (f"{SIDES} >> (prior | late)", 'kind = "rrf"'),
    "z-score, late replaces": (f"{SIDES} >> late", 'kind = "z_score"'),
    "z-score, late blends": (f"{SIDES} >> (prior | late)", 'kind = "z_score"'),
    "z-score, late blends half": (f"{SIDES} >> (prior | late)", 'kind = "z_score", weights = { late = 0.5 }'),
    "z-score, bm25 0.5, late blends": (f"{SIDES} >> (prior | late)", 'kind = "z_score", weights = { bm25 = 0.5 }'),
}


@dataclass(frozen=True, slots=True)
class Judged:
    """A question, how many relevant things there are, and what makes a hit relevant: the same key counts once."""

    text: str
    relevant_count: int
    key: Callable[[Hit], str | None]


def beir(folder: Path) -> tuple[list[Document], list[Judged]]:
    """A collection in BEIR's format, judged by document."""
    documents = [
        Document(each["_id"], each.get("text", ""), each.get("title", "")) for each in _lines(folder / "corpus.jsonl")
    ]
    relevant: dict[str, set[str]] = {}
    with (folder / "qrels" / "test.tsv").open() as file:
        for row in csv.DictReader(file, delimiter="\t"):
            if int(row["score"]) > 0:
                relevant.setdefault(row["query-id"], set()).add(row["corpus-id"])
    queries = [
        Judged(each["text"], len(relevant[each["_id"]]), _in_documents(relevant[each["_id"]]))
        for each in _lines(folder / "queries.jsonl")
        if each["_id"] in relevant
    ]
    return documents, queries


def spans(folder: Path) -> tuple[list[Document], list[Judged]]:
    """Questions whose answers are spans of long documents, judged by overlap."""
    documents = [Document(file.stem, file.read_text()) for file in sorted((folder / "documents").glob("*.txt"))]
    queries = [
        Judged(each["text"], 1, _overlapping(str(each["document"]), each["start_byte"], each["end_byte"]))
        for each in _lines(folder / "questions.jsonl")
    ]
    return documents, queries


def ndcg(hits: list[Hit], judged: Judged, depth: int = 10) -> float:
    """Binary nDCG at `depth` (Järvelin and Kekäläinen, 2002); what counts twice counts at its first place."""
    seen: set[str] = set()
    gain, place = 0.0, 0
    for hit in hits:
        if hit.passage.document_id in seen and judged.relevant_count > 1:
            continue
        seen.add(hit.passage.document_id)
        key = judged.key(hit)
        if key is not None and key not in seen:
            seen.add(key)
            gain += 1 / math.log2(place + 2)
        place += 1
        if place == depth:
            break
    return gain / sum(1 / math.log2(each + 2) for each in range(min(depth, judged.relevant_count)))


async def measure(folder: Path, count: int | None) -> dict[str, Any]:
    """Indexes once, then asks every variant the same questions."""
    documents, queries = beir(folder) if (folder / "corpus.jsonl").exists() else spans(folder)
    if count is not None and count < len(queries):
        queries = random.Random(0).sample(queries, count)
    with tempfile.TemporaryDirectory() as data:
        tamis = Tamis(parse(f'[server]\ndata_directory = "{data}"\n{STAGES}{_pipelines()}'))
        await tamis.open()
        try:
            await tamis.create_collection("c")
            for start in range(0, len(documents), 200):
                await tamis.write("c", [each for each in documents[start : start + 200] if each.text or each.title])
            await tamis.wait_indexed("c", 0, deadline=Deadline.after(3_600))
            found = {name: await _variant(tamis, f"v{place}", name, queries) for place, name in enumerate(VARIANTS)}
        finally:
            await tamis.close()
    return {"collection": folder.name, "documents": len(documents), "queries": len(queries), "variants": found}


async def _variant(tamis: Tamis, pipeline: str, name: str, queries: list[Judged]) -> dict[str, float]:
    scores, seconds = [], []
    for judged in track(queries, name, console=Console(stderr=True), transient=True):
        started = time.perf_counter()
        hits: tuple[Hit, ...] = ()
        search = Search(tamis.pipelines.resolve(pipeline), Query(judged.text, "c"), Presentation(limit=100))
        async for event in tamis.search(search, Deadline.after(60)):
            if isinstance(event, HitsRevised):
                hits = event.hits
        seconds.append(time.perf_counter() - started)
        scores.append(ndcg(list(hits), judged))
    return {"ndcg_at_10": statistics.fmean(scores), "median_milliseconds": statistics.median(seconds) * 1_000}


def _pipelines() -> str:
    return "".join(
        f"[pipelines.v{place}]\nexpression = '{expression}'\nfusion = {{ {fusion} }}\n"
        for place, (expression, fusion) in enumerate(VARIANTS.values())
    )


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open() as file:
        yield from map(json.loads, file)


def _in_documents(relevant: set[str]) -> Callable[[Hit], str | None]:
    return lambda hit: f"relevant {hit.passage.document_id}" if hit.passage.document_id in relevant else None


def _overlapping(document: str, start: int, end: int) -> Callable[[Hit], str | None]:
    def key(hit: Hit) -> str | None:
        passage = hit.passage
        overlaps = passage.document_id == document and passage.span.start < end and start < passage.span.end
        return "the answer" if overlaps else None

    return key


def main(
    folder: Annotated[Path, typer.Argument(help="A judged collection.")],
    queries: Annotated[int | None, typer.Option(help="A sample of so many queries, the same each time.")] = None,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Prints a table, best variant marked."""
    found = asyncio.run(measure(folder, queries))
    if as_json:
        print(json.dumps(found))
        return
    table = Table(title=f"{found['collection']}: {found['documents']:,} documents, {found['queries']:,} queries")
    for column in ("variant", "nDCG@10", "median ms"):
        table.add_column(column, justify="left" if column == "variant" else "right")
    best = max(each["ndcg_at_10"] for each in found["variants"].values())
    for name, each in found["variants"].items():
        style = "bold green" if each["ndcg_at_10"] == best else ""
        table.add_row(name, f"{each['ndcg_at_10']:.3f}", f"{each['median_milliseconds']:,.0f}", style=style)
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
