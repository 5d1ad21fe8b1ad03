"""The process that forks a process for every file. A script: requests come on standard input, replies go out.

It imports readers and little else, and has one thread, so that a fork is quick and safe.
"""

from __future__ import annotations

import asyncio
import gc
import gzip
import importlib
import json
import math
import os
import resource
import select
import signal
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from tamis.ingest.spool import packed
from tamis.model import Document
from tamis.reading import Reader, Unreadable

__all__ = ["OUT_OF_MEMORY", "main"]

OUT_OF_MEMORY = 3
"""The exit status of a process that asked for more memory than it may have."""

_CHUNK = 1 << 20


def main() -> None:
    """Serves until standard input ends. A request and a reply are one line of JSON each."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    readers: dict[str, Reader] = {}
    for line in sys.stdin.buffer:
        request = json.loads(line)
        reply = _served(request, readers)
        sys.stdout.buffer.write(json.dumps(reply).encode() + b"\n")
        sys.stdout.buffer.flush()


def _served(request: dict[str, Any], readers: dict[str, Reader]) -> dict[str, Any]:
    target = request["reader"]
    if target not in readers:
        try:
            readers[target] = _loaded(target)
        except ModuleNotFoundError as error:
            return {"problem": f"its reader needs the module {error.name!r}: pip install 'tamis[readers]'"}
        except Exception as error:
            return {"problem": f"its reader cannot be loaded: {type(error).__name__}"}
        gc.collect()
        gc.freeze()  # a child that never looks at these objects need not copy their pages
    child = os.fork()
    if child == 0:
        _read_and_exit(request, readers[target])
    return {"status": _waited_for(child)}


def _loaded(target: str) -> Reader:
    module, _, name = target.partition(":")
    kind: type[Reader] = getattr(importlib.import_module(module), name)
    reader = kind(kind.Settings())
    asyncio.run(reader.open())
    return reader


def _waited_for(child: int) -> int:
    """The exit code, or the negative signal, as subprocess has it. The child goes when whoever asked has gone."""
    if hasattr(os, "pidfd_open"):
        ended = os.pidfd_open(child)
        poll = select.poll()
        poll.register(ended, select.POLLIN)
        poll.register(sys.stdin.fileno(), 0)  # tells only that the other end has closed
        if ended not in [descriptor for descriptor, _ in poll.poll()]:
            os.kill(child, signal.SIGKILL)
        os.close(ended)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _read_and_exit(request: dict[str, Any], reader: Reader) -> NoReturn:
    status = 1
    try:
        _limit(request["seconds"], request["memory_bytes"], request["spool_bytes"])
        with open(request["spool"], "w", encoding="utf-8", newline="\n") as spool:
            spool.writelines(packed(each) for each in _read(request, reader))
        status = 0
    except MemoryError:
        status = OUT_OF_MEMORY
    except BaseException:
        status = 1
    finally:
        os._exit(status)


def _limit(seconds: float, memory_bytes: int, spool_bytes: int) -> None:
    """The kernel ends a process that goes over: neither a loop in C nor a full pipe can keep it from that."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    cpu = math.ceil(seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu + 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (spool_bytes, spool_bytes))
    most = _address_space() + memory_bytes
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _address_space() -> int:
    """What the process has by now, libraries included; a guess where the kernel does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except OSError:
        return 1 << 30


def _read(request: dict[str, Any], reader: Reader) -> Iterator[Document | Unreadable]:
    path, name = Path(request["path"]), request["name"]
    try:
        if request["unpack_to"]:
            unpacked = Path(request["unpack_to"])
            problem = _unpack(path, unpacked, request["most_bytes"])
            if problem:
                yield Unreadable(path, problem)
                return
            path = unpacked
        yield from reader.read(path, name)
    except MemoryError:
        raise
    except OSError as error:
        yield Unreadable(path, error.strerror or type(error).__name__)
    except Exception as error:
        yield Unreadable(path, f"its reader failed: {type(error).__name__}")


def _unpack(path: Path, target: Path, most_bytes: int) -> str:
    """Unpacks gzip; returns what is wrong with it, if anything is."""
    size = 0
    try:
        with gzip.open(path) as source, target.open("wb") as file:
            while chunk := source.read(_CHUNK):
                size += len(chunk)
                if size > most_bytes:
                    return f"unpacks to more than {most_bytes >> 20} MiB"
                file.write(chunk)
    except (gzip.BadGzipFile, EOFError, zlib.error):
        return "is damaged, or is not gzip"
    return ""


if __name__ == "__main__":
    main()
