"""RoutIR: its server over HTTP, with an engine of ours, for it brings none for cross-encoders."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from http_server import Server
from protocol import Given, Peer, run, versions

_ENGINE = """
import torch
from routir.models.abstract import Engine
from sentence_transformers import CrossEncoder

class PairsEngine(Engine):
    def __init__(self, name="pairs", config=None, **kwargs):
        super().__init__(name, config, **kwargs)
        self.encoder = CrossEncoder(self.config["model"], device="cpu")

    async def score_batch(self, queries, passages, candidate_length, **kwargs):
        ends = [sum(candidate_length[: place + 1]) for place in range(len(candidate_length))]
        asked = [query for query, count in zip(queries, candidate_length) for _ in range(count)]
        pairs = list(zip(asked, passages))
        found = self.encoder.predict(pairs, activation_fn=torch.nn.Identity(), show_progress_bar=False).tolist()
        return [found[end - count : end] for end, count in zip(ends, candidate_length)]
"""


def opened(given: Given) -> Peer:
    """Requests come in side by side; the server gathers them."""
    work = Path(given["work"])
    (work / "engine.py").write_text(_ENGINE)
    service = {"name": "pairs", "engine": "PairsEngine", "config": {"model": given["model"]}}
    (work / "config.json").write_text(json.dumps({"file_imports": [str(work / "engine.py")], "services": [service]}))
    program = str(Path(sys.executable).with_name("routir"))
    server = Server([program, str(work / "config.json"), "--host", "127.0.0.1", "--port", "{port}"], work)
    server.wait("/ping")

    def score(query: str, texts: Sequence[str]) -> list[float]:
        answer = server.post("/score", {"service": "pairs", "query": query, "passages": list(texts)})
        found: list[float] = answer["scores"]
        return found

    named = versions("routir", "sentence-transformers", "transformers")
    return Peer(score, versions=named, note="engine of ours on CrossEncoder", pid=server.pid, close=server.close)


if __name__ == "__main__":
    run(opened)
