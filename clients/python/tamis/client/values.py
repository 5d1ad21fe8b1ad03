"""Metadata values to and from `tamis.v1.Value`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TypeAlias

from google.protobuf.timestamp_pb2 import Timestamp

from tamis.v1 import value_pb2

__all__ = ["Value", "from_metadata", "from_value", "to_metadata", "to_value"]

Value: TypeAlias = None | bool | int | float | str | datetime | Sequence["Value"] | Mapping[str, "Value"]
"""What metadata may hold. Integers have 64 bits, floats are finite, times have a zone; lists and maps may nest."""

_MOST = 1 << 63


def from_metadata(metadata: Mapping[str, Value]) -> dict[str, value_pb2.Value]:
    """Each value as a message. Raises `TypeError` or `ValueError`."""
    return {key: from_value(value) for key, value in metadata.items()}


def from_value(value: Value) -> value_pb2.Value:
    """One value as a message. Raises `TypeError` or `ValueError` for what the server would refuse."""
    match value:
        case None:
            return value_pb2.Value(null_value=0)  # type: ignore[arg-type]
        case bool():
            return value_pb2.Value(bool_value=value)
        case int():
            if not -_MOST <= value < _MOST:
                raise ValueError("an integer has more than 64 bits; write it as a string")
            return value_pb2.Value(int_value=value)
        case float():
            if not math.isfinite(value):
                raise ValueError(f"{value} is no value: a float must be finite")
            return value_pb2.Value(double_value=value)
        case str():
            return value_pb2.Value(string_value=value)
        case datetime():
            if value.tzinfo is None:
                raise ValueError("a time has no zone; give it one, such as tzinfo=datetime.UTC")
            instant = Timestamp()
            instant.FromDatetime(value)
            return value_pb2.Value(timestamp_value=instant)
        case Mapping():
            return value_pb2.Value(map_value=value_pb2.MapValue(fields=from_metadata(value)))
        case list() | tuple():
            return value_pb2.Value(list_value=value_pb2.ListValue(values=[from_value(each) for each in value]))
    raise TypeError(f"a {type(value).__name__} is no value: None, bool, int, float, str, datetime, list, dict are")


def to_metadata(fields: Mapping[str, value_pb2.Value]) -> dict[str, Value]:
    """What `from_metadata` took; times in UTC."""
    return {key: to_value(each) for key, each in fields.items()}


def to_value(message: value_pb2.Value) -> Value:
    """What `from_value` took; None for a kind of value that this client does not know."""
    kind = message.WhichOneof("kind")
    if kind is None or kind == "null_value":
        return None
    if kind == "timestamp_value":
        return message.timestamp_value.ToDatetime(tzinfo=UTC)
    if kind == "list_value":
        return [to_value(each) for each in message.list_value.values]
    if kind == "map_value":
        return to_metadata(message.map_value.fields)
    found: Value = getattr(message, kind)
    return found
