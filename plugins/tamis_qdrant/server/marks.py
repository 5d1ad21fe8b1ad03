"""What a Qdrant collection says of itself: what its vectors were made with, and how far each epoch has got."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from qdrant_client import grpc as api

__all__ = ["State", "checkpoint", "checkpoint_id", "description", "is_mark", "read"]

_FIRST_ORIGIN = 1 << 62  # origins are numbers from here on, epochs those below


@dataclass(frozen=True, slots=True)
class State:
    """What the marks of a collection say together.

    `made_by` is what its vectors were made with, as each server says that made the collection: it may be two at once.
    `origin` is drawn by one of them: a checkpoint that follows from an origin which is not here belongs to a collection
    of the same name that is gone, and does not count. `epoch` is the highest that has a checkpoint, and `checkpoint` is
    that one; both 0 for a new collection. `others` are further epochs whose checkpoints are here.
    """

    made_by: tuple[Mapping[str, Any], ...]
    origin: int
    epoch: int = 0
    checkpoint: int = 0
    others: tuple[int, ...] = ()


def description(made_by: Mapping[str, Any]) -> api.PointStruct:
    """The mark of whoever makes a collection; it overwrites nobody's. Marks have no vectors: no search meets them."""
    origin = _FIRST_ORIGIN + secrets.randbelow(_FIRST_ORIGIN)
    return _mark(api.PointId(num=origin), {"made_by": api.Value(string_value=json.dumps(made_by, sort_keys=True))})


def checkpoint(origin: int, epoch: int, sequence: int) -> api.PointStruct:
    """The mark of how far an epoch has got. Each epoch has its own, so none ever overwrites another's."""
    values = {"checkpoint": api.Value(integer_value=sequence), "origin": api.Value(integer_value=origin)}
    return _mark(checkpoint_id(epoch), values)


def checkpoint_id(epoch: int) -> api.PointId:
    """The point that holds an epoch's checkpoint."""
    return api.PointId(num=epoch)


def is_mark(point: api.RetrievedPoint) -> bool:
    """Marks have numbers, which Qdrant orders before the UUIDs of passages."""
    return bool(point.id.HasField("num"))


def read(points: Iterable[api.RetrievedPoint]) -> State | None:
    """What the marks among these points say; None without a description."""
    held: dict[int, Any] = {each.id.num: each.payload for each in points if is_mark(each)}
    made_by = {id: json.loads(each["made_by"].string_value) for id, each in held.items() if "made_by" in each}
    if not made_by:
        return None
    epochs = {id: each for id, each in held.items() if id not in made_by}
    reached = {
        epoch: each["checkpoint"].integer_value
        for epoch, each in epochs.items()
        if each["origin"].integer_value in made_by
    }
    epoch = max(reached, default=0)
    others = tuple(each for each in epochs if each != epoch)
    return State((*made_by.values(),), min(made_by), epoch, reached.get(epoch, 0), others)


def _mark(id: api.PointId, payload: Mapping[str, api.Value]) -> api.PointStruct:
    return api.PointStruct(id=id, vectors=api.Vectors(vectors=api.NamedVectors()), payload=payload)
