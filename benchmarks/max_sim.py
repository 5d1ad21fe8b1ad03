"""What the MaxSim kernel saves, and what keeping token vectors in fewer bytes costs.

    python benchmarks/max_sim.py                    # the kernel against the plain loop, on made-up vectors
    python benchmarks/max_sim.py FOLDER [--queries 76] [--timed 5]   # and a judged collection, by MiniLM

Loop and kernel take turns in one run, timed by the processor. On a collection every document is one passage and every
query is scored against all of them; some of the passages are stored, and a rerank of 50 is timed with their vectors
stored and without. Set OMP_NUM_THREADS to the processors that are free.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
from judged import Judged, Judgement, ndcg, read

from tamis.context import Call
from tamis.model import Change, Hit, Passage, Query, ScoreKind
from tamis.models import Float32Array, TextKind
from tamis_transformers import LateInteractionReranker, SentenceTransformersEmbedder
from tamis_transformers.late_interaction import max_sim, max_sims
from tamis_transformers.late_interaction.compression import Compression, Float16, Int8, Rows

_CANDIDATES, _DEPTH, _ROUNDS, _STORED = 50, 10, 7, 300


class Float32(Compression):
    """As they are."""

    dtype, is_unit = np.dtype(np.float32), True

    def compressed(self, vectors: Float32Array) -> Rows:
        return vectors

    def expanded(self, rows: Rows) -> Float32Array:
        return rows


COMPRESSIONS: Mapping[str, Compression] = {"float32": Float32(), "float16": Float16(), "int8": Int8()}


def main() -> None:
    """Prints what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--queries", type=int)
    parser.add_argument("--timed", type=int, default=5)
    given = parser.parse_args()
    for size in (128, 384):
        for longest in (40, 250):
            _kernel(size, longest)
    if given.folder:
        asyncio.run(_collection(*read(given.folder, given.queries), timed=given.timed))


def _kernel(size: int, longest: int) -> None:
    """A query of 32 tokens against 500 passages of 10 to `longest`."""
    rng = np.random.default_rng(0)
    query = _unit(rng.standard_normal((32, size)))
    passages = [_unit(rng.standard_normal((rng.integers(10, longest + 1), size))) for _ in range(500)]
    for name, compression in COMPRESSIONS.items():
        rows = [compression.compressed(each) for each in passages]

        def loop(rows: Sequence[Rows] = rows, compression: Compression = compression) -> None:
            for each in rows:
                max_sim(query, compression.expanded(each))

        def kernel(rows: Sequence[Rows] = rows, compression: Compression = compression) -> None:
            max_sims(query, rows, compression)

        one, other = _in_turns(loop, kernel)
        took = f"loop {1e3 * one:6.1f} ms, kernel {1e3 * other:6.1f} ms"
        print(f"{size} dimensions, at most {longest} tokens, {name}: {took}, {one / other:.2f} times as fast")


def _in_turns(*works: Callable[[], None]) -> list[float]:
    taken: list[list[float]] = [[] for _ in works]
    for _ in range(_ROUNDS):
        for work, times in zip(works, taken, strict=True):
            begin = time.thread_time()
            work()
            times.append(time.thread_time() - begin)
    return [statistics.median(times) for times in taken]


async def _collection(documents: Sequence[Any], queries: Sequence[Judged], *, timed: int) -> None:
    passages = [Passage(it.id, it.id, 1, it.text, it.title) for it in documents]
    embedder = SentenceTransformersEmbedder(SentenceTransformersEmbedder.Settings())
    async with _opened(embedder):
        asked = await embedder.embed_tokens([each.text for each in queries], kind=TextKind.QUERY, call=Call())
        begin = time.perf_counter()
        found = await embedder.embed_tokens([it.full_text for it in passages], kind=TextKind.PASSAGE, call=Call())
        print(f"{len(passages):,} passages encoded in {time.perf_counter() - begin:.0f} s")
        _quality(passages, queries, asked, found)
        await _rerank(embedder, passages, queries[:timed])


def _quality(
    passages: Sequence[Passage], queries: Sequence[Judged], asked: Sequence[Float32Array], found: list[Float32Array]
) -> None:
    exact = [max_sims(query, found, Float32()) for query in asked]
    for name, compression in COMPRESSIONS.items():
        rows = [compression.compressed(each) for each in found]
        scores = [max_sims(query, rows, compression) for query in asked]
        gain = statistics.fmean(_ndcg(passages, *pair) for pair in zip(queries, scores, strict=True))
        same = statistics.fmean(len({*_best(a)} & {*_best(b)}) / _DEPTH for a, b in zip(exact, scores, strict=True))
        first = statistics.fmean(_best(a)[0] == _best(b)[0] for a, b in zip(exact, scores, strict=True))
        error = max(float(np.abs(a - b).max()) for a, b in zip(exact, scores, strict=True))
        size = sum(each.nbytes for each in rows) / len(rows)
        agreement = f"of the first ten {same:.3f} the same, first {first:.3f}, largest difference {error:.4f}"
        print(f"{name}: nDCG@10 {gain:.4f}, {agreement}, {size:,.0f} bytes a passage")


async def _rerank(
    embedder: SentenceTransformersEmbedder, passages: Sequence[Passage], queries: Sequence[Judged]
) -> None:
    kind = LateInteractionReranker
    with tempfile.TemporaryDirectory() as folder:
        stored, plain = (
            kind(kind.Settings(embedder=embedder, store=store, cache_bytes=0)) for store in ("int8", "none")
        )
        index: Any = await stored.open_index("c", 1, directory=Path(folder))
        some = passages[:_STORED]
        begin = time.perf_counter()
        await index.apply([Change(number, it.document_id, (it,)) for number, it in enumerate(some, 1)], upto=len(some))
        took = time.perf_counter() - begin
        size = _size(Path(folder)) / len(some)
        print(f"stored: {len(some) / took:.0f} passages a second, {size:,.0f} bytes a passage on disk")
        for name, stage in (("stored", stored), ("encoded", plain)):
            times = [await _timed(stage, each.text, passages) for each in queries]
            print(f"a rerank of {_CANDIDATES} passages, {name}: median {1e3 * statistics.median(times):,.1f} ms")
        await stored.close()
        await plain.close()


def _size(folder: Path) -> int:
    return sum(each.stat().st_size for each in folder.iterdir())


async def _timed(stage: LateInteractionReranker, text: str, passages: Sequence[Passage]) -> float:
    begin = time.perf_counter()
    some = passages[:_CANDIDATES]
    async with aclosing(stage.rerank(Query(text, "c"), some, top_n=_DEPTH, call=Call())) as stream:
        async for _ in stream:
            pass
    return time.perf_counter() - begin


def _ndcg(passages: Sequence[Passage], query: Judged, scores: Float32Array) -> float:
    order = [passages[index] for index in _best(scores)]
    judgements = [Judgement(it.document_id, query.key(Hit(it, None, ScoreKind.NONE))) for it in order]
    return ndcg(judgements, query.relevant_count, _DEPTH)


def _best(scores: Float32Array) -> list[int]:
    return [int(each) for each in np.argsort(-scores, kind="stable")[:_DEPTH]]


def _unit(vectors: np.ndarray) -> Float32Array:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)


@asynccontextmanager
async def _opened(embedder: SentenceTransformersEmbedder) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        stack.push_async_callback(embedder.close)
        await embedder.open()
        yield


if __name__ == "__main__":
    main()
