"""Metadata values to and from `tamis.v1.Value`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from tamis.errors import InvalidRequest
from tamis.model import Value
from tamis.v1 import value_pb2
from tamis.wire.checks import unreserved

__all__ = ["from_metadata", "from_value", "to_metadata", "to_value"]

_DEEPEST = 16


def to_metadata(fields: Mapping[str, value_pb2.Value], field: str) -> dict[str, Value]:
    """Raises `InvalidRequest` with the path of the first value that cannot be kept."""
    for key in fields:
        unreserved(key, f'{field}["{key[:64]}"]')
    return _map(fields, field, 0)


def to_value(message: value_pb2.Value, field: str, depth: int = 0) -> Value:
    """One value. Raises `InvalidRequest`."""
    kind = message.WhichOneof("kind")
    if kind is None:
        raise InvalidRequest.of(field, "has no kind: set one of its fields")
    if kind == "null_value":
        return None
    if kind == "double_value" and not math.isfinite(message.double_value):
        raise InvalidRequest.of(field, "is not finite")
    if kind == "timestamp_value":
        return _instant(message.timestamp_value, field)
    if kind == "list_value":
        _check_depth(depth, field)
        return [to_value(each, f"{field}[{place}]", depth + 1) for place, each in enumerate(message.list_value.values)]
    if kind == "map_value":
        _check_depth(depth, field)
        return _map(message.map_value.fields, field, depth + 1)
    value: Value = getattr(message, kind)
    return value


def from_metadata(metadata: Mapping[str, Value]) -> dict[str, value_pb2.Value]:
    """What `to_metadata` reads back as the same metadata."""
    return {key: from_value(value) for key, value in metadata.items()}


def from_value(value: Value) -> value_pb2.Value:
    """One value as a message."""
    match value:
        case None:
            return value_pb2.Value(null_value=0)  # type: ignore[arg-type]
        case bool():
            return value_pb2.Value(bool_value=value)
        case int():
            return value_pb2.Value(int_value=value)
        case float():
            return value_pb2.Value(double_value=value)
        case str():
            return value_pb2.Value(string_value=value)
        case datetime():
            instant = Timestamp()
            instant.FromDatetime(value)
            return value_pb2.Value(timestamp_value=instant)
        case Mapping():
            return value_pb2.Value(map_value=value_pb2.MapValue(fields=from_metadata(value)))
        case Sequence():
            return value_pb2.Value(list_value=value_pb2.ListValue(values=[from_value(each) for each in value]))


def _map(fields: Mapping[str, value_pb2.Value], field: str, depth: int) -> dict[str, Value]:
    if "" in fields:
        raise InvalidRequest.of(field, "has an empty name")
    return {key: to_value(each, f'{field}["{key[:64]}"]', depth) for key, each in fields.items()}


def _instant(message: Timestamp, field: str) -> datetime:
    try:
        return message.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise InvalidRequest.of(field, "is not an instant between the years 1 and 9999") from None


def _check_depth(depth: int, field: str) -> None:
    if depth >= _DEEPEST:
        raise InvalidRequest.of(field, f"lists and maps nest more than {_DEEPEST} deep")
