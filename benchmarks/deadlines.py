"""Quality against the deadline, and how many searches keep it: fixed shares beside what a server has learnt.

    python benchmarks/deadlines.py COLLECTION [--queries 20] [--concurrency 1] [--data FOLDER] [--record deadlines.json]
    python benchmarks/deadlines.py --draw deadlines.json deadlines.svg

A real server with real weights is asked over a socket, once with `[planner] learns = false` and once without; both are
warmed up by the same searches, with questions that do not count. Token vectors are not cached, so that reranking costs
what it costs at first sight. A search keeps its deadline when its response has arrived before it; one that has no
response ranks nothing, and counts as 0.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import judged
from judged import Judged, Judgement
from processes import serving

from tamis.model import Document
from tamis.v1 import index_service_pb2, index_service_pb2_grpc, passage_pb2, search_service_pb2, search_service_pb2_grpc

DEADLINES = (0.02, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 2.0, 5.0)
MODES = {"fixed shares": "false", "learnt": "true"}
_WARMING = 8
_QUERY_CACHE = 100_000
"""Bytes: keeps a query from one stage to the next, and none until it is asked again at another deadline."""
_LEAST_SEARCHES, _SHORT = 100, 0.4
"""So many searches at each deadline up to so many seconds, so that one in a hundred can be told."""
_CONFIG = """
[server]
listen = "127.0.0.1:0"
data_directory = "{data}"
[planner]
learns = {learns}
[models.minilm]
plugin = "sentence-transformers"
query_cache_bytes = {query_cache}
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
[stages.late]
plugin = "late-interaction"
embedder = "minilm"
cache_bytes = 0
[stages.answer]
plugin = "extractive"
[pipelines.default]
expression = "{pipeline}"
fusion = {{ kind = "z_score", weights = {{ dense = 1.4 }} }}
"""


def main() -> None:
    """Prints and writes what was measured, or draws it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("collection", type=Path, nargs="?")
    parser.add_argument("--draw", type=Path, nargs=2, metavar=("RECORD", "PICTURE"))
    parser.add_argument("--queries", type=int, default=20)
    parser.add_argument("--documents", type=int, help="at most so many, those that answer a question first")
    parser.add_argument("--concurrency", type=int, default=1)
    parser.add_argument("--pipeline", default="(bm25 % 50 | dense % 50) % 50 >> (prior | late) % 50 >> answer")
    parser.add_argument("--deadlines", type=float, nargs="+", default=DEADLINES)
    parser.add_argument("--data", type=Path, help="where the index is kept for the next run")
    parser.add_argument("--record", type=Path, default=Path("deadlines.json"))
    given = parser.parse_args()
    if given.draw:
        _draw(*given.draw)
        return
    if given.collection is None:
        parser.error("name a judged collection")
    with tempfile.TemporaryDirectory() as folder:
        record = _measured(given, given.data or Path(folder))
    given.record.write_text(json.dumps(record, indent=1) + "\n")
    _show(record)


def _measured(given: Any, data: Path) -> dict[str, Any]:
    documents, queries = judged.read(given.collection, given.queries + _WARMING)
    documents = sorted(documents, key=lambda each: not _is_asked_for(each, queries))[: given.documents]
    warming, asked = queries[:_WARMING], queries[_WARMING:]
    modes = {}
    for mode, learns in MODES.items():
        config = _CONFIG.format(data=data.resolve(), learns=learns, pipeline=given.pipeline, query_cache=_QUERY_CACHE)
        with serving(data, config) as (address, _), grpc.insecure_channel(address) as channel:
            _index(channel, documents)
            modes[mode] = _searched(channel, warming, asked, given.deadlines, given.concurrency)
            _say(mode, modes[mode])
    return {
        "collection": given.collection.name,
        "documents": len(documents),
        "queries": len(asked),
        "concurrency": given.concurrency,
        "processors": os.cpu_count(),
        "pipeline": given.pipeline,
        "modes": modes,
    }


def _is_asked_for(document: Document, queries: Sequence[Judged]) -> bool:
    whole = SimpleNamespace(document_id=document.id, span=SimpleNamespace(start=0, end=len(document.text.encode())))
    hit: Any = SimpleNamespace(passage=whole)
    return any(each.key(hit) is not None for each in queries)


def _index(channel: grpc.Channel, documents: Sequence[Any]) -> None:
    """Unless an earlier run has."""
    index = index_service_pb2_grpc.IndexServiceStub(channel)
    try:
        index.CreateCollection(index_service_pb2.CreateCollectionRequest(collection="c"))
    except grpc.RpcError:
        pass
    else:
        written = [passage_pb2.Document(id=each.id, text=each.text, title=each.title) for each in documents]
        written = [each for each in written if each.text or each.title]
        batches = (written[start : start + 200] for start in range(0, len(written), 200))
        requests = (index_service_pb2.WriteDocumentsRequest(collection="c", documents=each) for each in batches)
        for _ in index.WriteDocuments(requests):
            pass
    index.WaitIndexed(index_service_pb2.WaitIndexedRequest(collection="c"), timeout=3_600)


def _searched(
    channel: grpc.Channel, warming: Sequence[Judged], asked: Sequence[Judged], deadlines: Sequence[float], at_once: int
) -> list[dict[str, Any]]:
    """What came of the searches at each deadline, the longest deadline first: a server begins with time."""
    searches = search_service_pb2_grpc.SearchServiceStub(channel)

    def ask(query: Judged, deadline: float) -> dict[str, Any]:
        request = search_service_pb2.StreamSearchRequest(collection="c", query=query.text)
        started = time.perf_counter()
        hits: Sequence[Any] = ()
        passages: dict[str, Any] = {}  # a stream sends each once
        completed, code = None, "OK"
        try:
            for event in searches.StreamSearch(request, timeout=deadline):
                if event.HasField("hits_revised"):
                    hits = event.hits_revised.hits
                    passages |= {each.passage.id: each.passage for each in hits if each.passage.document_id}
                completed = event.completed if event.HasField("completed") else None
        except grpc.RpcError as error:
            code = error.code().name
        return _result(
            query, [passages[each.passage.id] for each in hits], completed, code, time.perf_counter() - started
        )

    found = []
    with ThreadPoolExecutor(at_once) as pool:
        list(pool.map(lambda each: ask(each, 10.0), warming))
        for deadline in sorted(deadlines, reverse=True):
            list(pool.map(lambda each: ask(each, deadline), warming[:4]))  # noqa: B023
            rounds = math.ceil(_LEAST_SEARCHES / len(asked)) if deadline <= _SHORT else 1
            results = list(pool.map(lambda each: ask(each, deadline), [*asked] * rounds))  # noqa: B023
            found.append(_summary(deadline, results))
    return found[::-1]


def _result(query: Judged, passages: Sequence[Any], completed: Any, code: str, seconds: float) -> dict[str, Any]:
    order = [Judgement(each.document_id, query.key(_as_hit(each))) for each in passages]
    reports = {each.stage: each for each in completed.stage_reports} if completed else {}
    late = reports.get("late")
    return {
        "ndcg": judged.ndcg(order, query.relevant_count) if completed else 0.0,
        "code": code,
        "is_in_time": completed is not None,
        "seconds": seconds,
        "depth": late.done_count if late else 0,
        "is_answered": bool(completed) and completed.finish_reason in (1, 3),  # ANSWERED, INSUFFICIENT_EVIDENCE
        "basis": completed.budget_basis if completed else 0,
    }


def _as_hit(passage: Any) -> Any:
    span = SimpleNamespace(start=passage.document_span.start, end=passage.document_span.end)
    return SimpleNamespace(passage=SimpleNamespace(document_id=passage.document_id, span=span))


def _summary(deadline: float, results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    in_time = [each for each in results if each["is_in_time"]]
    return {
        "deadline_seconds": deadline,
        "searches": len(results),
        "ndcg_at_10": statistics.fmean(each["ndcg"] for each in results),
        "in_time": len(in_time) / len(results),
        "codes": dict(Counter(each["code"] for each in results)),
        "mean_depth": statistics.fmean(each["depth"] for each in results),
        "answered": statistics.fmean(each["is_answered"] for each in results),
        "p50_seconds": statistics.median(each["seconds"] for each in results),
        "most_seconds": max(each["seconds"] for each in results),
        "bases": dict(Counter(search_service_pb2.BudgetBasis.Name(each["basis"]) for each in in_time)),
    }


def _say(mode: str, found: Sequence[dict[str, Any]]) -> None:
    for each in found:
        print(
            mode, json.dumps({key: round(x, 4) if isinstance(x, float) else x for key, x in each.items()}), flush=True
        )


def _show(record: dict[str, Any]) -> None:
    """As a table in Markdown."""
    print("| deadline, ms | " + " | ".join(f"{mode}: nDCG@10, in time, depth, answered" for mode in MODES) + " |")
    print("|---|" + "---|" * len(MODES))
    for rows in zip(*record["modes"].values(), strict=True):
        cells = [
            f"{row['ndcg_at_10']:.3f}, {row['in_time']:.3f}, {row['mean_depth']:.0f}, {row['answered']:.2f}"
            for row in rows
        ]
        print(f"| {rows[0]['deadline_seconds'] * 1_000:.0f} | " + " | ".join(cells) + " |")


def _draw(record: Path, picture: Path) -> None:
    """nDCG@10 above, the share in time below, both over the deadline. Needs the extra `bench`."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "tamis"  # the same record gives the same file
    from matplotlib import pyplot

    read = json.loads(record.read_text())
    figure, (above, below) = pyplot.subplots(
        2, 1, sharex=True, figsize=(7, 5), height_ratios=(3, 1), layout="constrained"
    )
    for mode, rows in read["modes"].items():
        deadlines = [row["deadline_seconds"] * 1_000 for row in rows]
        above.plot(deadlines, [row["ndcg_at_10"] for row in rows], marker="o", label=mode)
        below.plot(deadlines, [100 * row["in_time"] for row in rows], marker="o")
    below.set(xscale="log", xlabel="deadline, ms", ylabel="in time, %", ylim=(0, 105))
    below.set_xticks(deadlines, [f"{each:.0f}" for each in deadlines])
    below.minorticks_off()
    above.set(ylabel="nDCG@10", ylim=(0, None))
    above.set_title(f"{read['collection']}, {read['queries']} questions, {read['concurrency']} at once", fontsize=10)
    above.legend(frameon=False)
    figure.savefig(picture, metadata={"Date": None})


if __name__ == "__main__":
    main()
