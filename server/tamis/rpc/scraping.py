"""Serves the metrics over HTTP, on a thread of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from prometheus_client import start_http_server

from tamis.errors import ConfigurationError
from tamis.metrics import Reading
from tamis.service import Tamis

__all__ = ["scraped"]

_PATIENCE = 5.0  # seconds that a scrape waits for the server


@asynccontextmanager
async def scraped(tamis: Tamis, listen: str) -> AsyncGenerator[str, None]:
    """Metrics at `http://ADDRESS/metrics` for as long as the context lasts; gives the address, empty when switched off.

    Raises `ConfigurationError` when the address is taken.
    """
    if not listen:
        yield ""
        return
    loop = asyncio.get_running_loop()

    def read() -> Reading:
        return asyncio.run_coroutine_threadsafe(tamis.reading(), loop).result(_PATIENCE)

    tamis.metrics.look_up(read)
    host, _, port = listen.rpartition(":")
    try:
        server, thread = start_http_server(int(port), host.strip("[]"), registry=tamis.metrics.registry)
    except OSError:
        raise ConfigurationError(f"cannot listen on {listen} for metrics: is it in use?") from None
    try:
        yield f"{host}:{server.server_port}"
    finally:
        await loop.run_in_executor(None, server.shutdown)
        server.server_close()
        await loop.run_in_executor(None, thread.join)
