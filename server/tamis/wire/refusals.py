"""Statuses of calls that Tamis makes, as the errors that they tell of."""

from __future__ import annotations

from typing import Any

from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from tamis.errors import (
    ConfigurationError,
    DeadlineExceeded,
    FieldViolation,
    InvalidRequest,
    NotFound,
    Overloaded,
    Superseded,
    TamisError,
    Unavailable,
    Unusable,
)
from tamis.hosting.description import FingerprintChanged, IndexBehindCaller, NotOffered, UnsupportedContract

__all__ = ["to_error"]

_DOMAIN = "tamis"
_DEADLINE_EXCEEDED, _RESOURCE_EXHAUSTED, _UNIMPLEMENTED, _UNAVAILABLE = 4, 8, 12, 14
_OF_THE_REQUEST = frozenset({2, 3, 11, 13})  # UNKNOWN, INVALID_ARGUMENT, OUT_OF_RANGE, INTERNAL


def to_error(code: int, message: str, packed: bytes | None, *, where: str) -> TamisError:
    """The error behind a status other than OK; `packed` is its google.rpc.Status, where one came.

    The same error that the other side raised, as far as it is known here. Otherwise the code counts: a plain
    `TamisError` where the request may be to blame, else `Overloaded` or `Unavailable`; their messages have nothing of
    what the other side says. `where` says for people who was asked.
    """
    info, violations, retry_after = _details(packed)
    if info is not None and info.reason == TamisError.reason:
        return TamisError(f"{where} failed; its log says how")
    if info is not None and (known := _known(info, message, violations, retry_after)) is not None:
        return known
    if code == _DEADLINE_EXCEEDED:
        return DeadlineExceeded(f"{where} was not done in time")
    if code == _UNAVAILABLE:
        return Unavailable(f"{where} cannot be reached")
    if code == _RESOURCE_EXHAUSTED:
        return Overloaded(f"{where} takes no more now", retry_after=retry_after or 1.0)
    if code == _UNIMPLEMENTED:
        return NotOffered(f"{where} does not serve this call")
    if code in _OF_THE_REQUEST:
        return TamisError(f"{where} fails with code {code}")
    return Unavailable(f"{where} does not serve this call: code {code}")


def _known(info: Any, message: str, violations: list[FieldViolation], retry_after: float | None) -> TamisError | None:
    metadata = dict(info.metadata)
    match info.reason:
        case Overloaded.reason:
            return Overloaded(message, retry_after=retry_after, metadata=metadata)
        case Unavailable.reason:
            return Unavailable(message, metadata=metadata)
        case InvalidRequest.reason:
            return InvalidRequest(*(violations or [FieldViolation("", message)]))
        case NotFound.reason:
            found = NotFound(metadata.get("kind", ""), metadata.get("name", ""))
            found.message, found.args = message, (message,)
            return found
        case ConfigurationError.reason:
            return ConfigurationError(message)
        case Unusable.reason:
            return Unusable(metadata.get("document_id", ""), message)
        case Superseded.reason:
            return Superseded(message, metadata=metadata)
        case FingerprintChanged.reason:
            return FingerprintChanged(message, metadata=metadata)
        case IndexBehindCaller.reason:
            return IndexBehindCaller(message, metadata=metadata)
        case UnsupportedContract.reason:
            found_version = UnsupportedContract()
            found_version.message, found_version.metadata = message, metadata
            return found_version
    return None


def _details(packed: bytes | None) -> tuple[Any, list[FieldViolation], float | None]:
    info, violations, retry_after = None, list[FieldViolation](), None
    try:
        status = status_pb2.Status.FromString(packed or b"")
    except DecodeError:
        return None, [], None
    for detail in status.details:
        named, bad, retry = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
        if detail.Unpack(named):
            info = named if named.domain == _DOMAIN else None
        elif detail.Unpack(bad):
            violations += [FieldViolation(each.field, each.description) for each in bad.field_violations]
        elif detail.Unpack(retry):
            retry_after = retry.retry_delay.seconds + retry.retry_delay.nanos / 1e9
    return info, violations, retry_after
