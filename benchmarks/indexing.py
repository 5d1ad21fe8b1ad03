"""How fast documents become searchable, against the embedder alone on the very same passages, in one run.

    python benchmarks/indexing.py FOLDER [--source /usr/share/doc] [--kilobytes 1000] [--embedder minilm|static]
                                         [--batch-tokens 4096] [--runs alone,write,index,alone]

`alone` embeds the passages in a process of its own, as many at a time as an index is handed, the next ones waiting
already. `write` sends the documents with `client.write` to a real server until all can be found; `index` has `tamis
index` read the files that they come from, its own start included; `search` is `write` with somebody who searches twice
a second meanwhile, and for a while afterwards. FOLDER gets the chosen files, the servers' data and `indexing.json`.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from processes import processor_seconds, serving, with_static_words
from rich.console import Console
from rich.table import Table

from tamis.client import Client
from tamis.ingest.files import Choice, Root, listed
from tamis.ingest.installed import installed_readers
from tamis.ingest.spool import packed
from tamis.ingest.workers import Job, Limits, Workers
from tamis.model import Document
from tamis.v1 import index_service_pb2, search_service_pb2
from tamis.wire.passages import from_document

_COLLECTION = "docs"
_PAUSE = 0.5  # seconds between two searches
_AFTERWARDS = 40  # searches of a server that does nothing else
_MOST_OF_A_FILE = 20_000  # bytes; many files, as in a folder of notes, and none that is most of the run
_CONFIG = """
[server]
listen = "127.0.0.1:0"
data_directory = "{data}"
[models.minilm]
plugin = "{embedder}"
{batches}
[models.chunks]
plugin = "sentences"
{counted}
[ingest]
chunker = "chunks"
[stages.bm25]
plugin = "tantivy"
[stages.dense]
plugin = "qdrant"
embedder = "minilm"
[pipelines.default]
expression = "(bm25 % 50 | dense % 50) % 50"
"""


def main() -> None:
    """Prints and writes what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--source", type=Path, default=Path("/usr/share/doc"))
    parser.add_argument("--kilobytes", type=int, default=1_000, help="how much of the source, as files")
    parser.add_argument("--embedder", choices=("minilm", "static"), default="minilm")
    parser.add_argument("--batch-size", type=int, default=64, help="documents that the client sends at once")
    parser.add_argument("--batch-tokens", type=int, default=4_096, help="batch_token_count of the embedder")
    parser.add_argument("--runs", default="alone,write,index,alone")
    given = parser.parse_args()
    folder = given.folder.resolve()
    if not (folder / "files").exists():
        _choose(given.source, folder / "files", given.kilobytes * 1_000)
    bench = Bench(folder, given.embedder, given.batch_size, given.batch_tokens)
    for name in given.runs.split(","):
        {"alone": bench.alone, "write": bench.write, "index": bench.index, "search": bench.search}[name]()
    found = {"processors": _processors(), **vars(given), "folder": str(folder), "runs": bench.runs}
    (folder / "indexing.json").write_text(json.dumps(found, indent=1, default=str))
    _print(bench.runs)


@dataclass
class Bench:
    """One set of documents, indexed in several ways, each time into an empty folder."""

    folder: Path
    embedder: str
    batch_size: int
    batch_tokens: int
    runs: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._documents = _read(self.folder / "files")

    def alone(self) -> None:
        """The embedder in a process of its own."""
        run = self._prepared("alone")
        texts = run / "documents.jsonl"
        texts.write_text("".join(map(packed, self._documents)))
        program = Path(__file__).with_name("embedder_alone.py")
        command = [sys.executable, program, run / "tamis.toml", texts]
        done = subprocess.run(command, env=with_static_words(run), stdout=subprocess.PIPE, check=True, text=True)
        self._note("alone", **json.loads(done.stdout))

    def write(self) -> None:
        """`client.write` until everything can be found."""
        with self._served("write") as (client, _):
            self._write(client)

    def index(self) -> None:
        """`tamis index` on the files."""
        with self._served("index") as (_, address):
            files = str(self.folder / "files")
            command = [sys.executable, "-c", "from tamis.cli.app import main; main()", "index", files, "--json"]
            done = subprocess.run(
                [*command, "--collection", _COLLECTION, "--address", address], stdout=subprocess.DEVNULL, check=False
            )
            if done.returncode:
                sys.exit(f"tamis index ended with {done.returncode}")

    def search(self) -> None:
        """`client.write` with somebody who searches meanwhile."""
        queries = _queries(self._documents)
        with self._served("search") as (client, _):
            searching = _Searching(client, queries)
            self._write(client)
            meanwhile = searching.end()
        self.runs[-1]["searches_meanwhile"] = meanwhile

    def _write(self, client: Client) -> None:
        sequence = 0
        for each in client.stream_write(_COLLECTION, map(from_document, self._documents), batch_size=self.batch_size):
            sequence = each.sequence
        client.wait_indexed(_COLLECTION, sequence)

    @contextmanager
    def _served(self, name: str) -> Iterator[tuple[Client, str]]:
        """A server on an empty folder; what happens in the context is timed."""
        run = self._prepared(name)
        with serving(run, (run / "tamis.toml").read_text()) as (address, watched), Client(address) as client:
            client.stubs.index.CreateCollection(index_service_pb2.CreateCollectionRequest(collection=_COLLECTION))
            _ask(client, "a word")  # so that the model has run once
            watched.forget()
            used, started = processor_seconds(os.getpid()), time.monotonic()
            yield client, address
            seconds, used = time.monotonic() - started, processor_seconds(os.getpid()) - used
            request = index_service_pb2.GetCollectionRequest(collection=_COLLECTION)
            passages = client.stubs.index.GetCollection(request).collection.passage_count
            self._note(name, passages=passages, seconds=seconds, processor_seconds=used, **watched.peak())
        shutil.rmtree(run / "data", ignore_errors=True)

    def _prepared(self, name: str) -> Path:
        run = self.folder / name
        shutil.rmtree(run, ignore_errors=True)
        run.mkdir(parents=True)
        plugin = {"static": "static-words", "minilm": "sentence-transformers"}[self.embedder]
        counted = 'embedder = "minilm"' if self.embedder == "minilm" else ""
        batches = f"batch_token_count = {self.batch_tokens}" if self.embedder == "minilm" else ""
        config = _CONFIG.format(data=run / "data", embedder=plugin, counted=counted, batches=batches)
        (run / "tamis.toml").write_text(config)
        return run

    def _note(self, name: str, *, passages: int, seconds: float, processor_seconds: float, **memory: float) -> None:
        use = processor_seconds / (seconds * _processors())
        rate, each = passages / seconds, processor_seconds / passages * 1_000
        found = {"run": name, "passages": passages, "seconds": seconds, "rate": rate, "processor_use": use}
        self.runs.append({**found, "processor_milliseconds_each": each, **memory})
        print(f"{name}: {passages:,} passages, {seconds:.1f} s, {rate:.1f}/s", file=sys.stderr, flush=True)


class _Searching(threading.Thread):
    """Searches twice a second until `end`."""

    def __init__(self, client: Client, queries: Sequence[str]) -> None:
        super().__init__(daemon=True)
        self._client, self._queries, self._ending = client, queries, threading.Event()
        self._seconds: list[float] = []
        self.start()

    def run(self) -> None:
        while not self._ending.wait(_PAUSE):
            self._seconds.append(_ask(self._client, self._queries[len(self._seconds) % len(self._queries)]))

    def end(self) -> dict[str, float]:
        """How long searches took, those included that follow with nothing else going on."""
        self._ending.set()
        self.join()
        time.sleep(1)
        idle = []
        for query in self._queries[:_AFTERWARDS]:
            idle.append(_ask(self._client, query))
            time.sleep(0.05)
        return {**_percentiles("meanwhile", self._seconds), **_percentiles("afterwards", idle)}


def _choose(source: Path, target: Path, size: int) -> None:
    """Copies files that can be read, small ones, in an order of chance, until there is as much as was asked for."""
    target.mkdir(parents=True)
    listing = listed((Root.of(source),), Choice(installed_readers().keys()))
    files = [each for each in listing.files if each.path.stat().st_size <= _MOST_OF_A_FILE]
    random.Random(0).shuffle(files)
    for number, each in enumerate(files):
        if size <= 0:
            break
        size -= each.path.stat().st_size
        shutil.copyfile(each.path, target / f"{number}-{each.path.name}")


def _read(folder: Path) -> list[Document]:
    """The documents in files; those that cannot be read are removed, so that nothing else meets them either."""
    readers, found = installed_readers(), list[Document]()
    files = listed((Root.of(folder),), Choice(readers.keys())).files
    jobs = (Job(each.path, each.name, readers[each.suffix].target, each.packed_suffix, each) for each in files)
    with Workers(Limits()) as workers:
        for file, documents in workers.read(jobs):
            read = list(documents)
            if all(isinstance(each, Document) for each in read):
                found += [each for each in read if isinstance(each, Document)]
            else:
                file.path.unlink()
    return found


def _queries(documents: Sequence[Document]) -> list[str]:
    """A few neighbouring words of documents."""
    chosen, found = random.Random(1), []
    for each in documents:
        words = each.text.split()
        start = chosen.randrange(max(1, len(words) - 5))
        found.append(" ".join(words[start : start + 5])[:200] or "word")
    chosen.shuffle(found)
    return found


def _ask(client: Client, query: str) -> float:
    request = search_service_pb2.SearchRequest(collection=_COLLECTION, query=query, page_size=10)
    started = time.monotonic()
    client.stubs.search.Search(request, timeout=60)
    return time.monotonic() - started


def _percentiles(name: str, seconds: Sequence[float]) -> dict[str, float]:
    found = {f"{name}_p{each}_ms": round(float(np.percentile(seconds, each)) * 1_000, 1) for each in (50, 95, 99)}
    return {f"{name}_count": len(seconds), **found}


def _processors() -> int:
    return len(os.sched_getaffinity(0))


def _print(runs: Sequence[dict[str, Any]]) -> None:
    alone = [each["rate"] for each in runs if each["run"] == "alone"]
    best = sum(alone) / len(alone) if alone else float("nan")
    columns = ("seconds", "passages/s", "of the embedder alone", "processors", "ms of them a passage", "memory")
    table = Table("run", "passages", *columns)
    for each in runs:
        table.add_row(
            each["run"],
            f"{each['passages']:,}",
            f"{each['seconds']:.1f}",
            f"{each['rate']:.1f}",
            f"{each['rate'] / best:.3f}",
            f"{each['processor_use']:.0%}",
            f"{each['processor_milliseconds_each']:.1f}",
            f"{each['anonymous_mib']:,} MiB",
        )
        for name, value in each.get("searches_meanwhile", {}).items():
            table.add_row("", name, str(value))
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
