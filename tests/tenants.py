"""Clients of one server, each for a tenant of its own, and a server that knows them apart."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
from real_server import Client, Servers

__all__ = ["HEADER", "Tenants", "with_tenants"]

HEADER = "x-tamis-tenant"
_TENANCY = f'[tenancy]\nheader = "{HEADER}"\nrequired = false\n'


class _Sends(
    grpc.aio.UnaryUnaryClientInterceptor,
    grpc.aio.UnaryStreamClientInterceptor,
    grpc.aio.StreamStreamClientInterceptor,
):
    """Adds metadata to every call."""

    def __init__(self, *metadata: tuple[str, str]) -> None:
        self._metadata = metadata

    def _details(self, details: Any) -> grpc.aio.ClientCallDetails:
        metadata = grpc.aio.Metadata(*(details.metadata or ()), *self._metadata)
        return details._replace(metadata=metadata)

    async def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return await continuation(self._details(client_call_details), request)

    async def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return await continuation(self._details(client_call_details), request)

    async def intercept_stream_stream(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:
        return await continuation(self._details(client_call_details), request_iterator)


class Tenants:
    """A client for each tenant that is asked for; the empty one is the operator's."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._channels: list[grpc.aio.Channel] = []
        self._clients: dict[str, Client] = {}

    def __getitem__(self, tenant: str) -> Client:
        if tenant not in self._clients:
            self._clients[tenant] = self.sending(*([(HEADER, tenant)] if tenant else []))
        return self._clients[tenant]

    def sending(self, *metadata: tuple[str, str]) -> Client:
        """A client that sends just this."""
        options = [("grpc.max_receive_message_length", -1), ("grpc.use_local_subchannel_pool", 1)]
        channel = grpc.aio.insecure_channel(self._address, options=options, interceptors=_all(_Sends(*metadata)))
        self._channels.append(channel)
        return Client(channel, self._address)

    async def close(self) -> None:
        for each in self._channels:
            await each.close()


def _all(sends: _Sends) -> list[Any]:
    """gRPC takes an interceptor for the first of its kinds alone."""
    kinds = (
        (grpc.aio.UnaryUnaryClientInterceptor, "intercept_unary_unary"),
        (grpc.aio.UnaryStreamClientInterceptor, "intercept_unary_stream"),
        (grpc.aio.StreamStreamClientInterceptor, "intercept_stream_stream"),
    )
    return [type(name, (kind,), {name: staticmethod(getattr(sends, name))})() for kind, name in kinds]


@asynccontextmanager
async def with_tenants(servers: Servers, stages: str, tenancy: str = _TENANCY) -> AsyncIterator[Tenants]:
    """A server that takes tenants from `HEADER`."""
    async with servers.start(f"{stages}\n{tenancy}") as client:
        tenants = Tenants(client.address)
        try:
            yield tenants
        finally:
            await tenants.close()
