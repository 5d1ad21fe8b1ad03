"""Says with every call for which tenant it is made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc

__all__ = ["TENANT_HEADER", "ForTenant"]

TENANT_HEADER = "x-tamis-tenant"
"""Where servers look for the tenant unless they are told another place."""


class _Details(grpc.ClientCallDetails):
    """A call's details with one more key."""

    def __init__(self, details: Any, key: str, value: str) -> None:
        self.method, self.timeout = details.method, details.timeout
        self.metadata = (*(details.metadata or ()), (key, value))
        self.credentials, self.wait_for_ready = details.credentials, details.wait_for_ready
        self.compression = details.compression


class ForTenant(
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamUnaryClientInterceptor,
    grpc.StreamStreamClientInterceptor,
):
    """Adds the tenant's id to the metadata of every call of a channel."""

    def __init__(self, header: str, tenant: str) -> None:
        self._header, self._tenant = header, tenant

    def intercept_unary_unary(self, continuation: Callable[..., Any], client_call_details: Any, request: Any) -> Any:
        """A call of one request and one response."""
        return continuation(self._details(client_call_details), request)

    def intercept_unary_stream(self, continuation: Callable[..., Any], client_call_details: Any, request: Any) -> Any:
        """A call that is answered bit by bit."""
        return continuation(self._details(client_call_details), request)

    def intercept_stream_unary(
        self, continuation: Callable[..., Any], client_call_details: Any, request_iterator: Any
    ) -> Any:
        """A call that is made bit by bit."""
        return continuation(self._details(client_call_details), request_iterator)

    def intercept_stream_stream(
        self, continuation: Callable[..., Any], client_call_details: Any, request_iterator: Any
    ) -> Any:
        """A call that is made and answered bit by bit."""
        return continuation(self._details(client_call_details), request_iterator)

    def _details(self, details: Any) -> _Details:
        return _Details(details, self._header, self._tenant)
