"""What the orchestrator itself costs: a server with plugins that do nothing, beside a gRPC handler that does nothing.

    python benchmarks/overhead.py FOLDER [--seconds 1] [--rounds 3] [--json]
    python benchmarks/overhead.py FOLDER --first-hits 100000 [--queries 500] [--json]

The bare handler (`grpc.aio`, no interceptor) answers with the messages that Tamis answered, built beforehand. Both
servers and the client are processes of their own; the client asks both in turn, several times over.
With `--first-hits` as many passages are indexed for BM25 and vectors, once for a folder, and what is measured is how
long after its request a StreamSearch shows hits.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import no_op_plugins
import numpy as np
from first_hits import first_hits, first_hits_table
from overhead_processes import CALLS, Recorded
from overhead_servers import HERE, bare_server, tamis_server

from tamis.client import Client
from tamis.v1 import index_service_pb2, passage_pb2
from tamis.v1 import search_service_pb2 as pb

_CONFIG = """
[server]
listen = "127.0.0.1:0"
data_directory = "{data}"
[stages.fixed]
plugin = "fixed"
[stages.idle]
plugin = "idle"
[pipelines.default]
expression = "fixed % 10 >> idle"
[pipelines.deep]
expression = "fixed % 100 >> idle"
"""
_PASSAGES = 200


def main() -> None:
    """Prints what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seconds", type=float, default=1.0, help="how long each measurement takes")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="calls whose name begins so")
    parser.add_argument("--first-hits", type=int, default=0, metavar="PASSAGES")
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    if given.first_hits:
        found: Any = first_hits(given.folder, given.first_hits, given.queries)
        print(json.dumps(found, indent=1) if given.json else first_hits_table(found))
        return
    measured = overhead(given.folder, given.seconds, given.rounds, given.only)
    print(json.dumps(measured, indent=1) if given.json else table(measured))


def overhead(folder: Path, seconds: float, rounds: int, only: str = "") -> list[dict[str, Any]]:
    """One row for each call and number of calls at once: what both servers did, and the ratio of their rates."""
    config = folder / "tamis.toml"
    config.write_text(_CONFIG.format(data=folder.resolve() / "data"))
    no_op_plugins.write_distribution(folder / "site")
    path = folder / "recorded.json"
    with ExitStack() as stack:
        tamis = stack.enter_context(tamis_server(folder, config))
        with Client(tamis.partition("=")[0]) as client:
            _fill(client)
            Recorded.write(path, [each for each in _recorded(client) if each.name.startswith(only)])
        bare = stack.enter_context(bare_server(folder, path))
        rows = _asked(path, seconds, rounds, bare, tamis)
    return [_compared(rows, name, count, bare, tamis) for name, count in dict.fromkeys(_keys(rows))]


def table(measured: list[dict[str, Any]]) -> str:
    """For people: milliseconds, calls a second."""
    lines = [
        f"{'call':24}{'at once':>8}{'bare p50':>10}{'p99':>8}{'Tamis p50':>11}{'p99':>8}"
        f"{'+p50':>8}{'+p99':>8}{'bare/s':>9}{'Tamis/s':>9}{'ratio':>7}{'bare CPU':>10}{'Tamis':>7}"
    ]
    for each in measured:
        bare, tamis = each["bare"], each["tamis"]
        lines.append(
            f"{each['name']:24}{each['at_once']:8}{bare['p50_ms']:10.2f}{bare['p99_ms']:8.2f}"
            f"{tamis['p50_ms']:11.2f}{tamis['p99_ms']:8.2f}{each['added_p50_ms']:8.2f}{each['added_p99_ms']:8.2f}"
            f"{bare['per_second']:9.0f}{tamis['per_second']:9.0f}{each['rate_ratio']:7.2f}"
            f"{bare['processor_ms']:10.2f}{tamis['processor_ms']:7.2f}"
        )
    return "\n".join(lines)


def _fill(client: Client) -> None:
    known = client.stubs.index.ListCollections(index_service_pb2.ListCollectionsRequest()).collections
    if not known:
        client.stubs.index.CreateCollection(index_service_pb2.CreateCollectionRequest(collection="docs"))
        chosen = random.Random(0)
        words = ["".join(chosen.choices("aeioubcdfghlmnprst", k=chosen.randint(2, 10))) for _ in range(2_000)]
        documents = [
            passage_pb2.Document(
                id=f"d{number}", title=f"Document {number}", text=" ".join(chosen.choices(words, k=90))
            )
            for number in range(_PASSAGES)
        ]
        for _ in client.stream_write("docs", documents):
            pass
    client.stubs.index.WaitIndexed(index_service_pb2.WaitIndexedRequest(collection="docs"), timeout=60)


def _recorded(client: Client) -> Iterator[Recorded]:
    query = {"collection": "docs", "query": "how is a sauce made smooth"}
    for name, pipeline, size in (("10", "default", 10), ("100, page of 12", "deep", 12), ("100", "deep", 100)):
        request = pb.SearchRequest(**query, pipeline=pipeline, page_size=size)
        yield _record(client, f"Search, {name}", "Search", request)
        if size != 100:
            streamed = pb.StreamSearchRequest(**query, pipeline=pipeline, page_size=size)
            yield _record(client, f"StreamSearch, {name}", "StreamSearch", streamed)
    found = client.stubs.search.Search(pb.SearchRequest(**query, pipeline="deep", page_size=100), timeout=30)
    for count in (10, 100):
        passages = [each.passage for each in found.hits[:count]]
        request = pb.RerankRequest(query=query["query"], passages=passages, pipeline="idle", page_size=count)
        yield _record(client, f"Rerank, {count}", "Rerank", request)


def _record(client: Client, name: str, method: str, request: Any) -> Recorded:
    """The answer to the second call: the first may hold what happens once."""
    for _ in range(2):
        answer = getattr(client.stubs.search, method)(request, timeout=30)
        messages = [answer] if isinstance(answer, CALLS[method][1]) else list(answer)
    return Recorded(name, method, request.SerializeToString(), [each.SerializeToString() for each in messages])


def _asked(path: Path, seconds: float, rounds: int, *targets: str) -> list[dict[str, Any]]:
    """`targets` are `ADDRESS=PID`."""
    command = [
        sys.executable,
        str(HERE / "overhead_processes.py"),
        "ask",
        str(path),
        str(seconds),
        str(rounds),
        "1,16",
    ]
    done = subprocess.run([*command, *targets], stdout=subprocess.PIPE, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def _keys(rows: list[dict[str, Any]]) -> Iterator[tuple[str, int]]:
    for each in rows:
        yield each["name"], each["at_once"]


def _compared(rows: list[dict[str, Any]], name: str, count: int, bare: str, tamis: str) -> dict[str, Any]:
    found = {}
    for which, target in (("bare", bare), ("tamis", tamis)):
        some = [each for each in rows if (each["name"], each["at_once"], each["target"]) == (name, count, target)]
        seconds = np.concatenate([each["seconds"] for each in some])
        found[which] = {
            **{f"p{part}_ms": round(float(np.percentile(seconds, part)) * 1_000, 3) for part in (50, 99)},
            "per_second": round(len(seconds) / sum(each["took"] for each in some), 1),
            "processor_ms": round(sum(each["processor_seconds"] for each in some) / len(seconds) * 1_000, 3),
            "calls": len(seconds),
        }
    added = {
        f"added_{part}_ms": round(found["tamis"][f"{part}_ms"] - found["bare"][f"{part}_ms"], 3)
        for part in ("p50", "p99")
    }
    ratio = round(found["tamis"]["per_second"] / found["bare"]["per_second"], 3)
    return {"name": name, "at_once": count, **found, **added, "rate_ratio": ratio}


if __name__ == "__main__":
    main()
