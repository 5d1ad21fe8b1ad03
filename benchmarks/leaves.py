"""Leaf rankings: what each stage of the default pipeline scores for each question, kept on disk.

They cost minutes, all fusions of them seconds; and every fusion gets the very same input.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import judged
from judged import Judged, Judgement
from rich.console import Console
from rich.progress import track

from tamis.config import parse
from tamis.deadline import Deadline
from tamis.events import HitsRevised
from tamis.fusion import Side
from tamis.model import Hit, Query
from tamis.presentation import Presentation
from tamis.search import Search
from tamis.service import Tamis

__all__ = ["DEPTH", "STAGES", "Indexed", "Leaves", "collect", "kept", "read"]

DEPTH = 50
"""How many passages each retriever gives."""
STAGES = """
[models.minilm]
plugin = "sentence-transformers"
[models.chunks]
plugin = "sentences"
embedder = "minilm"
$PASSAGES
[ingest]
chunker = "chunks"
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
_PIPELINE = f"""
[pipelines.leaves]
expression = "(bm25 % {DEPTH} | dense % {DEPTH}) % {2 * DEPTH} >> late"
"""


@dataclass(frozen=True, slots=True)
class Leaves:
    """One question: the scores of each stage, best first, and what each passage is worth."""

    relevant_count: int
    scores: dict[str, list[tuple[str, float]]]
    judgements: dict[str, Judgement]

    def side(self, name: str) -> Side:
        """What a stage gave."""
        return Side(name, self.scores.get(name, []))

    def ndcg(self, order: list[str]) -> float:
        """How good an order of passage ids is."""
        return judged.ndcg([self.judgements[each] for each in order], self.relevant_count)


def collect(
    folder: Path, count: int | None, cache: Path | None, passage_tokens: int | None = None
) -> tuple[dict[str, int], list[Leaves]]:
    """The leaf rankings of a collection, from `cache` if nothing that they depend on has changed since."""
    path = cache / f"{folder.name}-{_fingerprint(folder, count, passage_tokens)}.json" if cache else None
    if path is None or not path.exists():
        found = asyncio.run(_collect(folder, count, passage_tokens))
        if path is None:
            return found["sizes"], [read(each) for each in found["queries"]]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_suffix(".part").write_text(json.dumps(found))
        path.with_suffix(".part").replace(path)
    found = json.loads(path.read_text())
    return found["sizes"], [read(each) for each in found["queries"]]


class Indexed:
    """A collection `c`, indexed and open: `async with Indexed(documents, pipelines) as tamis`.

    Passages are as long as the encoder reads, or have `passage_tokens` tokens at most.
    """

    def __init__(self, documents: list[Any], pipelines: str, passage_tokens: int | None = None) -> None:
        self._documents, self._pipelines = documents, pipelines
        self._stages = STAGES.replace("$PASSAGES", f"max_tokens = {passage_tokens}" if passage_tokens else "")
        self._data = tempfile.TemporaryDirectory()

    async def __aenter__(self) -> Tamis:
        text = f'[server]\ndata_directory = "{self._data.name}"\n{self._stages}{self._pipelines}'
        self._tamis = Tamis(parse(text))
        await self._tamis.open()
        await self._tamis.create_collection("c")
        written = [each for each in self._documents if each.text or each.title]
        for start in range(0, len(written), 200):
            await self._tamis.write("c", written[start : start + 200])
        await self._tamis.wait_indexed("c", 0, deadline=Deadline.after(3_600))
        return self._tamis

    async def __aexit__(self, *_: object) -> None:
        await self._tamis.close()
        self._data.cleanup()


async def hits_of(tamis: Tamis, pipeline: str, text: str) -> tuple[Hit, ...]:
    """The last hits of a search."""
    hits: tuple[Hit, ...] = ()
    search = Search(tamis.pipelines.resolve(pipeline), Query(text, "c"), Presentation(2 * DEPTH))
    async for event in tamis.search(search, Deadline.after(600)):
        if isinstance(event, HitsRevised):
            hits = event.hits
    return hits


async def _collect(folder: Path, count: int | None, passage_tokens: int | None) -> dict[str, Any]:
    documents, queries = judged.read(folder, count)
    async with Indexed(documents, _PIPELINE, passage_tokens) as tamis:
        asked = track(queries, folder.name, console=Console(stderr=True), transient=True)
        found = [kept(each, await hits_of(tamis, "leaves", each.text)) for each in asked]
    return {"sizes": {"documents": len(documents), "queries": len(queries)}, "queries": found}


def kept(asked: Judged, hits: tuple[Hit, ...]) -> dict[str, Any]:
    """Provenance has it all: each hit carries its rank and score in every stage."""
    stages: dict[str, list[tuple[int, str, float]]] = {}
    for hit in hits:
        for each in hit.stage_scores:
            if each.score is not None and not each.contributions:
                stages.setdefault(each.stage, []).append((each.rank, hit.passage.id, each.score))
    return {
        "relevant_count": asked.relevant_count,
        "scores": {name: [(id, score) for _, id, score in sorted(found)] for name, found in stages.items()},
        "judgements": {hit.passage.id: (hit.passage.document_id, asked.key(hit)) for hit in hits},
    }


def read(kept: dict[str, Any]) -> Leaves:
    scores = {name: [(id, score) for id, score in found] for name, found in kept["scores"].items()}
    judgements = {id: Judgement(*each) for id, each in kept["judgements"].items()}
    return Leaves(kept["relevant_count"], scores, judgements)


def _fingerprint(folder: Path, count: int | None, passage_tokens: int | None) -> str:
    """Of the collection, the sample, the configuration, and the code that cuts passages and scores them."""
    digest = hashlib.blake2b(f"{STAGES}{_PIPELINE}{count}{passage_tokens}".encode(), digest_size=8)
    for file in [*sorted(each for each in folder.rglob("*") if each.is_file()), *_sources()]:
        digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()


def _sources() -> Iterator[Path]:
    root = Path(__file__).parents[1]
    yield from sorted((root / "server" / "tamis" / "ingest").rglob("*.py"))
    yield from sorted((root / "plugins").glob("*/*.py"))
