"""The processes of `overhead.py`: a bare gRPC handler with recorded responses, and a client that times calls."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy as np

from tamis.v1 import search_service_pb2 as pb
from tamis.v1 import search_service_pb2_grpc

__all__ = ["CALLS", "Recorded"]

CALLS: dict[str, tuple[Any, Any]] = {
    "Search": (pb.SearchRequest, pb.SearchResponse),
    "StreamSearch": (pb.StreamSearchRequest, pb.StreamSearchResponse),
    "Rerank": (pb.RerankRequest, pb.RerankResponse),
}
"""The methods that are compared, each with its request and response."""

_DEADLINE = 10.0


@dataclass(frozen=True)
class Recorded:
    """One call and what a Tamis server answered to it: one message, or all of a stream."""

    name: str
    method: str
    request: bytes
    responses: list[bytes]

    @staticmethod
    def read(path: Path) -> list[Recorded]:
        """What `write` kept."""
        return [
            Recorded(each["name"], each["method"], _bytes(each["request"]), [_bytes(one) for one in each["responses"]])
            for each in json.loads(path.read_text())
        ]

    @staticmethod
    def write(path: Path, recorded: list[Recorded]) -> None:
        """Keeps them in one file."""
        rows = [
            {
                "name": each.name,
                "method": each.method,
                "request": base64.b64encode(each.request).decode(),
                "responses": [base64.b64encode(one).decode() for one in each.responses],
            }
            for each in recorded
        ]
        path.write_text(json.dumps(rows))


def _bytes(text: str) -> bytes:
    return base64.b64decode(text)


class Bare(search_service_pb2_grpc.SearchServiceServicer):
    """Answers with messages that were built beforehand: what gRPC itself costs, with these messages."""

    def __init__(self, recorded: list[Recorded]) -> None:
        self._responses = {
            (each.method, CALLS[each.method][0].FromString(each.request).page_size): [
                CALLS[each.method][1].FromString(one) for one in each.responses
            ]
            for each in recorded
        }

    async def Search(self, request: Any, context: Any) -> Any:  # noqa: N802
        return self._responses["Search", request.page_size][0]

    async def Rerank(self, request: Any, context: Any) -> Any:  # noqa: N802
        return self._responses["Rerank", request.page_size][0]

    async def StreamSearch(self, request: Any, context: Any) -> AsyncIterator[Any]:  # noqa: N802
        for each in self._responses["StreamSearch", request.page_size]:
            yield each


async def _serve_bare(path: Path) -> None:
    server = grpc.aio.server()
    search_service_pb2_grpc.add_SearchServiceServicer_to_server(Bare(Recorded.read(path)), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"listening on 127.0.0.1:{port}", flush=True)
    await server.wait_for_termination()


async def _ask(path: Path, seconds: float, rounds: int, at_once: list[int], targets: list[str]) -> None:
    """Every call at each address in turn, several times over; prints one JSON line for each measurement."""
    recorded = Recorded.read(path)
    channels = [grpc.aio.insecure_channel(each.partition("=")[0]) for each in targets]
    stubs = [search_service_pb2_grpc.SearchServiceStub(each) for each in channels]
    for each in recorded:
        for stub in stubs:
            await _timed(_caller(stub, each), 1, min(0.5, seconds))
    for _ in range(rounds):
        for each in recorded:
            for count in at_once:
                for target, stub in zip(targets, stubs, strict=True):
                    before = _processor_seconds(target.partition("=")[2])
                    found, took = await _timed(_caller(stub, each), count, seconds)
                    used = _processor_seconds(target.partition("=")[2]) - before
                    row = {"name": each.name, "at_once": count, "target": target, "took": took}
                    print(json.dumps({**row, "processor_seconds": used, "seconds": found}), flush=True)
    for channel in channels:
        await channel.close()


def _processor_seconds(pid: str) -> float:
    ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(ticks[11]) + int(ticks[12])) / os.sysconf("SC_CLK_TCK")


def _caller(stub: Any, recorded: Recorded) -> Callable[[], Awaitable[None]]:
    request = CALLS[recorded.method][0].FromString(recorded.request)
    method = getattr(stub, recorded.method)

    async def unary() -> None:
        await method(request, timeout=_DEADLINE)

    async def stream() -> None:
        async for _ in method(request, timeout=_DEADLINE):
            pass

    return stream if recorded.method.startswith("Stream") else unary


async def _timed(call: Callable[[], Awaitable[None]], at_once: int, seconds: float) -> tuple[list[float], float]:
    found: list[float] = []
    started = time.perf_counter()
    until = started + seconds

    async def work() -> None:
        begun = time.perf_counter()
        while begun < until:
            await call()
            ended = time.perf_counter()
            found.append(ended - begun)
            begun = ended

    await asyncio.gather(*(work() for _ in range(at_once)))
    return np.round(found, 7).tolist(), time.perf_counter() - started


def _main() -> None:
    match sys.argv[1:]:
        case ["bare", path]:
            asyncio.run(_serve_bare(Path(path)))
        case ["ask", path, seconds, rounds, at_once, *targets]:
            counts = [int(each) for each in at_once.split(",")]
            asyncio.run(_ask(Path(path), float(seconds), int(rounds), counts, targets))
        case _:
            sys.exit("run by overhead.py")


if __name__ == "__main__":
    _main()
