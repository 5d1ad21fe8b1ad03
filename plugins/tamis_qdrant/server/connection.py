"""The connection to a Qdrant server: its key, its deadlines, and what its refusals mean."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Protocol, TypeVar

import grpc
from qdrant_client import grpc as api

from tamis.context import CallEnded
from tamis.deadline import Deadline
from tamis.errors import ConfigurationError, Overloaded, Unavailable
from tamis_qdrant.address import Address

__all__ = ["Connection", "Missing", "Refused", "whole_seconds"]

Request = TypeVar("Request", contravariant=True)
Response = TypeVar("Response", covariant=True)

_OPTIONS = [
    ("grpc.max_receive_message_length", 64 << 20),
    ("grpc.max_send_message_length", -1),
    # A server that comes back is found again within two seconds; by default it may take two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    # Whoever vanishes without a word is noticed, also by a write that waits for an answer.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
]


class Refused(Unavailable):
    """The server will go on refusing until somebody changes the configuration."""


class Missing(Unavailable):
    """The Qdrant collection is not there."""


class _Method(Protocol[Request, Response]):
    def __call__(self, request: Request, *, timeout: float | None, metadata: Any) -> Awaitable[Response]: ...


class Connection:
    """Asks a server over one channel, which finds it again when it was away.

    The stubs rather than the client library: its timeouts are whole seconds.
    """

    def __init__(self, address: Address, key: str, ca_file: Path | None = None) -> None:
        """Connects at the first call. Must be made on the event loop that uses it."""
        self.address = address
        self._metadata = (("api-key", key),) if key else ()
        if address.tls:
            roots = None if ca_file is None else _read(ca_file)
            self._channel = grpc.aio.secure_channel(address.target, grpc.ssl_channel_credentials(roots), _OPTIONS)
        else:
            self._channel = grpc.aio.insecure_channel(address.target, _OPTIONS)
        self.collections: Any = api.CollectionsStub(self._channel)
        self.points: Any = api.PointsStub(self._channel)

    async def ask(self, method: Callable[..., Any], request: Any, deadline: Deadline) -> Any:
        """The answer, which the client waits for until the deadline and not longer; cancelling ends the call there too.

        Raises `CallEnded` when the deadline passes, `Overloaded`, `Missing`, `Refused` or `Unavailable`.
        Nothing the server says is in their api.
        """
        if deadline.passed:
            raise CallEnded
        timeout = None if math.isinf(deadline.at) else deadline.remaining
        try:
            return await method(request, timeout=timeout, metadata=self._metadata)
        except grpc.aio.AioRpcError as error:
            failure = self._failure(error)
        raise failure

    async def close(self) -> None:
        """Ends every call under way."""
        await self._channel.close()

    def _failure(self, error: grpc.aio.AioRpcError) -> Exception:
        code, words = error.code(), (error.details() or "").lower()
        where = f"the Qdrant server at {self.address}"
        if code is grpc.StatusCode.DEADLINE_EXCEEDED:
            return CallEnded()
        if code in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED):
            return Refused(f"{where} refuses the key" if self._metadata else f"{where} wants a key: set api_key_file")
        if _is_no_grpc(code, words):
            return Refused(f"{where} does not speak gRPC; Qdrant's gRPC port is 6334, 6333 is its REST port")
        if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
            return Overloaded(f"{where} refuses more for now")
        if code is grpc.StatusCode.NOT_FOUND:
            return Missing(f"{where} has no such collection")
        if code is grpc.StatusCode.UNAVAILABLE:
            return Unavailable(f"{where} cannot be reached")
        return Unavailable(f"{where} answers {code.name}")


def whole_seconds(deadline: Deadline) -> int | None:
    """As the server's own limit: rounded up, so that it never gives up before the client; None without a deadline."""
    return None if math.isinf(deadline.at) else max(1, math.ceil(deadline.remaining))


def _is_no_grpc(code: grpc.StatusCode, words: str) -> bool:
    """What gRPC says when HTTP/1, or a web page, answers; but a proxy whose server is away may yet find it."""
    if code is grpc.StatusCode.UNAVAILABLE:
        return "http1.x" in words
    return "content-type" in words or "http2 header with status" in words


def _read(ca_file: Path) -> bytes:
    try:
        return ca_file.expanduser().read_bytes()
    except OSError as error:
        raise ConfigurationError(f"ca_file: {ca_file}: {error.strerror}") from error
