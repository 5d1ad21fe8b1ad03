"""A whole server in a process that was forked for it: hundreds can be killed."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path

from faults import points

from tamis.cli.serve import LogFormat, configure_logs
from tamis.config import load
from tamis.journal import Follower
from tamis.rpc.app import running

__all__ = ["serve"]

HERE = Path(__file__).parent


def serve(folder: Path, connection: Connection, deaths: Sequence[points.Death], listen: str = "127.0.0.1:0") -> None:
    """Serves `folder`: `tamis.toml`, `data`, `site` with the plugins of tests, `log`; sends its address."""
    log = os.open(folder / "log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.dup2(log, 2)
    sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
    sys.path.insert(0, str(folder / "site"))
    os.environ["PYTHONPATH"] = str(HERE / "site")  # what the processes of plugins begin with
    os.environ["TAMIS_TEST_DEATHS"] = points.encoded(deaths)
    points.install(deaths)
    configure_logs(LogFormat.JSON)
    asyncio.run(_serve(folder, connection, listen))


async def _serve(folder: Path, connection: Connection, listen: str) -> None:
    config = load(folder / "tamis.toml").with_server(listen=listen, data_directory=str(folder / "data"))
    loop = asyncio.get_running_loop()
    async with running(config) as server:
        connection.send(server.address)
        while await loop.run_in_executor(None, connection.recv) == "held":
            connection.send(await server.tamis._loop.run(_held))


async def _held() -> dict[tuple[str, str], list[tuple[str, int]]]:
    """What each index that follows the journal holds, asked of the index itself, by collection and stage."""
    followers = [each for each in gc.get_objects() if isinstance(each, Follower) and not each._task.done()]
    return {
        (each.collection, each.stage): sorted([identity async for identity in each.index.ids()]) for each in followers
    }
