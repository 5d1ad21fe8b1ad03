"""What a model's queue does under load: choosing, memory, many callers at once, two models on one device.

    python benchmarks/queueing.py [choosing|memory|callers|slots|tokenizing|seconds ...] [--json FILE] [--scale 1.0]

All of them without a name. The cross-encoder is as large as MiniLM-L6, with random weights and MiniLM's tokenizer; the
embedder is the bundled MiniLM. Passages are words at random, half of them short. What is compared is measured in one
run; `--scale` makes runs shorter or longer.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

from tamis.context import Call
from tamis.deadline import Deadline
from tamis.model import Passage, Query
from tamis.models import TextKind
from tamis_transformers import CrossEncoderReranker, SentenceTransformersEmbedder
from tamis_transformers.checkpoint import BUNDLED, located
from tamis_transformers.device_slot import Slot
from tamis_transformers.waiting import Request, Waiting

_WORDS = located(BUNDLED).joinpath("vocab.txt").read_text(encoding="utf-8").split()[2_000:12_000]
_CANDIDATES, _CONCURRENCIES, _ROUNDS = 16, (1, 8, 32), 3
_SECONDS = (0.025, 0.05, 0.1, 0.2, 0.5, 1_000.0)


async def main() -> None:
    """Prints what was measured, or writes it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", help="any of: " + ", ".join(_PARTS))
    parser.add_argument("--json", type=Path)
    parser.add_argument("--scale", type=float, default=1.0)
    given = parser.parse_args()
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        _save(Path(folder))
        for name in given.parts or _PARTS:
            found[name] = await _PARTS[name](Path(folder), given.scale)
            print(json.dumps({name: found[name]}, indent=1), flush=True)
    if given.json:
        given.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


async def choosing(_folder: Path, _scale: float) -> dict[str, Any]:
    """Seconds to choose all batches of 10,000 items: of one call, and of a hundred."""
    found = {}
    for name, calls, deadline in (
        ("one call", 1, Deadline.after(1_000)),
        ("one call without a deadline", 1, Deadline()),
        ("a hundred calls", 100, Deadline.after(1_000)),
    ):
        random.seed(0)
        waiting: Waiting[int] = Waiting()
        begun = time.perf_counter()
        for _ in range(calls):
            count = 10_000 // calls
            costs = [random.randrange(20, 257) for _ in range(count)]
            waiting.add(Request(Call(deadline)), range(count), costs)
        added, batches, padded, cost = time.perf_counter() - begun, 0, 0, 0
        while batch := waiting.batch(4_096):
            batches += 1
            padded += max(job.cost for job in batch) * len(batch)
            cost += sum(job.cost for job in batch)
        whole = time.perf_counter() - begun
        found[name] = {"adding": added, "choosing": whole - added, "batches": batches, "real share": cost / padded}
    return found


async def memory(folder: Path, _scale: float) -> dict[str, Any]:
    """MiB above the opened model while 10,000 passages wait, in one call and in ten."""
    found = {}
    texts = _passages(10_000, seed=1)
    for calls in (1, 10):
        async with _opened(_cross_encoder(folder)) as reranker:
            await _reranked(reranker, texts[:64])
            before, peak = _resident(), 0.0
            size = len(texts) // calls
            tasks = [asyncio.ensure_future(_reranked(reranker, texts[n * size : (n + 1) * size])) for n in range(calls)]
            until = time.monotonic() + 15
            while time.monotonic() < until:
                await asyncio.sleep(0.05)
                peak = max(peak, _resident())
            waited = len(reranker._queue._waiting)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        found[f"{calls} calls"] = {"MiB above the model": peak - before, "tokenized at the end": waited}
    return found


async def callers(folder: Path, scale: float) -> dict[str, Any]:
    """Throughput and latency of the same calls of 16 passages, from so many callers, one after the other of each.

    The numbers of callers take turns. `of one caller` is the median over the rounds, within each: the machine's speed
    changes from minute to minute.
    """
    rounds: list[dict[int, tuple[list[float], float]]] = []
    calls = 32 * max(1, round(scale))
    async with _opened(_cross_encoder(folder)) as reranker:
        await _warmed(reranker)
        for _ in range(_ROUNDS):
            rounds.append({})
            for concurrency in _CONCURRENCIES:
                rounds[-1][concurrency] = await _loaded(
                    concurrency, calls // concurrency, lambda seed: _reranked(reranker, _passages(16, seed=seed))
                )
    found: dict[str, Any] = {}
    for concurrency in _CONCURRENCIES:
        times = [each for one in rounds for each in one[concurrency][0]]
        ideal = statistics.fmean(each for one in rounds for each in one[1][0]) * concurrency
        found[str(concurrency)] = {
            "passages/s": calls * _CANDIDATES * _ROUNDS / sum(one[concurrency][1] for one in rounds),
            "of one caller": statistics.median(one[1][1] / one[concurrency][1] for one in rounds),
            "p50": statistics.median(times),
            "p99": _quantile(times, 0.99),
            "p99 of the ideal": _quantile(times, 0.99) / ideal,
        }
    return found


async def slots(folder: Path, scale: float) -> dict[str, Any]:
    """A reranker and an embedder at work at once, with one slot and with one each, in turns."""
    rounds: dict[str, list[dict[str, float]]] = {"one slot": [], "a slot each": []}
    async with _opened(_cross_encoder(folder)) as reranker, _opened(_embedder()) as embedder:
        await _warmed(reranker)
        shared = reranker._queue._slot
        for _ in range(2):
            for name, slot in (("one slot", shared), ("a slot each", Slot())):
                embedder._queue._slot = slot  # read anew for every batch; nothing waits now
                await embedder.embed(["warm"], kind=TextKind.QUERY, call=Call())
                rounds[name].append(await _both(reranker, embedder, round(12 * scale)))
    return {name: {key: statistics.fmean(one[key] for one in some) for key in some[0]} for name, some in rounds.items()}


async def _both(reranker: Any, embedder: Any, calls: int) -> dict[str, float]:
    """Indexing without a deadline, reranking with one, and now and then a query's vector with an early one."""
    done, embedded, asked = asyncio.Event(), 0, list[float]()

    async def index() -> None:
        nonlocal embedded
        while not done.is_set():
            await embedder.embed(_passages(32, seed=embedded), kind=TextKind.PASSAGE, call=Call())
            embedded += 32

    async def ask() -> None:
        while not done.is_set():
            begun = time.perf_counter()
            new = [f"what is {_WORDS[len(asked) % len(_WORDS)]}"]  # the vector of one that was asked before is kept
            await embedder.embed(new, kind=TextKind.QUERY, call=Call(Deadline.after(5)))
            asked.append(time.perf_counter() - begun)
            await asyncio.sleep(0.05)

    others = [asyncio.ensure_future(each()) for each in (index, ask)]
    times, took = await _loaded(4, max(2, calls // 4), lambda seed: _reranked(reranker, _passages(16, seed=seed)))
    done.set()
    await asyncio.gather(*others)
    return {
        "pairs/s": len(times) * _CANDIDATES / took,
        "vectors/s": embedded / took,
        "rerank p99": _quantile(times, 0.99),
        "query p50": statistics.median(asked),
        "query p99": _quantile(asked, 0.99),
    }


async def tokenizing(folder: Path, scale: float) -> dict[str, Any]:
    """One call, tokenized before it is queued and while it is computed."""
    texts = _passages(round(320 * scale), seed=3)
    async with _opened(_cross_encoder(folder)) as reranker:
        await _warmed(reranker)

        async def whole() -> AsyncIterator[int]:
            read = await reranker._in_executor(reranker._model.tokenize, "what is it", texts)
            pairs = [pair for each in read.windows for pair in each]
            async with aclosing(reranker._queue.stream(pairs, [len(each.tokens) for each in pairs], Call())) as stream:
                async for position, _ in stream:
                    yield position

        async def sliced() -> AsyncIterator[int]:
            passages = [Passage(str(at), str(at), 1, text, "") for at, text in enumerate(texts)]
            async with aclosing(reranker.score(Query("what is it", "c"), passages, call=Call())) as stream:
                async for position, _ in stream:
                    yield position

        return {name: await _timed(work) for name, work in (("before", whole), ("beside", sliced))}


async def seconds(folder: Path, scale: float) -> dict[str, Any]:
    """What it costs to keep batches short: passages a second by `batch_seconds`, and the longest batch."""
    texts, found = _passages(round(96 * scale), seed=4), {}
    for limit in _SECONDS:
        async with _opened(_cross_encoder(folder, batch_seconds=limit)) as reranker:
            await _reranked(reranker, texts)
            compute, batches = reranker._queue._compute, list[float]()

            def timed(items: Sequence[Any], compute: Any = compute, batches: list[float] = batches) -> Sequence[float]:
                begun = time.perf_counter()
                scores: Sequence[float] = compute(items)
                batches.append(time.perf_counter() - begun)
                return scores

            reranker._queue._compute = timed
            begun = time.perf_counter()
            await _reranked(reranker, texts)
            took = time.perf_counter() - begun
        found[str(limit)] = {"passages/s": len(texts) / took, "longest": max(batches), "count": len(batches)}
    return found


async def _timed(work: Callable[[], AsyncIterator[int]]) -> dict[str, float]:
    begun, first = time.perf_counter(), 0.0
    async for _ in work():
        first = first or time.perf_counter() - begun
    return {"first": first, "all": time.perf_counter() - begun}


async def _loaded(concurrency: int, each: int, ask: Callable[[int], Awaitable[object]]) -> tuple[list[float], float]:
    times: list[float] = []

    async def caller(number: int) -> None:
        for turn in range(each):
            begun = time.perf_counter()
            await ask(number * each + turn)
            times.append(time.perf_counter() - begun)

    begun = time.perf_counter()
    await asyncio.gather(*(caller(number) for number in range(concurrency)))
    return times, time.perf_counter() - begun


async def _warmed(reranker: CrossEncoderReranker) -> None:
    for seed in range(6):
        await _reranked(reranker, _passages(16, seed=seed))


async def _reranked(reranker: CrossEncoderReranker, texts: Sequence[str]) -> int:
    passages = [Passage(str(at), str(at), 1, text, "") for at, text in enumerate(texts)]
    call, count = Call(Deadline.after(1_000)), 0
    async with aclosing(reranker.score(Query("what is it", "c"), passages, call=call)) as scores:  # type: ignore[type-var]
        async for _ in scores:
            count += 1
    return count


def _passages(count: int, *, seed: int) -> list[str]:
    rng = random.Random(seed)
    return [" ".join(rng.choices(_WORDS, k=rng.choice((20, 30, 40, 60, 100, 160)))) for _ in range(count)]


def _quantile(times: Sequence[float], share: float) -> float:
    return sorted(times)[min(len(times) - 1, int(share * len(times)))]


def _resident() -> float:
    """MiB of this process."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) / 256


def _save(folder: Path) -> None:
    import torch
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

    torch.manual_seed(0)
    config = BertConfig.from_pretrained(located(BUNDLED), num_labels=1)
    BertForSequenceClassification(config).save_pretrained(folder)
    AutoTokenizer.from_pretrained(located(BUNDLED)).save_pretrained(folder)


def _cross_encoder(folder: Path, **settings: Any) -> CrossEncoderReranker:
    return CrossEncoderReranker(CrossEncoderReranker.Settings(model=str(folder), max_tokens=256, **settings))


def _embedder() -> SentenceTransformersEmbedder:
    return SentenceTransformersEmbedder(SentenceTransformersEmbedder.Settings())


@asynccontextmanager
async def _opened(component: Any) -> AsyncIterator[Any]:
    await component.open()
    try:
        yield component
    finally:
        await component.close()


_PARTS: dict[str, Callable[[Path, float], Awaitable[dict[str, Any]]]] = {
    each.__name__: each for each in (choosing, memory, callers, slots, tokenizing, seconds)
}


if __name__ == "__main__":
    asyncio.run(main())
