"""Puts a plugin server together: one service, health, reflection, a port with or without TLS."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from tamis.config import Config, PluginServerConfig, TenancyConfig
from tamis.errors import ConfigurationError
from tamis.hosting.host import PluginHost
from tamis.metrics import Metrics
from tamis.rpc.interceptor import Surroundings
from tamis.rpc.plugins import PluginServicer
from tamis.v1 import plugin_service_pb2, plugin_service_pb2_grpc

__all__ = ["SERVICE", "running_plugins"]

SERVICE = plugin_service_pb2.DESCRIPTOR.services_by_name["PluginService"].full_name
"""The name of the service, also for health."""

_GRACE = 5.0  # seconds that calls under way get at the end
_ON_THE_WAY = 0.2  # seconds until callers have heard of it, and what they had sent has come


@asynccontextmanager
async def running_plugins(config: Config) -> AsyncGenerator[str, None]:
    """Hosts the models and stages of a configuration for as long as the context lasts, at the address it gives.

    At the end it tells callers by its health to go elsewhere, and calls under way get five seconds. Raises
    `ConfigurationError` when it cannot start.
    """
    settings = config.plugin_server
    host = PluginHost(config)
    if not host.served():
        raise ConfigurationError("there is no model and no stage to serve", path=config.origin)
    await host.open()
    try:
        server = grpc.aio.server(
            options=[
                ("grpc.max_receive_message_length", settings.max_message_bytes),
                ("grpc.max_send_message_length", -1),
                ("grpc.so_reuseport", 0),
            ]
        )
        calls: Any = Surroundings(server, settings.max_concurrent_calls, TenancyConfig(), Metrics(), tells_id=False)
        plugin_service_pb2_grpc.add_PluginServiceServicer_to_server(PluginServicer(host), calls)
        readiness = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(readiness, server)
        for name in ("", SERVICE):
            await readiness.set(name, health_pb2.HealthCheckResponse.SERVING)
        reflection.enable_server_reflection((SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME), server)
        address = _bound(server, settings)
        await server.start()
        try:
            yield address
        finally:
            await readiness.enter_graceful_shutdown()
            await asyncio.sleep(_ON_THE_WAY)
            stopping = asyncio.ensure_future(server.stop(_GRACE))  # begins nothing more
            await asyncio.sleep(_ON_THE_WAY)
            await calls.idle(within=_GRACE)
            await server.stop(None)  # who watches its health would hold it up until the grace ends
            await stopping
    finally:
        await host.close()


def _bound(server: grpc.aio.Server, settings: PluginServerConfig) -> str:
    host = settings.listen.rpartition(":")[0]
    try:
        if settings.certificate_file is None or settings.key_file is None:
            return f"{host}:{server.add_insecure_port(settings.listen)}"
        authorities = None if settings.client_ca_file is None else _content(settings.client_ca_file)
        pair = (_content(settings.key_file), _content(settings.certificate_file))
        credentials = grpc.ssl_server_credentials([pair], authorities, require_client_auth=authorities is not None)
        return f"{host}:{server.add_secure_port(settings.listen, credentials)}"
    except RuntimeError:
        raise ConfigurationError(
            f"cannot listen on {settings.listen}: is it in use, or are certificate and key no pair?"
        ) from None


def _content(file: Path) -> bytes:
    try:
        return file.expanduser().read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be read: {error.strerror}") from error
