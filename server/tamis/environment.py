"""Looks at the machine that a configuration is to run on: plugins, processor, memory for data, the server itself."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

from tamis.config import Config
from tamis.diagnosis import Finding, Severity
from tamis.plugins import inspect

__all__ = ["examine"]

LEAST_BYTES = 1 << 30
"""Less room for data than this is worth a warning: indexes are written anew before old ones go."""

_BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16"}
_CPU_INFO = Path("/proc/cpuinfo")
_PATIENCE = 0.5  # seconds


def examine(config: Config) -> list[Finding]:
    """What the machine has and lacks. Imports plugins, loads no model, changes nothing."""
    return [*_plugins(), *_processor(), *_room(config), *_server(config)]


def _plugins() -> Iterator[Finding]:
    for each in inspect():
        if each.problem:
            yield Finding(
                "plugin-unusable",
                Severity.NOTE,
                f"the plugin {each.plugin.name!r} of {each.plugin.distribution} cannot be loaded: {each.problem}",
                "a configuration that names it will not start",
            )


def _processor(cpu_info: Path = _CPU_INFO) -> Iterator[Finding]:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = os.environ.get("OMP_NUM_THREADS", "")
    if threads.isdigit() and int(threads) > usable:
        yield Finding(
            "too-many-threads",
            Severity.WARNING,
            f"OMP_NUM_THREADS is {threads}, this process may use {usable} processors",
            "threads of a model that wait for each other make it several times slower",
            f"OMP_NUM_THREADS={usable}, or leave it unset",
        )
    flags = _flags(cpu_info)
    if flags is None:
        return
    has = bool(flags & _BFLOAT16_FLAGS)
    speed = "native bfloat16, about twice as fast as float32" if has else "no native bfloat16: models run in float32"
    yield Finding("processor", Severity.NOTE, f"{usable} processors, {speed}")


def _flags(cpu_info: Path) -> set[str] | None:
    """What the first processor can do, where the system tells."""
    try:
        lines = cpu_info.read_text().splitlines()
    except OSError:
        return None
    return next((set(line.partition(":")[2].split()) for line in lines if line.startswith(("flags", "Features"))), None)


def _room(config: Config) -> Iterator[Finding]:
    directory = config.server.data_directory
    existing = next(each for each in (directory, *directory.absolute().parents) if each.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        yield Finding(
            "data-directory",
            Severity.PROBLEM,
            f"{directory} cannot be written to",
            "the server keeps everything there and does not start without it",
            "[server] data_directory, or --data-directory",
        )
        return
    free = shutil.disk_usage(existing).free
    severity = Severity.NOTE if free >= LEAST_BYTES else Severity.WARNING
    message = f"{free / (1 << 30):,.1f} GiB free for data in {directory}"
    if severity is Severity.NOTE:
        yield Finding("room", severity, message)
    else:
        yield Finding("little-room", severity, message, "writes are refused when the disk is full", "make room")


def _server(config: Config) -> Iterator[Finding]:
    host, _, port = config.server.listen.rpartition(":")
    if port == "0":
        return
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=_PATIENCE):
            message = f"something listens on {config.server.listen}"
    except OSError:
        message = f"nothing listens on {config.server.listen}; start it with: tamis serve"
    yield Finding("server", Severity.NOTE, message)
