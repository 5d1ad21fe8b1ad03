"""What exports and measurements hold for: weights, versions, hardware. Imports no torch."""

from __future__ import annotations

import hashlib
import os
import platform
from functools import lru_cache
from importlib import metadata
from pathlib import Path

from tamis_transformers.fingerprint import digest

__all__ = ["hardware", "is_installed", "key", "versions", "weights"]

_CPU_INFO = Path("/proc/cpuinfo")
_TELLING = ("model name", "flags", "Features", "cache size")


def weights(path: Path) -> str:
    """Of a checkpoint: its config, all its weights, and code of its own, not where it lies. Reads them all."""
    files = [*sorted(path.glob("*.safetensors")), *sorted(path.glob("**/*.py")), path / "config.json"]
    return _digest(tuple((each, each.stat().st_mtime_ns, each.stat().st_size) for each in files if each.exists()))


def versions(*distributions: str) -> str:
    """The installed versions of distributions; a dash for one that is not installed."""
    return " ".join(f"{each} {_version(each)}" for each in distributions)


def is_installed(*distributions: str) -> bool:
    """Whether all of them are."""
    return all(_version(each) != "-" for each in distributions)


def hardware() -> str:
    """The processor's model and instructions, and how many of its cores this process may use."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return f"{platform.machine()} {platform.processor()} {usable} {_cpu_info()}"


def key(*parts: str) -> str:
    """The name of a file or folder for whatever holds for all of the parts."""
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=12).hexdigest()


@lru_cache(8)
def _digest(files: tuple[tuple[Path, int, int], ...]) -> str:
    return digest(file for file, _, _ in files)


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "-"


def _cpu_info() -> str:
    """Of the first processor, where the system tells."""
    try:
        first = _CPU_INFO.read_text().partition("\n\n")[0]
    except OSError:
        return ""
    return " ".join(line for line in first.splitlines() if line.startswith(_TELLING))
