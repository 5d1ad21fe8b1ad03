"""What ranges cost as terms: the index, the filters, and the hits that are found or missed. All variants in one run.

    python benchmarks/ranges.py [--passages 100000] [--engine tantivy|qdrant] [--tries 4x10,8x5]

A passage has a number, an instant and a string, nearly all of them of its own, and words that every passage has.
`type alone` is what Tamis did without a trie: a passage that has a number there may be in any range of numbers.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tamis import terms
from tamis.deadline import Deadline
from tamis.events import StageRole
from tamis.filters import And, Compare, Filter, Operator, matches
from tamis.model import Change, Passage, Query
from tamis.ranges import Node, Ordered, Trie
from tamis.stage import Index, Retriever
from tamis.stage_loop import StageLoop
from tamis.stage_run import Request, StageRun
from tamis.testing.embedders import HashEmbedder
from tamis_qdrant import QdrantRetriever
from tamis_tantivy import TantivyRetriever

_PAGE = 50
_BATCH = 2_000
_START = datetime(2016, 1, 1, tzinfo=UTC)
_SPAN = 10 * 365 * 86_400 * 1_000_000  # microseconds


class _TypeAlone(Trie):
    """One node for all values of a type."""

    def nodes(self, value: Ordered) -> Iterator[Node]:
        yield 1, 0

    def less(self, value: Ordered, *, outer: bool) -> Iterator[Node]:
        return iter([(1, 0)] if outer else [])

    greater = less


def main() -> None:
    """Prints a table, one variant a row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--passages", type=int, default=100_000)
    parser.add_argument("--engine", choices=("tantivy", "qdrant"), default="tantivy")
    parser.add_argument("--tries", default="4x10", help="bits of a step x levels, several with commas")
    given = parser.parse_args()
    tries = {each: Trie(*map(int, each.split("x"))) for each in given.tries.split(",")}
    asyncio.run(_compare({"type alone": _TypeAlone(1, 1), **tries}, given.engine, given.passages))


async def _compare(tries: Mapping[str, Trie], engine: str, count: int) -> None:
    passages = list(_passages(random.Random(7), count))
    filters = _filters(random.Random(8), passages)
    for name, trie in tries.items():
        terms.TRIE = trie
        counts = [len(terms.terms(each.metadata)) for each in passages[:1_000]]
        with tempfile.TemporaryDirectory() as folder:
            retriever = _retriever(engine)
            await retriever.open()
            index = await retriever.open_index("c", 1, directory=Path(folder) / "index")
            started, busy = time.perf_counter(), time.process_time()
            await _fill(index, passages)
            took, busy = time.perf_counter() - started, time.process_time() - busy
            print(f"\n{engine}, {name}: {statistics.mean(counts):.1f} terms a passage, ", end="")
            print(f"indexed in {took:.1f} s ({busy:.1f} s of this process's time), ", end="")
            print(f"{_size(Path(folder)) / 1e6:.1f} MB")
            for kind, some in filters.items():
                await _ask(retriever, kind, some, passages)
            await index.close()
            await retriever.close()


def _size(folder: Path) -> int:
    """Bytes on the disk."""
    return sum(each.stat().st_blocks * 512 for each in folder.rglob("*") if each.is_file())


async def _ask(retriever: Retriever, kind: str, filters: Sequence[Filter], passages: Sequence[Passage]) -> None:
    """One page for each filter, as the server asks for it: more candidates until enough are left."""
    held = {each.id: each for each in passages}
    loop = StageLoop()
    loop.start()
    hits, took, sizes = [], [], [sum(_sizes(terms.superset(each))) for each in filters]

    async def hydrate(_: str, wanted: Sequence[tuple[str, int]]) -> dict[str, Passage]:
        return {id: held[id] for id, _ in wanted}

    for filter in filters:
        request = Request(Query("common words", "c", filter), Deadline())
        started = time.perf_counter()
        run = StageRun("stage", StageRole.RETRIEVER, retriever, request, loop, Deadline())
        hits.append(len(await run.retrieve(_PAGE, hydrate)))
        took.append((time.perf_counter() - started) * 1_000)
    loop.close()
    print(
        f"  {kind:34} {statistics.mean(hits):5.1f} of {_PAGE} hits, median {statistics.median(took):7.1f} ms, ", end=""
    )
    print(f"slowest {max(took):7.1f} ms, {statistics.mean(sizes):6.1f} terms, {max(sizes)} at most")


def _sizes(condition: terms.TermCondition) -> Iterator[int]:
    if isinstance(condition, terms.HasAny):
        yield len(condition.terms)
    elif isinstance(condition, terms.NoneOf):
        yield from _sizes(condition.operand)
    else:
        for each in condition.operands:
            yield from _sizes(each)


def _filters(rng: random.Random, passages: Sequence[Passage]) -> dict[str, list[Filter]]:
    """Ranges that hold for a thousandth of the passages, at the end and in the middle, and for half of them."""
    few, half = max(_PAGE, len(passages) // 1_000), len(passages) // 2
    found: dict[str, list[Filter]] = {}
    for field in ("number", "instant", "string"):
        ordered = sorted(each.metadata[field] for each in passages)  # type: ignore[type-var]
        more, less = Operator.GREATER_OR_EQUAL, Operator.LESS
        found[f"{field}: the last thousandth"] = [Compare((field,), more, ordered[-few])] * 5
        starts = [rng.randrange(len(ordered) - few) for _ in range(10)]
        found[f"{field}: a thousandth between"] = [
            And((Compare((field,), more, ordered[at]), Compare((field,), less, ordered[at + few]))) for at in starts
        ]
        found[f"{field}: one half"] = [Compare((field,), less, ordered[half + at % 100]) for at in starts]
    for each in found.values():
        assert sum(matches(each[0], passage.metadata) for passage in passages) >= _PAGE
    return found


def _passages(rng: random.Random, count: int) -> Iterator[Passage]:
    for number in range(count):
        word = "".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=12))
        metadata = {
            "number": rng.choice((number, number / 4, number * 1_000)),
            "instant": _START + timedelta(microseconds=rng.randrange(_SPAN)),
            "string": word,
        }
        text = f"common words {' '.join(rng.choices(('one', 'two', 'three'), k=8))}"
        yield Passage(f"{number}/0", str(number), number + 1, text, metadata=metadata)


def _retriever(engine: str) -> Retriever:
    if engine == "tantivy":
        return TantivyRetriever(TantivyRetriever.Settings())
    embedder = HashEmbedder(HashEmbedder.Settings(size=16))
    return QdrantRetriever(QdrantRetriever.Settings(embedder=embedder, index_from=1_000_000_000))


async def _fill(index: Index, passages: Sequence[Passage]) -> None:
    for start in range(0, len(passages), _BATCH):
        some = passages[start : start + _BATCH]
        changes = [Change(each.document_version, each.document_id, (each,)) for each in some]
        await index.apply(changes, upto=changes[-1].sequence)


if __name__ == "__main__":
    main()
