"""A process that owns one Qdrant Edge shard and serves it over its standard input and output.

A process of its own, because the engine holds the interpreter's lock while it works. It imports nothing of Tamis, so
that it starts quickly. A frame is a big-endian pair of lengths, that many bytes of JSON, that many of float32. It ends
when its input does, and dies with its parent.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import struct
import sys
import time
import uuid
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import qdrant_edge as edge

_HEADER = struct.Struct(">II")
_CHECKPOINT = 0
_NEVER = "-"  # no term looks like this, so that an empty "any" finds nothing
_PAGE = 1_000


class Shard:
    """The engine, with the checkpoint kept as a point of the shard itself: one log, one order."""

    def __init__(self, path: Path, dimensions: int, index_from: int, quantization: str, on_disk: bool) -> None:
        vectors = edge.EdgeVectorParams(
            size=dimensions,
            distance=edge.Distance.Cosine,
            memory=edge.Memory.Cold if on_disk else edge.Memory.Cached,
            quantization_config=_quantization(quantization),
        )
        # The engine counts its threshold in kilobytes of vectors.
        optimizers = edge.EdgeOptimizersConfig(indexing_threshold=max(1, index_from * dimensions * 4 // 1024))
        config = edge.EdgeConfig(vectors=vectors, optimizers=optimizers)
        self.dimensions = dimensions
        if (path / "edge_config.json").exists():
            self._edge = edge.EdgeShard.load(str(path), config)
        else:
            path.mkdir(parents=True, exist_ok=True)
            self._edge = edge.EdgeShard.create(str(path), config)
        terms = edge.KeywordIndexParams(memory=edge.Memory.Cold if on_disk else None)
        made = self._edge.info().payload_schema  # fewer than all where a process died before it had made them
        for field in ("d", "t"):
            if field not in made:
                self._edge.update(edge.UpdateOperation.create_field_index(field, terms))

    def apply(self, request: dict[str, Any], vectors: np.ndarray) -> dict[str, Any]:
        """Replaces documents, then moves the checkpoint, then makes both durable."""
        if request["documents"]:
            gone = edge.FieldCondition("d", match=edge.MatchAny(any=request["documents"]))
            self._edge.update(edge.UpdateOperation.delete_points_by_filter(edge.Filter(must=[gone])))
        points = [
            edge.Point(str(uuid.uuid5(uuid.NAMESPACE_OID, each["p"])), vector.tolist(), each)
            for each, vector in zip(request["points"], vectors, strict=True)
        ]
        for start in range(0, len(points), 500):
            self._edge.update(edge.UpdateOperation.upsert_points(points[start : start + 500]))
        mark = edge.Point(_CHECKPOINT, [1.0] * self.dimensions, {"checkpoint": request["upto"]})
        self._edge.update(edge.UpdateOperation.upsert_points([mark]))
        self._edge.flush()
        return self.info()

    def search(self, request: dict[str, Any], vectors: np.ndarray) -> dict[str, Any]:
        """The nearest points that fulfil the condition; none for a caller whose time is over."""
        if time.monotonic() >= request["until"]:
            return {"hits": []}
        condition = request["condition"]
        found = self._edge.search(
            edge.SearchRequest(
                query=edge.Query.Nearest(vectors[0].tolist()),
                limit=request["limit"] + 1,
                filter=None if condition is None else _filter(condition),
                with_payload=True,
            )
        )
        hits = [(*_identity(each.payload), each.score) for each in found if each.id != _CHECKPOINT]
        return {"hits": hits[: request["limit"]]}

    def checkpoint(self, _request: dict[str, Any], _vectors: np.ndarray) -> dict[str, Any]:
        """The sequence of the last `apply`."""
        found = self._edge.retrieve([_CHECKPOINT], True, False)
        return {"checkpoint": (found[0].payload or {})["checkpoint"] if found else 0}

    def ids(self, request: dict[str, Any], _vectors: np.ndarray) -> dict[str, Any]:
        """A page of passage ids with versions, and where the next begins."""
        offset = request["offset"]
        records, following = self._edge.scroll(
            edge.ScrollRequest(offset=offset, limit=_PAGE, with_payload=True, with_vector=False)
        )
        ids = [_identity(each.payload) for each in records if each.id != _CHECKPOINT]
        return {"ids": ids, "next": None if following is None else str(following)}

    def optimize(self, _request: dict[str, Any], _vectors: np.ndarray) -> dict[str, Any]:
        """Builds the graph; half a minute for 100,000 vectors."""
        self._edge.optimize()
        self._edge.flush()
        _trim()
        return self.info()

    def info(self) -> dict[str, Any]:
        """How many points there are, and how many the graph knows."""
        info = self._edge.info()
        return {"points": info.points_count, "indexed": info.indexed_vectors_count}

    def close(self) -> None:
        self._edge.close()


def main() -> None:
    """Serves the shard at argv: path, dimensions, number of points from which a graph is built, quantization, and
    whether the vectors stay on disk (1 or 0)."""
    _die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # nothing the engine prints may end up among the frames
    path, dimensions, index_from, quantization, on_disk = sys.argv[1:]
    shard = Shard(Path(path), int(dimensions), int(index_from), quantization, on_disk == "1")
    handlers = {
        "apply": shard.apply,
        "search": shard.search,
        "checkpoint": shard.checkpoint,
        "ids": shard.ids,
        "optimize": shard.optimize,
    }
    while (frame := _read(sys.stdin.buffer)) is not None:
        request, vectors = frame
        try:
            reply = handlers[request["do"]](request, vectors.reshape(-1, shard.dimensions))
        except Exception as error:
            reply = {"error": f"{type(error).__name__}: {error}"[:500]}
        _write(replies, {**reply, "id": request["id"]})
    shard.close()


def _quantization(name: str) -> Any:
    """Small copies of the vectors, in memory; None for none."""
    if name == "scalar":
        return edge.ScalarQuantizationConfig(type=edge.ScalarType.Int8, quantile=0.99, memory=edge.Memory.Pinned)
    if name == "binary":
        return edge.BinaryQuantizationConfig(memory=edge.Memory.Pinned)
    return None


def _identity(payload: dict[str, Any] | None) -> tuple[str, int]:
    """The passage a point stands for: its id and document version."""
    fields = payload or {}
    return fields["p"], fields["v"]


def _filter(condition: list[Any]) -> edge.Filter:
    kind, operand = condition
    if kind == "has":
        return edge.Filter(must=[edge.FieldCondition("t", match=edge.MatchAny(any=operand or [_NEVER]))])
    if kind == "none":
        return edge.Filter(must_not=[_filter(operand)])
    inner: list[Any] = [_filter(each) for each in operand]
    if kind == "all":
        return edge.Filter(must=inner)
    return edge.Filter(should=inner) if inner else _filter(["has", []])


def _read(source: BinaryIO) -> tuple[dict[str, Any], np.ndarray] | None:
    header = source.read(_HEADER.size)
    if len(header) < _HEADER.size:
        return None
    text_size, vector_size = _HEADER.unpack(header)
    text, vectors = source.read(text_size), source.read(vector_size)
    return json.loads(text), np.frombuffer(vectors, dtype=np.float32)


def _write(target: BinaryIO, reply: dict[str, Any]) -> None:
    text = json.dumps(reply).encode()
    target.write(_HEADER.pack(len(text), 0) + text)
    target.flush()


def _trim() -> None:
    """Gives back what building a graph took and freed: three quarters of this process's memory. GNU's C library only;
    others do it by themselves."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _die_with_parent() -> None:
    """Linux only; elsewhere the end of the input has to do."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)


if __name__ == "__main__":
    main()
