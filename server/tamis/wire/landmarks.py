"""Headings and page breaks to and from `tamis.v1.Landmark`."""

from __future__ import annotations

from collections.abc import Sequence

from tamis.errors import InvalidRequest
from tamis.model import Heading, Landmark, PageBreak
from tamis.v1 import passage_pb2
from tamis.wire.checks import bounded_text

__all__ = ["from_landmarks", "to_landmarks"]

_MOST = 100_000
_MOST_HEADING = 1_024
_DEEPEST = 9


def to_landmarks(messages: Sequence[passage_pb2.Landmark], text: str, field: str) -> tuple[Landmark, ...]:
    """The landmarks of `text`. Raises `InvalidRequest` with the path of the first that does not fit it."""
    if not messages:
        return ()
    if len(messages) > _MOST:
        raise InvalidRequest.of(field, f"holds {len(messages):,} landmarks; at most {_MOST:,} are allowed")
    data, found, before = text.encode(), list[Landmark](), 0
    for place, message in enumerate(messages):
        path = f"{field}[{place}]"
        if not before <= message.start <= len(data):
            description = f"is {message.start}; starts rise, from 0 to the text's {len(data):,} bytes"
            raise InvalidRequest.of(f"{path}.start", description)
        if message.start < len(data) and data[message.start] & 0xC0 == 0x80:
            raise InvalidRequest.of(f"{path}.start", "cuts a character")
        before = message.start
        found.append(_landmark(message, path))
    return tuple(found)


def from_landmarks(landmarks: Sequence[Landmark]) -> list[passage_pb2.Landmark]:
    """What `to_landmarks` reads back as the same landmarks."""
    return [
        passage_pb2.Landmark(start=each.start, page=each.page)
        if isinstance(each, PageBreak)
        else passage_pb2.Landmark(start=each.start, heading=passage_pb2.Heading(text=each.text, level=each.level))
        for each in landmarks
    ]


def _landmark(message: passage_pb2.Landmark, field: str) -> Landmark:
    match message.WhichOneof("kind"):
        case "page":
            if message.page < 1:
                raise InvalidRequest.of(f"{field}.page", f"is {message.page}; pages count from 1")
            return PageBreak(message.start, message.page)
        case "heading":
            text, level = message.heading.text, message.heading.level
            bounded_text(text, f"{field}.heading.text", most_bytes=_MOST_HEADING)
            if not text.strip():
                raise InvalidRequest.of(f"{field}.heading.text", "is required")
            if not 1 <= level <= _DEEPEST:
                raise InvalidRequest.of(f"{field}.heading.level", f"is {level}; it is 1 to {_DEEPEST}")
            return Heading(message.start, text, level)
    raise InvalidRequest.of(field, "has no kind: set one of its fields")
