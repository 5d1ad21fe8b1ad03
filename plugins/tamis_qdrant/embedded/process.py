"""A handle on a worker process: many requests under way, answers matched by id."""

from __future__ import annotations

import asyncio
import json
import signal
import struct
import sys
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from tamis.models import Float32Array
from tamis_qdrant.embedded import worker

__all__ = ["ShardShape", "Worker", "WorkerError", "WorkerGone"]

_HEADER = struct.Struct(">II")
_NO_VECTORS = np.empty(0, dtype=np.float32)


class WorkerGone(Exception):
    """The process ended before it answered."""


class WorkerError(Exception):
    """The engine refused a request; the text is its own."""


@dataclass(frozen=True, slots=True)
class ShardShape:
    """How a shard keeps its vectors; see `QdrantSettings`."""

    dimensions: int
    index_from: int
    quantization: str
    on_disk: bool


class Worker:
    """One worker process. Whoever stops waiting for an answer does not disturb the others."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        """Use `start`."""
        self._process = process
        self._ids = count(1)
        self._pending: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._gone = False
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def start(cls, path: Path, shape: ShardShape, lock: int) -> Worker:
        """Starts a process on the shard at `path`, which it creates if need be. It holds the file `lock` open, too."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            worker.__file__ or "",
            str(path),
            str(shape.dimensions),
            str(shape.index_from),
            shape.quantization,
            str(int(shape.on_disk)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            pass_fds=(lock,),
        )
        return cls(process)

    @property
    def gone(self) -> bool:
        """Whether the process has ended."""
        return self._gone

    async def was_killed(self) -> bool:
        """Of a process that is gone: whether somebody ended it, as a system short of memory does."""
        return await self._process.wait() in (-signal.SIGKILL, -signal.SIGTERM)

    async def ask(self, do: str, vectors: Float32Array = _NO_VECTORS, **fields: Any) -> dict[str, Any]:
        """The answer to one request. Raises `WorkerGone` or `WorkerError`."""
        if self._gone or self._process.stdin is None:
            raise WorkerGone
        number = next(self._ids)
        text = json.dumps({"do": do, "id": number, **fields}).encode()
        data = np.ascontiguousarray(vectors, dtype=np.float32).tobytes()
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._pending[number] = answer
        try:
            self._process.stdin.write(_HEADER.pack(len(text), len(data)) + text + data)
            await self._process.stdin.drain()
            reply = await answer
        except (ConnectionError, RuntimeError) as error:
            raise WorkerGone from error
        finally:
            self._pending.pop(number, None)
        if "error" in reply:
            raise WorkerError(reply["error"])
        return reply

    async def close(self) -> None:
        """Lets the process finish what it does, and end."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        await self._reading
        await self._process.wait()

    async def kill(self) -> None:
        """Ends the process at once; what it had acknowledged is durable."""
        if self._process.returncode is None:
            self._process.kill()
        await self._reading
        await self._process.wait()

    async def _read(self) -> None:
        source = self._process.stdout
        try:
            while source is not None:
                text_size, _ = _HEADER.unpack(await source.readexactly(_HEADER.size))
                reply = json.loads(await source.readexactly(text_size))
                answer = self._pending.get(reply["id"])
                if answer is not None and not answer.done():
                    answer.set_result(reply)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._gone = True
            for answer in self._pending.values():
                if not answer.done():
                    answer.set_exception(WorkerGone())
