"""Tamis as users get it: a server in a process of its own, `Rerank` over gRPC.

Options: `settings` of the stage; `late`, then late interaction on the body alone instead of the cross-encoder.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import grpc
from protocol import Given, Peer, run, versions
from tamis_settings import dtype_of, stage_settings

from tamis.v1 import passage_pb2, search_service_pb2_grpc
from tamis.v1 import search_service_pb2 as pb

_CONFIG = """
[server]
listen = "127.0.0.1:0"
data_directory = "{data}"
default_deadline = 3600
{stages}
[pipelines.default]
expression = "rank"
"""
_LATE = """
[models.body]
plugin = "sentence-transformers"
model = "{body}"
max_tokens = 256
[stages.rank]
plugin = "late-interaction"
embedder = "body"
cache_bytes = 0
"""


def opened(given: Given) -> Peer:
    """Requests come in side by side over one channel."""
    process = _started(given)
    line = process.stdout.readline() if process.stdout else ""
    if not line.startswith("listening on "):
        process.wait()
        raise RuntimeError(f"the server does not start: {_last_words(Path(given['work']))}")
    channel = grpc.insecure_channel(line.removeprefix("listening on ").strip())
    stub = search_service_pb2_grpc.SearchServiceStub(channel)

    def score(query: str, texts: Sequence[str]) -> list[float]:
        passages = [passage_pb2.Passage(id=str(number), text=text) for number, text in enumerate(texts)]
        response = stub.Rerank(pb.RerankRequest(query=query, passages=passages), timeout=3_600)
        found = {hit.passage.id: _score(hit) for hit in response.hits}
        return [found[each.id] for each in passages]

    def close() -> None:
        channel.close()
        process.terminate()
        process.wait(timeout=30)

    named = versions("torch", "transformers", "openvino", "onnxruntime")
    return Peer(score, dtype=dtype_of(given), versions=named, pid=process.pid, close=close)


def _started(given: Given) -> subprocess.Popen[str]:
    work = Path(given["work"])
    stages = _LATE.format(body=given["body"]) if given.get("late") else _cross_encoder(given)
    (work / "tamis.toml").write_text(_CONFIG.format(data=work / "data", stages=stages))
    with (work / "server.log").open("w") as log:
        command = [sys.executable, "-m", "tamis.cli.app", "serve", "--config", str(work / "tamis.toml")]
        return subprocess.Popen([*command, "--log-format", "json"], stdout=subprocess.PIPE, stderr=log, text=True)


def _cross_encoder(given: Given) -> str:
    lines = [f"{name} = {_toml(value)}" for name, value in stage_settings(given).items()]
    return "\n".join(("[stages.rank]", 'plugin = "cross-encoder"', *lines))


def _toml(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value).lower()


def _score(hit: Any) -> float:
    """The model's own, before anything is made of it."""
    return next(each.score for each in hit.stage_scores if each.stage == "rank")


def _last_words(work: Path) -> str:
    lines = [each for each in (work / "server.log").read_text().splitlines() if each.strip()]
    return lines[-1][-250:] if lines else "it says nothing"


if __name__ == "__main__":
    run(opened)
