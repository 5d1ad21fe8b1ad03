"""Puts the server together: services, health, reflection, a port."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from tamis.config import Config
from tamis.errors import ConfigurationError
from tamis.rpc.catalog import CatalogServicer
from tamis.rpc.index import IndexServicer
from tamis.rpc.interceptor import Surroundings
from tamis.rpc.scraping import scraped
from tamis.rpc.search import SearchServicer
from tamis.service import Tamis
from tamis.v1 import (
    catalog_service_pb2,
    catalog_service_pb2_grpc,
    index_service_pb2,
    index_service_pb2_grpc,
    search_service_pb2,
    search_service_pb2_grpc,
)

__all__ = ["RunningServer", "running"]

_SERVICES = (
    search_service_pb2.DESCRIPTOR.services_by_name["SearchService"].full_name,
    index_service_pb2.DESCRIPTOR.services_by_name["IndexService"].full_name,
    catalog_service_pb2.DESCRIPTOR.services_by_name["CatalogService"].full_name,
)
_GRACE = 5.0  # seconds that calls under way get at the end


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A server that takes calls at `address`, `HOST:PORT`, and serves metrics at another, unless that is empty."""

    address: str
    tamis: Tamis
    metrics_address: str = ""


@asynccontextmanager
async def running(config: Config) -> AsyncGenerator[RunningServer, None]:
    """A server for as long as the context lasts; calls under way at its end get five seconds.

    Port 0 takes any free port. Raises `ConfigurationError` when it cannot start.
    """
    tamis = Tamis(config)
    await tamis.open()
    try:
        server = _server(config)
        calls: Any = Surroundings(server, config.server.max_concurrent_calls, config.tenancy, tamis.metrics)
        search_service_pb2_grpc.add_SearchServiceServicer_to_server(SearchServicer(tamis), calls)
        index_service_pb2_grpc.add_IndexServiceServicer_to_server(IndexServicer(tamis), calls)
        catalog_service_pb2_grpc.add_CatalogServiceServicer_to_server(CatalogServicer(tamis), calls)
        readiness = await _add_standard_services(server)
        address = _bound(server, config.server.listen)
        async with scraped(tamis, config.server.metrics_listen) as metrics_address:
            await server.start()
            try:
                yield RunningServer(address, tamis, metrics_address)
            finally:
                await readiness.enter_graceful_shutdown()
                await server.stop(_GRACE)
    finally:
        await tamis.close()


def _server(config: Config) -> grpc.aio.Server:
    return grpc.aio.server(
        options=[
            ("grpc.max_receive_message_length", config.server.max_message_bytes),
            ("grpc.max_send_message_length", -1),
            ("grpc.so_reuseport", 0),  # a second server on the same port is an error, not a coin toss
        ],
    )


async def _add_standard_services(server: grpc.aio.Server) -> health.aio.HealthServicer:
    readiness = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(readiness, server)
    for name in ("", *_SERVICES):
        await readiness.set(name, health_pb2.HealthCheckResponse.SERVING)
    reflection.enable_server_reflection((*_SERVICES, health.SERVICE_NAME, reflection.SERVICE_NAME), server)
    return readiness


def _bound(server: grpc.aio.Server, listen: str) -> str:
    host = listen.rpartition(":")[0]
    try:
        return f"{host}:{server.add_insecure_port(listen)}"
    except RuntimeError:
        raise ConfigurationError(f"cannot listen on {listen}: is it in use?") from None
