"""What a Qdrant collection says of itself: what its vectors were made with, and how far each epoch has got."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from qdrant_client import grpc as api

__all__ = ["State", "checkpoint", "checkpoint_id", "description", "is_mark", "read"]

_DESCRIPTION = api.PointId(num=0)


@dataclass(frozen=True, slots=True)
class State:
    """What the marks of a collection say together.

    `made_by` is what its vectors were made with. `origin` is drawn when a collection is made: a checkpoint that came
    from another one of the same name does not count. `epoch` is the highest that has a checkpoint here, and
    `checkpoint` is that one; both 0 for a new collection. `others` are further epochs whose checkpoints are here.
    """

    made_by: Mapping[str, Any]
    origin: str
    epoch: int = 0
    checkpoint: int = 0
    others: tuple[int, ...] = ()


def description(made_by: Mapping[str, Any]) -> api.PointStruct:
    """The mark of a new collection. Marks have no vectors, so no search meets them."""
    values = {"made_by": api.Value(string_value=json.dumps(made_by, sort_keys=True)), "origin": _text(uuid4().hex)}
    return _mark(_DESCRIPTION, values)


def checkpoint(origin: str, epoch: int, sequence: int) -> api.PointStruct:
    """The mark of how far an epoch has got. Each epoch has its own, so none ever overwrites another's."""
    values = {"epoch": _number(epoch), "checkpoint": _number(sequence), "origin": _text(origin)}
    return _mark(checkpoint_id(epoch), values)


def checkpoint_id(epoch: int) -> api.PointId:
    """The point that holds an epoch's checkpoint."""
    return api.PointId(num=epoch + 1)


def is_mark(point: api.RetrievedPoint) -> bool:
    """Marks have numbers, which Qdrant orders before the UUIDs of passages."""
    return bool(point.id.HasField("num"))


def read(points: Iterable[api.RetrievedPoint]) -> State | None:
    """What the marks among these points say; None without a description."""
    payloads: dict[int, Any] = {each.id.num: each.payload for each in points if is_mark(each)}
    held = payloads.pop(_DESCRIPTION.num, {})
    if "made_by" not in held:
        return None
    made_by, origin = json.loads(held["made_by"].string_value), held["origin"].string_value
    reached = {
        each["epoch"].integer_value: each["checkpoint"].integer_value
        for each in payloads.values()
        if each["origin"].string_value == origin
    }
    epoch = max(reached, default=0)
    others = tuple(number - 1 for number in payloads if number - 1 != epoch)
    return State(made_by, origin, epoch, reached.get(epoch, 0), others)


def _mark(id: api.PointId, payload: Mapping[str, api.Value]) -> api.PointStruct:
    return api.PointStruct(id=id, vectors=api.Vectors(vectors=api.NamedVectors()), payload=payload)


def _number(value: int) -> api.Value:
    return api.Value(integer_value=value)


def _text(value: str) -> api.Value:
    return api.Value(string_value=value)
