"""A runner's process seen from the benchmark: what it answers, its memory and its processor time."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from peers.environments import TAMIS, python
from peers.rows import Row
from peers.runners.protocol import MARK

__all__ = ["Failed", "Runner", "environment_variables"]

_RUNNERS = Path(__file__).with_name("runners")
_EVERY = 0.1  # seconds between two looks at the memory
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_HUSHED = {
    "DO_NOT_TRACK": "1",
    "HAYSTACK_TELEMETRY_ENABLED": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
    "INFINITY_ANONYMOUS_USAGE_STATS": "0",
    "TRANSFORMERS_OFFLINE": "1",
}


class Failed(Exception):
    """What a runner says went wrong, in one line."""


class Runner:
    """A row's process, stopped while others are measured, so that nothing of it computes."""

    def __init__(
        self,
        row: Row,
        environments: Path,
        given: Mapping[str, Any],
        work: Path,
        threads: int,
        runners: Path = _RUNNERS,
    ) -> None:
        """Starts it, and returns once it is ready. Raises `Failed`."""
        work.mkdir(parents=True, exist_ok=True)
        self.row = row
        command = [str(python(environments, row.environment)), str(runners / f"run_{row.runner}.py")]
        self._log = (work / "runner.log").open("w")
        begun = time.perf_counter()
        self._process = subprocess.Popen(
            [*command, json.dumps({**given, **row.options, "work": str(work)})],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            env=environment_variables(threads, ours=row.environment == TAMIS),
        )
        try:
            self.ready = self._answer()
        except Failed:
            self.close()
            raise
        self.load_seconds = time.perf_counter() - begun
        self._watched = psutil.Process(self.ready["pid"])
        self.loaded_bytes = _memory(self._watched)

    def ask(self, queries: list[int], concurrency: int, candidates: int | None = None) -> dict[str, Any]:
        """One pass: seconds, latencies, scores; with `processor_seconds` and `peak_bytes`. Only the first `candidates`
        of each query with a number. Raises `Failed`."""
        self._resume()
        with _Peak(self._watched) as peak:
            before = _processor_seconds(self._watched)
            self._say({"queries": queries, "concurrency": concurrency, "candidates": candidates})
            answer = self._answer()
            spent = _processor_seconds(self._watched) - before
        self.pause()
        return answer | {"processor_seconds": spent, "peak_bytes": peak.bytes}

    def pause(self) -> None:
        """Until it is asked again."""
        for each in self._family():
            each.suspend()

    def close(self) -> None:
        """Ends it and all that it started."""
        if self._process.poll() is None:
            self._resume()
            if self._process.stdin:
                self._process.stdin.close()
            try:
                self._process.wait(timeout=40)
            except subprocess.TimeoutExpired:
                for each in self._family():
                    each.kill()
                self._process.wait()
        self._log.close()

    def _resume(self) -> None:
        for each in self._family():
            each.resume()

    def _family(self) -> list[psutil.Process]:
        try:
            own = psutil.Process(self._process.pid)
            return [own, *own.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def _say(self, message: dict[str, Any]) -> None:
        try:
            if self._process.stdin:
                self._process.stdin.write(json.dumps(message) + "\n")
                self._process.stdin.flush()
        except BrokenPipeError:
            raise Failed(self._last_words()) from None

    def _answer(self) -> dict[str, Any]:
        line = next((each for each in self._process.stdout or () if each.startswith(MARK)), "")
        if not line:
            self._process.wait()
            raise Failed(self._last_words())
        answer: dict[str, Any] = json.loads(line.removeprefix(MARK))
        if "failed" in answer:
            raise Failed(answer["failed"])
        return answer

    def _last_words(self) -> str:
        lines = [each for each in Path(self._log.name).read_text(errors="replace").splitlines() if each.strip()]
        return f"ended with {self._process.returncode}: {lines[-1] if lines else ''}"[:300]


def environment_variables(threads: int, *, ours: bool) -> dict[str, str]:
    """So many threads for whoever multiplies, no downloads, nothing sent; nothing of this environment for others."""
    kept = {name: value for name, value in os.environ.items() if ours or not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    return kept | _HUSHED | dict.fromkeys(_THREADS, str(threads))


class _Peak:
    """The most resident memory of a process and its children between entering and leaving."""

    def __init__(self, process: psutil.Process) -> None:
        self.bytes = 0
        self._process, self._done = process, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> _Peak:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(_EVERY):
            self.bytes = max(self.bytes, _memory(self._process))


def _memory(process: psutil.Process) -> int:
    total = 0
    for each in _tree(process):
        try:
            total += each.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total


def _processor_seconds(process: psutil.Process) -> float:
    total = 0.0
    for each in _tree(process):
        try:
            times = each.cpu_times()
            total += times.user + times.system
        except psutil.NoSuchProcess:
            continue
    return total


def _tree(process: psutil.Process) -> list[psutil.Process]:
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
