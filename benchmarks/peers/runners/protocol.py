"""How a runner and the benchmark talk: a JSON object a line. Needs nothing but the standard library.

The runner's argument is an object with `model` (a folder), `pairs` (a file of JSON lines: `query`, `texts`), `work` (a
folder of its own) and the options of its row. It answers `ready` or `failed`, then one answer for each line it reads.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

__all__ = ["MARK", "Given", "Peer", "best_of", "one_at_a_time", "run", "versions"]

Score = Callable[[str, Sequence[str]], Sequence[float]]
Given = dict[str, Any]
MARK = "\x1e"
"""Begins an answer, for libraries print while they are imported."""


@dataclass
class Peer:
    """`score` gives a score for each text, from any thread. `pid` is the process to watch; `close` ends what began."""

    score: Score
    dtype: str = "float32"
    versions: dict[str, str] = field(default_factory=dict)
    note: str = ""
    pid: int = field(default_factory=os.getpid)
    close: Callable[[], None] = lambda: None


def run(opened: Callable[[Given], Peer]) -> None:
    """Opens the peer and answers until the input ends."""
    lines = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print goes to the log
    given = json.loads(sys.argv[1])
    pairs = [json.loads(line) for line in Path(given["pairs"]).read_text().splitlines()]
    try:
        peer = opened(given)
    except BaseException as error:
        traceback.print_exc()
        _say(lines, {"failed": _reason(error)})
        return
    try:
        _say(lines, {"pid": peer.pid, "dtype": peer.dtype, "versions": peer.versions, "note": peer.note})
        for line in sys.stdin:
            _say(lines, _answer(peer, pairs, json.loads(line)))
    finally:
        peer.close()


def one_at_a_time(score: Score) -> Score:
    """For libraries that compute with all cores in the thread that calls: threads wait for each other."""
    lock = threading.Lock()

    def locked(query: str, texts: Sequence[str]) -> Sequence[float]:
        with lock:
            return score(query, texts)

    return locked


def best_of(sizes: Sequence[int], score: Callable[[int], object]) -> int:
    """The batch size with which the second of two runs took least."""
    taken = {}
    for size in sizes:
        score(size)
        begun = time.perf_counter()
        score(size)
        taken[size] = time.perf_counter() - begun
    return min(taken, key=taken.__getitem__)


def versions(*names: str) -> dict[str, str]:
    """Of what is installed among `names`."""
    found = {}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _answer(peer: Peer, pairs: Sequence[dict[str, Any]], command: dict[str, Any]) -> dict[str, Any]:
    """Works through the queries with so many threads, each of which takes the next one when it is done."""
    waiting, lock = iter(command["queries"]), threading.Lock()
    latencies: list[tuple[int, float]] = []
    scores: dict[int, list[float]] = {}

    def work(_: int) -> None:
        while True:
            with lock:
                number = next(waiting, None)
            if number is None:
                return
            pair, begun = pairs[number], time.perf_counter()
            found = peer.score(pair["query"], pair["texts"][: command["candidates"]])
            latencies.append((number, time.perf_counter() - begun))
            scores[number] = [float(each) for each in found]

    begun = time.perf_counter()
    try:
        with ThreadPoolExecutor(command["concurrency"]) as pool:
            for _ in pool.map(work, range(command["concurrency"])):
                pass
    except Exception as error:
        traceback.print_exc()
        return {"failed": _reason(error)}
    return {"seconds": time.perf_counter() - begun, "latencies": latencies, "scores": sorted(scores.items())}


def _reason(error: BaseException) -> str:
    text = next(itertools.chain((line for line in str(error).splitlines() if line.strip()), [""]))
    return f"{type(error).__name__}: {text}"[:300]


def _say(lines: Any, message: dict[str, Any]) -> None:
    lines.write(f"{MARK}{json.dumps(message)}\n")
    lines.flush()
