"""A million short passages on one machine: how long indexing them takes, in what memory, and how fast they are found.

    python benchmarks/scale.py FOLDER [--passages 1000000] [--queries 1000] [--embedder static|minilm] [--search-only]

FOLDER gets the texts (sentences of the documentation and source texts installed here, each once), the server's data and
`scale.json`. A real server is written to and searched over a socket; memory is what /proc says of it and all its
processes, anonymous and file-backed apart. With `--search-only` what an earlier run indexed is searched again.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import random
import re
import sys
import sysconfig
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from processes import Watched, serving
from rich.progress import Progress

from tamis.client import Client
from tamis.v1 import index_service_pb2, passage_pb2, search_service_pb2

_BATCH = 1_000
_SENTENCE = re.compile(r"[^.!?\n]{40,300}[.!?]?")
_ROOTS = (
    Path("/usr/share/doc"),
    Path("/usr/share/man"),
    Path("/usr/share/perl"),
    Path(sysconfig.get_paths()["stdlib"]),
    Path(sysconfig.get_paths()["purelib"]),
)
_ENDS = (".py", ".pyi", ".md", ".rst", ".txt", ".gz", ".html", ".h", ".pod", ".pm", ".json", ".js")
_CONFIG = """
[server]
listen = "127.0.0.1:0"
data_directory = "{data}"
[models.words]
plugin = "{embedder}"
[stages.bm25]
plugin = "tantivy"
[stages.dense]
plugin = "qdrant"
embedder = "words"
quantization = "scalar"
on_disk = true
[stages.answer]
plugin = "extractive"
[pipelines.default]
expression = "(bm25 % 50 | dense % 50) % 50 >> answer"
fusion = {{ kind = "z_score", weights = {{ dense = 1.4 }} }}
[pipelines.hits]
expression = "(bm25 % 50 | dense % 50) % 50"
fusion = {{ kind = "z_score", weights = {{ dense = 1.4 }} }}
"""
_PIPELINES = ("hits", "default", "bm25 % 50", "dense % 50")


def main() -> None:
    """Prints and writes what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--passages", type=int, default=1_000_000)
    parser.add_argument("--queries", type=int, default=1_000)
    parser.add_argument("--embedder", choices=("static", "minilm"), default="static")
    parser.add_argument("--search-only", action="store_true")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    texts = texts_of(given.folder / "texts.txt", given.passages)
    record = given.folder / "scale.json"
    found: dict[str, Any] = json.loads(record.read_text()) if given.search_only else {"passages": len(texts)}
    plugin = {"static": "static-words", "minilm": "sentence-transformers"}[given.embedder]
    config = _CONFIG.format(data=given.folder.resolve() / "data", embedder=plugin)
    with serving(given.folder, config) as (address, memory), Client(address) as client:
        if not given.search_only:
            found["indexing"] = _indexed(client, texts, memory)
            found["memory_indexing"] = memory.peak()
        settle(memory)
        memory.forget()
        found["searches"] = _searched(client, texts, given.queries)
        found["memory_searching"] = memory.peak()
    found["disk_bytes"] = {
        each.name: sum(f.stat().st_size for f in each.rglob("*") if f.is_file())
        if each.is_dir()
        else each.stat().st_size
        for each in (given.folder / "data").iterdir()
    }
    record.write_text(json.dumps(found, indent=1))
    print(json.dumps(found, indent=1))


def texts_of(path: Path, count: int) -> list[str]:
    """Distinct sentences, the same on the same machine."""
    if not path.exists():
        seen: set[bytes] = set()
        with path.open("w") as file:
            for text in _sentences():
                key = hashlib.blake2b(text.encode(), digest_size=8).digest()
                if key not in seen:
                    seen.add(key)
                    file.write(text + "\n")
                    if len(seen) == count:
                        break
    texts = path.read_text().splitlines()[:count]
    if len(texts) < count:
        sys.exit(f"only {len(texts):,} distinct sentences are installed here; ask for no more with --passages")
    return texts


def _sentences() -> Iterator[str]:
    files = sorted(each for root in _ROOTS if root.exists() for each in root.rglob("*") if each.suffix in _ENDS)
    random.Random(0).shuffle(files)
    for file in files:
        try:
            with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as opened:
                data = opened.read(4 << 20)
        except (OSError, EOFError):
            continue
        for match in _SENTENCE.findall(data.decode("utf-8", "ignore")):
            text = " ".join("".join(each for each in match if each.isprintable()).split())
            if len(text) >= 40 and sum(each.isalpha() for each in text) > 0.6 * len(text) and text.count(" ") >= 5:
                yield text


def _indexed(client: Client, texts: list[str], memory: Watched) -> dict[str, float]:
    client.stubs.index.CreateCollection(index_service_pb2.CreateCollectionRequest(collection="scale"))
    started = time.monotonic()
    documents = (
        passage_pb2.Document(id=f"d{number}", text=text, metadata={"number": _integer(number)})
        for number, text in enumerate(texts)
    )
    with Progress() as progress:
        written = progress.add_task("written", total=len(texts))
        for _ in client.stream_write("scale", documents, batch_size=_BATCH):
            progress.advance(written, _BATCH)
        acknowledged = time.monotonic() - started
        indexed = progress.add_task("indexed", total=len(texts))
        behind = len(texts)
        while behind:
            found = client.stubs.index.GetCollection(
                index_service_pb2.GetCollectionRequest(collection="scale")
            ).collection
            behind = max(each.lag_count for each in found.indexes)
            progress.update(indexed, completed=len(texts) - behind)
            time.sleep(1)
    return {
        "acknowledged_seconds": round(acknowledged, 1),
        "searchable_seconds": round(time.monotonic() - started, 1),
        "processor_seconds": round(memory.processor_seconds, 1),
    }


def settle(memory: Watched) -> None:
    """Until the graph is built: the server has been idle for ten seconds."""
    idle, before = 0, memory.processor_seconds
    while idle < 10:
        time.sleep(1)
        idle = idle + 1 if memory.processor_seconds - before < 0.1 else 0
        before = memory.processor_seconds


def _integer(number: int) -> Any:
    from tamis.v1 import value_pb2

    return value_pb2.Value(int_value=number)


def _searched(client: Client, texts: list[str], count: int) -> dict[str, dict[str, float]]:
    chosen = random.Random(1)
    queries = [query_of(chosen, chosen.choice(texts)) for _ in range(count)]
    found = {}
    for pipeline in _PIPELINES:
        _timed(client, pipeline, queries[:50], 1)
        for clients in (1, 4):
            seconds = _timed(client, pipeline, queries, clients)
            found[f"{pipeline}, {clients} at a time"] = {
                f"p{each}_ms": round(float(np.percentile(seconds, each)) * 1_000, 1) for each in (50, 95, 99)
            }
            print(pipeline, clients, found[f"{pipeline}, {clients} at a time"], flush=True)
    return found


def query_of(chosen: random.Random, text: str) -> str:
    """A few neighbouring words of a passage, as people ask."""
    words = re.findall(r"\w+", text)
    length = min(len(words), chosen.randint(3, 8))
    start = chosen.randint(0, len(words) - length)
    return " ".join(words[start : start + length]) or text[:40]


def _timed(client: Client, pipeline: str, queries: list[str], clients: int) -> list[float]:
    def ask(query: str) -> float:
        request = search_service_pb2.SearchRequest(collection="scale", query=query, pipeline=pipeline, page_size=10)
        started = time.monotonic()
        client.stubs.search.Search(request, timeout=30)
        return time.monotonic() - started

    with ThreadPoolExecutor(clients) as pool:
        return list(pool.map(ask, queries))


if __name__ == "__main__":
    main()
