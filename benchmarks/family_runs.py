"""Asks a server what its retrievers and each family make of the same questions and of the minimal pairs."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from family_makings import filled_in
from family_record import Asked, Compared, record
from family_server import Served
from family_table import Family
from judged import Judged, Judgement
from pairs import MinimalPair, balanced_orders

from tamis.config import parse
from tamis.model import Document, Hit, Passage, ScoreKind, Span
from tamis.v1 import passage_pb2

__all__ = ["RETRIEVAL", "fingerprint", "measured", "retrieved"]

RETRIEVAL = """
[models.minilm]
plugin = "sentence-transformers"
[models.chunks]
plugin = "sentences"
embedder = "minilm"
[ingest]
chunker = "chunks"
[stages.bm25]
plugin = "tantivy"
[stages.dense]
plugin = "qdrant"
embedder = "minilm"
[pipelines.candidates]
expression = "(bm25 % 100 | dense % 100) % 200"
fusion = { kind = "z_score", weights = { dense = 1.4 } }
[pipelines.pairs]
expression = "(bm25 % 1000 | dense % 1000) % 1000"
fusion = { kind = "z_score", weights = { dense = 1.4 } }
"""
"""What candidates come from, by the pipeline `candidates`, and what pairs are looked up with."""
_DEPTH = 100


async def retrieved(
    served: Served,
    collection: str,
    documents: Sequence[Document],
    queries: Sequence[Judged],
    pairs: Sequence[MinimalPair],
    tick: Callable[[], None],
) -> tuple[list[Asked], dict[str, Any]]:
    """The best 100 candidates of each question, and the record of what the retrievers made of questions and pairs."""
    await served.fill(collection, documents)
    sides = [Document(f"{each.id}.{side}", getattr(each, side)) for each in pairs for side in ("right", "wrong")]
    together = f"pairs-{fingerprint(sides)}"
    await served.fill(together, sides)
    asked, answers, compared = [], [], []
    for query in queries:
        answers.append(await served.retrieve(collection, query.text, "candidates"))
        asked.append(_asked(query, [hit.passage for hit in answers[-1].response.hits]))
        tick()
    for pair in pairs:
        found = await served.retrieve(together, pair.query, "pairs")
        hits = {hit.passage.document_id: hit for hit in found.response.hits}
        compared.append(Compared(pair, hits.get(f"{pair.id}.right"), hits.get(f"{pair.id}.wrong")))
        tick()
    kept = record(asked, answers, compared, judged=True)
    best = [replace(each, passages=each.passages[:_DEPTH]) for each in asked]
    return best, {"family": "retrieval", "weights": "trained", **kept}


async def measured(
    family: Family,
    collection: str,
    asked: Sequence[Asked],
    pairs: Sequence[MinimalPair],
    work: Path,
    tick: Callable[[], None],
    retrieval: str = RETRIEVAL,
) -> dict[str, Any]:
    """What one family makes of its share of the questions and, with trained weights, of the pairs.

    Below `work` lie the index, which a family that is stored adds its own to, and the folder of the language model.
    Raises `NotInstalled`, `ConfigurationError`, or what gRPC does.
    """
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        config = await filled_in(family, work, folder, stack)
        if family.stored:
            config = retrieval + config
        served = await stack.enter_async_context(
            Served.start(config, work / "index" if family.stored else folder / "data")
        )
        if family.stored:
            await served.wait(collection)
        await served.rerank("warm", [passage_pb2.Passage(id="w", text="A warm welcome.")], family.expression)
        some = [replace(each, passages=each.passages[: family.depth]) for each in asked[: family.queries]]
        answers, compared = [], []
        for each in some:
            if family.stored:
                candidates = parse(retrieval).pipelines["candidates"].expression
                pipeline = f"({candidates}) % {family.depth} >> {family.expression}"
                answers.append(await served.look_up(collection, each.text, pipeline))
            else:
                answers.append(await served.rerank(each.text, each.passages, family.expression))
            tick()
        for pair, right_first in zip(pairs, balanced_orders(pairs), strict=True):
            if family.compares:
                compared.append(await _compared(served, family, pair, right_first=right_first))
                tick()
    kept = record(some, answers, compared, judged=family.weights == "trained")
    return {"family": family.name, "weights": family.weights, **kept}


async def _compared(served: Served, family: Family, pair: MinimalPair, *, right_first: bool) -> Compared:
    right, wrong = ("a", "b") if right_first else ("b", "a")
    texts = {right: pair.right, wrong: pair.wrong}
    passages = [passage_pb2.Passage(id=id, text=texts[id]) for id in sorted(texts)]
    answer = await served.rerank(pair.query, passages, family.expression)
    hits = {hit.passage.id: hit for hit in answer.response.hits}
    return Compared(pair, hits[right], hits[wrong])


def _asked(query: Judged, passages: Sequence[passage_pb2.Passage]) -> Asked:
    judgements = {}
    for each in passages:
        span = Span(each.document_span.start, each.document_span.end)
        hit = Hit(Passage(each.id, each.document_id, 1, each.text, span=span), None, ScoreKind.COSINE)
        judgements[each.id] = Judgement(each.document_id, query.key(hit))
    return Asked(query.text, query.relevant_count, passages, judgements)


def fingerprint(*parts: object, files: Iterable[Path] = ()) -> str:
    """The same for the same parts and contents of files."""
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=8)
    for file in sorted(files):
        digest.update(file.read_bytes())
    return digest.hexdigest()
