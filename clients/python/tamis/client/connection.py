"""How a client reaches a server: address, TLS, and what it says of itself with every call."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import grpc

from tamis.v1 import catalog_service_pb2_grpc, index_service_pb2_grpc, search_service_pb2_grpc

__all__ = ["TENANT_HEADER", "Connection", "Stamped", "Stubs", "Tls", "Token"]

TENANT_HEADER = "x-tamis-tenant"
"""Where servers look for the tenant unless they are told another place."""

Token: TypeAlias = str | Callable[[], str]
"""A bearer token, or what gives the one to use now; asked before each call, so it should be quick."""

_OPTIONS = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.initial_reconnect_backoff_ms", 100),  # a server that restarts is found again soon
    ("grpc.max_reconnect_backoff_ms", 5_000),
)


@dataclass(frozen=True, slots=True)
class Tls:
    """How the connection is secured; each is a path of a PEM file, or its bytes.

    Without `root_certificates` gRPC's own list of public authorities holds. `certificate_chain` and `private_key` prove
    who the client is, where the other side asks for that. `server_name` is checked in place of the address' host, as
    for a tunnel.
    """

    root_certificates: str | Path | bytes | None = None
    certificate_chain: str | Path | bytes | None = None
    private_key: str | Path | bytes | None = field(default=None, repr=False)
    server_name: str = ""

    def __post_init__(self) -> None:
        if (self.certificate_chain is None) != (self.private_key is None):
            raise ValueError("a certificate_chain and its private_key go together")

    def credentials(self) -> grpc.ChannelCredentials:
        """Reads the files. Raises `OSError`."""
        return grpc.ssl_channel_credentials(
            _pem(self.root_certificates), _pem(self.private_key), _pem(self.certificate_chain)
        )


@dataclass(frozen=True, slots=True)
class Connection:
    """Where a server is and what is sent with every call."""

    address: str
    tls: Tls | None = None
    token: Token = field(default="", repr=False)
    metadata: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    @classmethod
    def of(
        cls, address: str, tls: Tls | bool, token: Token, tenant: str, tenant_header: str, metadata: Mapping[str, str]
    ) -> Connection:
        """From what `Client` takes. Raises `ValueError` for a token that would travel in the clear."""
        secured = Tls() if tls is True else tls or None
        if token and secured is None and not _is_loopback(address):
            raise ValueError("a token needs TLS, or whoever is on the way could read it: pass tls=True or a Tls")
        pairs = [(key.lower(), value) for key, value in metadata.items()]
        if tenant:
            pairs.append((tenant_header.lower(), tenant))
        return cls(address, secured, token, tuple(pairs))

    def channel(self) -> grpc.Channel:
        """A channel that blocks. Connects when first used."""
        if self.tls is None:
            return grpc.insecure_channel(self.address, options=self._options)
        return grpc.secure_channel(self.address, self.tls.credentials(), options=self._options)

    def aio_channel(self) -> grpc.aio.Channel:
        """A channel of the event loop that runs. Connects when first used."""
        if self.tls is None:
            return grpc.aio.insecure_channel(self.address, options=self._options)
        return grpc.aio.secure_channel(self.address, self.tls.credentials(), options=self._options)

    def stamps(self) -> tuple[tuple[str, str], ...]:
        """The metadata of a call that begins now."""
        token = self.token() if callable(self.token) else self.token
        return (*self.metadata, ("authorization", f"Bearer {token}")) if token else self.metadata

    @property
    def _options(self) -> list[tuple[str, Any]]:
        name = self.tls.server_name if self.tls else ""
        return [*_OPTIONS, *([("grpc.ssl_target_name_override", name)] if name else [])]


class Stamped:
    """A channel of either kind, as far as generated stubs need one, that adds metadata to every call."""

    def __init__(self, channel: Any, stamps: Callable[[], Iterable[tuple[str, str]]]) -> None:
        self._channel, self._stamps = channel, stamps

    def unary_unary(self, *arguments: Any, **options: Any) -> Any:
        """One request, one response."""
        return _StampedCall(self._channel.unary_unary(*arguments, **options), self._stamps)

    def unary_stream(self, *arguments: Any, **options: Any) -> Any:
        """Answered bit by bit."""
        return _StampedCall(self._channel.unary_stream(*arguments, **options), self._stamps)

    def stream_unary(self, *arguments: Any, **options: Any) -> Any:
        """Made bit by bit."""
        return _StampedCall(self._channel.stream_unary(*arguments, **options), self._stamps)

    def stream_stream(self, *arguments: Any, **options: Any) -> Any:
        """Made and answered bit by bit."""
        return _StampedCall(self._channel.stream_stream(*arguments, **options), self._stamps)


class _StampedCall:
    """What gRPC calls a multi-callable."""

    def __init__(self, call: Any, stamps: Callable[[], Iterable[tuple[str, str]]]) -> None:
        self._call, self._stamps = call, stamps

    def __call__(self, request: Any, timeout: float | None = None, metadata: Any = None, **options: Any) -> Any:
        return self._call(request, timeout=timeout, metadata=self._all(metadata), **options)

    def future(self, request: Any, timeout: float | None = None, metadata: Any = None, **options: Any) -> Any:
        return self._call.future(request, timeout=timeout, metadata=self._all(metadata), **options)

    def with_call(self, request: Any, timeout: float | None = None, metadata: Any = None, **options: Any) -> Any:
        return self._call.with_call(request, timeout=timeout, metadata=self._all(metadata), **options)

    def _all(self, metadata: Any) -> tuple[tuple[str, str], ...]:
        return (*self._stamps(), *(metadata or ()))


class Stubs:
    """The generated stubs of all services on one channel: messages in and out, no retries, no default deadlines.

    They raise `grpc.RpcError`; `tamis.client.errors.typed_errors` makes it a `CallError`.
    """

    def __init__(self, channel: Any) -> None:
        self.search = search_service_pb2_grpc.SearchServiceStub(channel)
        self.index = index_service_pb2_grpc.IndexServiceStub(channel)
        self.catalog = catalog_service_pb2_grpc.CatalogServiceStub(channel)


def _pem(source: str | Path | bytes | None) -> bytes | None:
    return source if source is None or isinstance(source, bytes) else Path(source).read_bytes()


def _is_loopback(address: str) -> bool:
    if address.startswith(("unix:", "unix-abstract:")):
        return True
    host = address.removeprefix("dns:///").rpartition(":")[0].strip("[]")
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
