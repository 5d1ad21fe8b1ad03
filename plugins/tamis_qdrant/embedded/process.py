"""A handle on a worker process: many requests under way, answers matched by id."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import struct
import subprocess
import sys
from contextlib import suppress
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

    def __init__(
        self, process: subprocess.Popen[bytes], replies: asyncio.StreamReader, requests: asyncio.StreamWriter
    ) -> None:
        """Use `start`."""
        self._process, self._replies, self._requests = process, replies, requests
        self._ids = count(1)
        self._pending: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._gone = False
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def start(cls, path: Path, shape: ShardShape, lock: int) -> Worker:
        """Starts a process on the shard at `path`, which it creates if need be. It holds the file `lock` open, too."""
        process, ours = _started(path, shape, lock)
        return cls(process, *await asyncio.open_unix_connection(sock=ours))

    @property
    def gone(self) -> bool:
        """Whether the process has ended."""
        return self._gone

    async def exit_status(self) -> int:
        """Of a process that is gone: what it ended with; of one that was killed, the signal's number, negative."""
        return await asyncio.to_thread(self._process.wait)

    async def was_killed(self) -> bool:
        """Of a process that is gone: whether somebody ended it, as a system short of memory does."""
        return await self.exit_status() in (-signal.SIGKILL, -signal.SIGTERM)

    async def ask(self, do: str, vectors: Float32Array = _NO_VECTORS, **fields: Any) -> dict[str, Any]:
        """The answer to one request. Raises `WorkerGone` or `WorkerError`."""
        if self._gone:
            raise WorkerGone
        number = next(self._ids)
        text = json.dumps({"do": do, "id": number, **fields}).encode()
        data = np.ascontiguousarray(vectors, dtype=np.float32).tobytes()
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._pending[number] = answer
        try:
            self._requests.write(_HEADER.pack(len(text), len(data)) + text + data)
            await self._requests.drain()
            reply = await answer
        except (ConnectionError, RuntimeError) as error:
            self._gone = True
            raise WorkerGone from error
        finally:
            self._pending.pop(number, None)
        if "error" in reply:
            raise WorkerError(reply["error"])
        return reply

    async def close(self) -> None:
        """Lets the process finish what it does, and end."""
        with suppress(OSError):  # it may be gone
            self._requests.write_eof()
        await self._ended()

    async def kill(self) -> None:
        """Ends the process at once; what it had acknowledged is durable."""
        self._process.kill()
        await self._ended()

    async def _ended(self) -> None:
        await self._reading
        await self.exit_status()

    async def _read(self) -> None:
        try:
            while True:
                text_size, _ = _HEADER.unpack(await self._replies.readexactly(_HEADER.size))
                reply = json.loads(await self._replies.readexactly(text_size))
                answer = self._pending.get(reply["id"])
                if answer is not None and not answer.done():
                    answer.set_result(reply)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._gone = True
            self._requests.close()
            for answer in self._pending.values():
                if not answer.done():
                    answer.set_exception(WorkerGone())


def _started(path: Path, shape: ShardShape, lock: int) -> tuple[subprocess.Popen[bytes], socket.socket]:
    """The process, and what it reads from and writes to.

    Not by the event loop: uvloop forks, and what libraries do in the child of a fork is run. gRPC starts threads there,
    and now and then the child dies of them before it is a process of its own.
    """
    ours, theirs = socket.socketpair()
    numbers = [str(shape.dimensions), str(shape.index_from), shape.quantization, str(int(shape.on_disk))]
    with theirs:
        process = subprocess.Popen(
            [sys.executable, worker.__file__ or "", str(path), *numbers],
            stdin=theirs.fileno(),
            stdout=theirs.fileno(),
            pass_fds=(lock,),
        )
    return process, ours
