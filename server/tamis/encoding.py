"""Metadata and landmarks as JSON and back, without loss: int stays int, float stays float, instants stay instants."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from tamis.model import Heading, Landmark, PageBreak, Value

__all__ = ["decode", "decode_landmarks", "encode", "encode_landmarks"]


def encode(metadata: Mapping[str, Value]) -> str:
    """JSON text, the same for equal metadata whatever the order of its keys."""
    return json.dumps(
        {key: _encoded(value) for key, value in metadata.items()},
        ensure_ascii=False,
        allow_nan=False,
        sort_keys=True,
        separators=(",", ":"),
    )


def decode(text: str) -> dict[str, Value]:
    """The metadata that `encode` was given."""
    if text == "{}":
        return {}
    return {key: _decoded(value) for key, value in json.loads(text).items()}


def encode_landmarks(landmarks: Sequence[Landmark]) -> str:
    """JSON text: `[start, page]` for a page, `[start, level, text]` for a heading."""
    rows = [
        [each.start, each.page] if isinstance(each, PageBreak) else [each.start, each.level, each.text]
        for each in landmarks
    ]
    return json.dumps(rows, ensure_ascii=False, separators=(",", ":"))


def decode_landmarks(text: str) -> tuple[Landmark, ...]:
    """The landmarks that `encode_landmarks` was given."""
    return tuple(_landmark(*row) for row in json.loads(text))


def _landmark(start: int, number: int, heading: str | None = None) -> Landmark:
    return PageBreak(start, number) if heading is None else Heading(start, heading, number)


def _encoded(value: Value) -> Any:
    """Maps and instants are tagged, so that neither can be taken for the other."""
    if isinstance(value, datetime):
        return {"time": value.isoformat()}
    if isinstance(value, Mapping):
        return {"map": {key: _encoded(each) for key, each in value.items()}}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_encoded(each) for each in value]
    return value


def _decoded(value: Any) -> Value:
    if isinstance(value, list):
        return [_decoded(each) for each in value]
    if isinstance(value, dict):
        if "time" in value:
            return datetime.fromisoformat(value["time"])
        return {key: _decoded(each) for key, each in value["map"].items()}
    scalar: Value = value
    return scalar
