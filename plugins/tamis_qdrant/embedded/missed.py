"""What was applied to a shard since it was copied, kept in a file: while a large graph is built that can be much."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tamis.models import Float32Array

__all__ = ["Missed"]

_SIZES = struct.Struct(">IQ")


class Missed:
    """Requests and their vectors in the order they came. Blocks; a crash may lose it, as the copy is lost with it.

    `count` is of the points in them.
    """

    def __init__(self, path: Path, dimensions: int) -> None:
        """Begins with an empty file."""
        self._path, self._dimensions = path, dimensions
        self._file = path.open("w+b")
        self.count = 0

    def add(self, request: dict[str, Any], vectors: Float32Array) -> None:
        """Keeps one request."""
        text, data = json.dumps(request).encode(), np.ascontiguousarray(vectors, dtype=np.float32).tobytes()
        self._file.write(_SIZES.pack(len(text), len(data)) + text + data)
        self.count += len(request["points"])

    def __iter__(self) -> Iterator[tuple[dict[str, Any], Float32Array]]:
        """Every request so far, one in memory at a time."""
        self._file.flush()
        with self._path.open("rb") as file:
            while sizes := file.read(_SIZES.size):
                text, data = (file.read(size) for size in _SIZES.unpack(sizes))
                yield json.loads(text), np.frombuffer(data, dtype=np.float32).reshape(-1, self._dimensions)

    def remove(self) -> None:
        """Closes and removes the file. Idempotent."""
        self._file.close()
        self._path.unlink(missing_ok=True)
