"""How long after its request a search over real indexes shows its first hits."""

from __future__ import annotations

import asyncio
import json
import random
import time
from pathlib import Path
from typing import Any

import no_op_plugins
import numpy as np
from overhead_servers import tamis_server
from processes import Watched
from scale import query_of, settle, texts_of

from tamis.client import Client
from tamis.context import Call
from tamis.models import TextKind
from tamis.v1 import index_service_pb2, passage_pb2
from tamis.v1 import search_service_pb2 as pb

__all__ = ["first_hits", "first_hits_table"]

_CONFIG = """
[server]
listen = "127.0.0.1:0"
data_directory = "{data}"
[models.words]
plugin = "static-words"
[stages.bm25]
plugin = "tantivy"
[stages.dense]
plugin = "qdrant"
embedder = "words"
[pipelines.default]
expression = "(bm25 % 50 | dense % 50) % 50"
"""
_PIPELINES = ("(bm25 % 50 | dense % 50) % 50", "bm25 % 50", "dense % 50")


def first_hits(folder: Path, passages: int, queries: int) -> dict[str, Any]:
    """By pipeline: milliseconds to the first hits and to the end; and what MiniLM takes for a query."""
    config = folder / "first_hits.toml"
    config.write_text(_CONFIG.format(data=folder.resolve() / "first_hits"))
    no_op_plugins.write_distribution(folder / "site")
    texts = texts_of(folder / "texts.txt", passages)
    chosen = random.Random(1)
    asked = [query_of(chosen, chosen.choice(texts)) for _ in range(queries)]
    found: dict[str, Any] = {"passages": len(texts), "queries": queries}
    with tamis_server(folder, config) as target, Client(target.partition("=")[0]) as client:
        _index(client, texts)
        settle(Watched(int(target.partition("=")[2])))
        for pipeline in _PIPELINES:
            _timed(client, pipeline, asked[:30])
            found[pipeline] = _timed(client, pipeline, asked)
    found["MiniLM, one query"] = _percentiles(asyncio.run(_embedded(asked[:200])))
    (folder / "first_hits.json").write_text(json.dumps(found, indent=1))
    return found


def first_hits_table(found: dict[str, Any]) -> str:
    """For people, in milliseconds."""
    lines = [f"{found['passages']:,} passages{'':20}{'p50':>8}{'p95':>8}{'p99':>8}"]
    for pipeline in _PIPELINES:
        for what in ("first hits", "end"):
            lines.append(f"{pipeline}, {what}".ljust(42) + _row(found[pipeline][what]))
    lines.append("MiniLM, one query".ljust(42) + _row(found["MiniLM, one query"]))
    return "\n".join(lines)


def _row(row: dict[str, float]) -> str:
    return "".join(f"{row[f'p{each}_ms']:8.2f}" for each in (50, 95, 99))


def _index(client: Client, texts: list[str]) -> None:
    known = client.stubs.index.ListCollections(index_service_pb2.ListCollectionsRequest()).collections
    if not known:
        client.stubs.index.CreateCollection(index_service_pb2.CreateCollectionRequest(collection="scale"))
    if sum(each.document_count for each in known) < len(texts):  # a run before this one may have been interrupted
        documents = (passage_pb2.Document(id=f"d{number}", text=text) for number, text in enumerate(texts))
        for _ in client.stream_write("scale", documents, batch_size=1_000):
            pass
    client.stubs.index.WaitIndexed(index_service_pb2.WaitIndexedRequest(collection="scale"), timeout=1_800)


def _timed(client: Client, pipeline: str, queries: list[str]) -> dict[str, dict[str, float]]:
    first, whole = [], []
    for query in queries:
        request = pb.StreamSearchRequest(collection="scale", query=query, pipeline=pipeline, page_size=10)
        started = time.perf_counter()
        shown = None
        for event in client.stubs.search.StreamSearch(request, timeout=30):
            if shown is None and event.WhichOneof("event") == "hits_revised" and event.hits_revised.hits:
                shown = time.perf_counter() - started
        whole.append(time.perf_counter() - started)
        if shown is not None:
            first.append(shown)
    return {"first hits": _percentiles(first), "end": _percentiles(whole)}


async def _embedded(queries: list[str]) -> list[float]:
    from tamis_transformers import SentenceTransformersEmbedder

    embedder = SentenceTransformersEmbedder(SentenceTransformersEmbedder.Settings())
    await embedder.open()
    found = []
    for query in queries:
        started = time.perf_counter()
        await embedder.embed([query], kind=TextKind.QUERY, call=Call())
        found.append(time.perf_counter() - started)
    await embedder.close()
    return found


def _percentiles(seconds: list[float]) -> dict[str, float]:
    return {f"p{each}_ms": round(float(np.percentile(seconds, each)) * 1_000, 2) for each in (50, 95, 99)}
