"""A server with the fakes in a forked process, that may be killed and started again where it was."""

from __future__ import annotations

import asyncio
import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import forked
from fake_plugins import write_distribution
from held_port import HeldPort

__all__ = ["ForkedServer"]

_PATIENCE = 60


class ForkedServer:
    """The server of one folder, one process after the other, at one address."""

    def __init__(self, folder: Path, stages: str) -> None:
        """`stages` and pipelines in TOML."""
        self._folder, self._stages = folder, stages
        self._process: Any = None
        self._port = HeldPort()
        self.address = self._port.address
        if not (folder / "site").exists():
            write_distribution(folder / "site")

    def start(self) -> None:
        """Returns once it listens."""
        context = forked.context()
        ours, theirs = context.Pipe()
        self._process = context.Process(target=_main, args=(self._folder, self.address, self._stages, theirs))
        self._process.start()
        theirs.close()
        assert ours.poll(_PATIENCE), "the server does not start"
        assert ours.recv() == self.address

    def kill(self) -> None:
        """As `kill -9` does; on return it is gone."""
        self._process.kill()
        self._process.join()

    @contextmanager
    def running(self) -> Iterator[ForkedServer]:
        """Started, and killed at the end."""
        self.start()
        try:
            yield self
        finally:
            self.kill()


def _main(folder: Path, address: str, stages: str, connection: Connection) -> None:
    for descriptor in (1, 2):
        os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
    sys.path.insert(0, str(folder / "site"))
    importlib.invalidate_caches()
    asyncio.run(_serve(folder, address, stages, connection))


async def _serve(folder: Path, address: str, stages: str, connection: Connection) -> None:
    from tamis.config import parse
    from tamis.rpc.app import running

    listen = f'listen = "{address}"\ndeadline_margin = 0.3'  # on a busy machine the way back takes long
    server = f'[server]\n{listen}\ndata_directory = "{folder / "data"}"\n'
    async with running(parse(f"{server}{stages}")) as found:
        connection.send(found.address)
        await asyncio.Event().wait()
