"""A server for tests that kill it. Arguments: its data folder, its configuration."""

import asyncio
import sys
from pathlib import Path

import structlog

from tamis.config import load
from tamis.rpc.app import running


async def _serve() -> None:
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))  # the address alone is read
    config = load(Path(sys.argv[2])).with_server(listen="127.0.0.1:0", data_directory=sys.argv[1])
    async with running(config) as server:
        print(server.address, flush=True)
        await asyncio.Event().wait()


asyncio.run(_serve())
