"""Turns an error into a google.rpc.Status with exactly one ErrorInfo."""

from __future__ import annotations

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from tamis.errors import TamisError
from tamis.wire.passages import from_seconds

__all__ = ["DOMAIN", "code_of", "to_status"]

DOMAIN = "tamis"
_LONGEST_TEXT = 400  # details travel in a header, of which clients take 8 KiB by default
_MOST_VIOLATIONS = 8
_CODES = {code.value[0]: code for code in grpc.StatusCode}


def code_of(error: TamisError) -> grpc.StatusCode:
    """The status code an error class is answered with."""
    return _CODES[error.code.value]


def to_status(error: TamisError) -> status_pb2.Status:
    """Code, message, one ErrorInfo, and BadRequest or RetryInfo where they apply; long texts are cut."""
    details: list[Message] = [
        error_details_pb2.ErrorInfo(
            reason=error.reason,
            domain=DOMAIN,
            metadata={key: _cut(value) for key, value in error.metadata.items()},
        )
    ]
    if error.violations:
        violations = [
            error_details_pb2.BadRequest.FieldViolation(field=_cut(each.field), description=_cut(each.description))
            for each in error.violations[:_MOST_VIOLATIONS]
        ]
        details.append(error_details_pb2.BadRequest(field_violations=violations))
    if error.retry_after is not None:
        details.append(error_details_pb2.RetryInfo(retry_delay=from_seconds(error.retry_after)))
    return status_pb2.Status(
        code=error.code.value, message=_cut(error.message), details=[_packed(each) for each in details]
    )


def _packed(message: Message) -> AnyMessage:
    packed = AnyMessage()
    packed.Pack(message)
    return packed


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_TEXT else f"{text[: _LONGEST_TEXT - 1]}…"
