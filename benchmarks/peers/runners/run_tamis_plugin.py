"""The cross-encoder plugin alone, in this process: what the libraries are, without a server around it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path

from protocol import Given, Peer, run, versions
from tamis_settings import dtype_of, stage_settings

from tamis.context import Call
from tamis.model import Passage, Query
from tamis_transformers import CrossEncoderReranker


def opened(given: Given) -> Peer:
    """One event loop in a thread of its own; calls from several threads meet in the plugin's queue."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    reranker = CrossEncoderReranker(CrossEncoderReranker.Settings(**stage_settings(given)))
    reranker.cache_directory = Path(given["work"]) / "cache"  # as the server gives one
    asyncio.run_coroutine_threadsafe(reranker.open(), loop).result()

    async def scored(query: str, texts: Sequence[str]) -> list[float]:
        passages = [Passage(str(number), str(number), 1, text) for number, text in enumerate(texts)]
        found = {index: score async for index, score in reranker.score(Query(query), passages, call=Call())}
        return [found[index] for index in range(len(texts))]

    def score(query: str, texts: Sequence[str]) -> list[float]:
        return asyncio.run_coroutine_threadsafe(scored(query, texts), loop).result()

    def close() -> None:
        asyncio.run_coroutine_threadsafe(reranker.close(), loop).result()

    named = versions("torch", "transformers", "openvino", "onnxruntime")
    return Peer(score, dtype=dtype_of(given), versions=named, close=close)


if __name__ == "__main__":
    run(opened)
