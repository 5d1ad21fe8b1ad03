"""Infinity: its server over HTTP, on PyTorch, as it comes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from http_server import Server
from protocol import Given, Peer, run, versions


def opened(given: Given) -> Peer:
    """Requests come in side by side; the server makes the batches."""
    program = str(Path(sys.executable).with_name("infinity_emb"))
    model = ["--model-id", given["model"], "--served-model-name", "model", "--engine", "torch", "--device", "cpu"]
    where = ["--host", "127.0.0.1", "--port", "{port}"]
    server = Server([program, "v2", *model, *where], Path(given["work"]))
    server.wait("/health")

    def score(query: str, texts: Sequence[str]) -> list[float]:
        body = {"model": "model", "query": query, "documents": list(texts), "raw_scores": True}
        found = {each["index"]: each["relevance_score"] for each in server.post("/rerank", body)["results"]}
        return [found[number] for number in range(len(texts))]

    named = versions("infinity-emb", "sentence-transformers", "transformers")
    return Peer(score, versions=named, pid=server.pid, close=server.close)


if __name__ == "__main__":
    run(opened)
