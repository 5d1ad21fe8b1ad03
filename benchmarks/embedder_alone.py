"""The embedder of a configuration by itself: embeds the passages that its chunker makes, and says how fast.

    python benchmarks/embedder_alone.py TAMIS_TOML DOCUMENTS

DOCUMENTS are lines as `tamis.ingest.spool` writes them. Prints one line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from processes import Watched, processor_seconds

from tamis.chunking import Chunker
from tamis.config import load
from tamis.context import Call
from tamis.ingest.spool import unpacked
from tamis.model import Document
from tamis.models import Embedder, TextKind
from tamis.plugins import build

_PORTION = 512 << 10  # characters, as the journal hands them to an index


async def measured(config: Path, documents: Sequence[Document]) -> dict[str, Any]:
    """The embedder never waits: the next portion of passages is there before it is done with one."""
    components = build(load(config))
    await components.open()
    embedder, chunker = components["minilm"], components["chunks"]
    assert isinstance(embedder, Embedder)
    assert isinstance(chunker, Chunker)
    texts = [passage.full_text for document in documents for passage in chunker.chunk(document)]
    await embedder.embed(texts[:32], kind=TextKind.PASSAGE, call=Call())
    watched = Watched(os.getpid())
    used, started, ahead = processor_seconds(os.getpid()), time.monotonic(), asyncio.Semaphore(2)

    async def embed(portion: Sequence[str]) -> None:
        await embedder.embed(portion, kind=TextKind.PASSAGE, call=Call())
        ahead.release()

    async with asyncio.TaskGroup() as tasks:
        for portion in _portions(texts):
            await ahead.acquire()
            tasks.create_task(embed(portion))
    seconds = time.monotonic() - started
    found = {"passages": len(texts), "seconds": seconds, "processor_seconds": processor_seconds(os.getpid()) - used}
    await components.close()
    return {**found, **watched.peak()}


def _portions(texts: Sequence[str]) -> Iterator[list[str]]:
    portion: list[str] = []
    size = 0
    for text in texts:
        portion.append(text)
        size += len(text)
        if size > _PORTION:
            yield portion
            portion, size = [], 0
    if portion:
        yield portion


if __name__ == "__main__":
    given = [each for each in unpacked(Path(sys.argv[2]), Path()) if isinstance(each, Document)]
    print(json.dumps(asyncio.run(measured(Path(sys.argv[1]), given))))
