"""What a server refused, unpacked from its google.rpc.Status: one exception class for each family of reasons.

CallError
├── InvalidRequest       INVALID_ARGUMENT     INVALID_REQUEST, INVALID_EXPRESSION, MALFORMED_MESSAGE
├── Unauthenticated      UNAUTHENTICATED
├── PermissionDenied     PERMISSION_DENIED
├── NotFound             NOT_FOUND
├── AlreadyExists        ALREADY_EXISTS       also a request id that another request had
├── FailedPrecondition   FAILED_PRECONDITION
├── Overloaded           RESOURCE_EXHAUSTED   OVERLOADED: see `retry_after`
├── Unavailable          UNAVAILABLE          UNAVAILABLE, INDEX_BEHIND; without a reason no server answered
├── DeadlineExceeded     DEADLINE_EXCEEDED    without a reason the deadline passed on the way
├── Cancelled            CANCELLED            the client was closed, or the call was ended
├── DataLoss             DATA_LOSS            JOURNAL_DAMAGED
└── ServerError          INTERNAL, UNKNOWN    a bug; `metadata["request_id"]` is what to look up in the server's log
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

__all__ = [
    "AlreadyExists",
    "CallError",
    "Cancelled",
    "DataLoss",
    "DeadlineExceeded",
    "FailedPrecondition",
    "FieldViolation",
    "InvalidRequest",
    "NotFound",
    "Overloaded",
    "PermissionDenied",
    "ServerError",
    "Unauthenticated",
    "Unavailable",
    "error_of",
    "typed_errors",
]


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One wrong field of the request: its path, and what is allowed."""

    field: str
    description: str


class CallError(Exception):
    """A call that ended with another status than OK.

    `reason` is stable and made for programs (`NOT_FOUND`); it is empty when the failure did not come from Tamis, as
    when no server answered. `retry_after` counts seconds; None means that waiting does not help.
    """

    def __init__(
        self,
        code: grpc.StatusCode,
        message: str,
        reason: str = "",
        metadata: dict[str, str] | None = None,
        violations: tuple[FieldViolation, ...] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(code, message, reason, metadata, violations, retry_after)  # a pickle is made of these
        self.code = code
        self.message = message
        self.reason = reason
        self.metadata = metadata or {}
        self.violations = violations
        self.retry_after = retry_after

    def __str__(self) -> str:
        return f"{self.code.name}: {self.message}"


class InvalidRequest(CallError):
    """The request can never succeed as it is; `violations` name the fields and what they may hold."""


class Unauthenticated(CallError):
    """The call does not say, in a way that the server takes, for whom it is made."""


class PermissionDenied(CallError):
    """Only an operator may do this."""


class NotFound(CallError):
    """`metadata` has the `kind` and the `name` of what there is not."""


class AlreadyExists(CallError):
    """There is something of that name, or another request had this request id."""


class FailedPrecondition(CallError):
    """Something else has to be done, or to end, first."""


class Overloaded(CallError):
    """The server is full and has not begun; `retry_after` says when to try again."""


class Unavailable(CallError):
    """No server answers, or a part that the call cannot do without does not."""


class DeadlineExceeded(CallError):
    """The deadline passed. What the call was to change may have been changed all the same."""


class Cancelled(CallError):
    """The call was ended from this side."""


class DataLoss(CallError):
    """The server's journal is damaged; only a backup helps."""


class ServerError(CallError):
    """A bug of the server, or something on the way that is no Tamis server."""


_CODES = {each.value[0]: each for each in grpc.StatusCode}
_FAMILIES: dict[grpc.StatusCode, type[CallError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidRequest,
    grpc.StatusCode.OUT_OF_RANGE: InvalidRequest,
    grpc.StatusCode.UNAUTHENTICATED: Unauthenticated,
    grpc.StatusCode.PERMISSION_DENIED: PermissionDenied,
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.ALREADY_EXISTS: AlreadyExists,
    grpc.StatusCode.FAILED_PRECONDITION: FailedPrecondition,
    grpc.StatusCode.RESOURCE_EXHAUSTED: Overloaded,
    grpc.StatusCode.UNAVAILABLE: Unavailable,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceeded,
    grpc.StatusCode.CANCELLED: Cancelled,
    grpc.StatusCode.DATA_LOSS: DataLoss,
}


def error_of(
    code: grpc.StatusCode | int,
    message: str,
    reason: str = "",
    metadata: dict[str, str] | None = None,
    violations: tuple[FieldViolation, ...] = (),
    retry_after: float | None = None,
) -> CallError:
    """An error of the family that its code belongs to."""
    known = _CODES.get(code, grpc.StatusCode.UNKNOWN) if isinstance(code, int) else code
    family = _FAMILIES.get(known, ServerError)
    return family(known, message, reason, metadata, violations, retry_after)


def unpacked(error: grpc.RpcError) -> CallError:
    """What gRPC raised, with the details that came with the status."""
    raised: Any = error
    reason, metadata, violations, retry_after = "", dict[str, str](), tuple[FieldViolation, ...](), None
    info, bad, retry = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
    for detail in _details(raised.trailing_metadata() or ()):
        if detail.Unpack(info):
            reason, metadata = info.reason, dict(info.metadata)
        elif detail.Unpack(bad):
            violations = tuple(FieldViolation(each.field, each.description) for each in bad.field_violations)
        elif detail.Unpack(retry):
            retry_after = retry.retry_delay.ToTimedelta().total_seconds()
    return error_of(raised.code(), raised.details() or "", reason, metadata, violations, retry_after)


def _details(trailers: Any) -> list[Any]:
    packed = next((value for key, value in trailers if key == "grpc-status-details-bin"), b"")
    try:
        return list(status_pb2.Status.FromString(packed).details)
    except DecodeError:
        return []


@contextmanager
def typed_errors() -> Generator[None, None, None]:
    """Raises `CallError` in place of `grpc.RpcError`, around the raw stubs of `Client.stubs`."""
    try:
        yield
    except grpc.RpcError as error:
        raise unpacked(error) from error
