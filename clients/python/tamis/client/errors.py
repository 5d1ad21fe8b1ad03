"""What a server refused, unpacked from its google.rpc.Status."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

__all__ = ["CallError", "FieldViolation", "typed_errors"]


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
        super().__init__(f"{code.name}: {message}")
        self.code = code
        self.message = message
        self.reason = reason
        self.metadata = metadata or {}
        self.violations = violations
        self.retry_after = retry_after

    @classmethod
    def of(cls, error: grpc.RpcError) -> CallError:
        """Unpacks what came with a status."""
        found = cls(error.code(), error.details() or "")
        trailers: Any = error.trailing_metadata() or ()
        for key, value in trailers:
            if key == "grpc-status-details-bin":
                found._unpack(value)
        return found

    def _unpack(self, packed: bytes) -> None:
        try:
            status = status_pb2.Status.FromString(packed)
        except DecodeError:
            return
        info, bad, retry = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
        for detail in status.details:
            if detail.Unpack(info):
                self.reason, self.metadata = info.reason, dict(info.metadata)
            elif detail.Unpack(bad):
                self.violations = tuple(FieldViolation(each.field, each.description) for each in bad.field_violations)
            elif detail.Unpack(retry):
                self.retry_after = retry.retry_delay.ToTimedelta().total_seconds()


@contextmanager
def typed_errors() -> Generator[None, None, None]:
    """Raises `CallError` in place of `grpc.RpcError`."""
    try:
        yield
    except grpc.RpcError as error:
        raise CallError.of(error) from error
