"""The indexes that hosted components keep: opened when first asked for, each written by one caller at a time."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import structlog

from tamis.errors import ConfigurationError, InvalidRequest, NotFound, Superseded, TamisError
from tamis.hosting.description import IndexBehindCaller
from tamis.indexes import put_aside
from tamis.model import Change
from tamis.stage import HasIndex, Index

__all__ = ["HostedIndex", "HostedIndexes"]

_LOG = structlog.get_logger(__name__)
_KEY = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,199}")


class HostedIndex:
    """One index of a component, in a folder of its own: `index` beside the `epoch` in which it is written.

    Its component knows the collection by the index's key. What was lost with the folder is told to the caller, who then
    applies everything anew.
    """

    def __init__(self, component: HasIndex, key: str, directory: Path, language: str) -> None:
        self._component, self._key, self._directory, self._language = component, key, directory, language
        self._index: Index | None = None
        self._changing = asyncio.Lock()

    async def opened(self, *, make: bool) -> Index:
        """The index itself; without `make` only one that is there. Raises `NotFound`, `ConfigurationError`."""
        async with self._changing:
            return await self._opened(make=make)

    async def checkpoint(self) -> int:
        """Up to where everything is durable; the index is made if need be."""
        async with self._changing:
            return await (await self._opened()).checkpoint()

    async def take_over(self, epoch: int) -> int:
        """Begins an epoch, once what is under way is done. Raises `Superseded`."""
        async with self._changing:
            index = await self._opened()
            if epoch < self._epoch():
                raise _superseded()
            self._write_epoch(epoch)
            return await index.checkpoint()

    async def apply(self, changes: Sequence[Change], *, upto: int, epoch: int, known: int) -> None:
        """As `Index.apply`. Raises `Superseded`, and `IndexBehindCaller` when it has not got as far as `known`."""
        async with self._changing:
            index = await self._opened()
            if epoch < self._epoch():
                raise _superseded()
            if (reached := await index.checkpoint()) < known:
                raise IndexBehindCaller(f"the index is at {reached}, not at {known}: it was lost")
            await index.apply(changes, upto=upto)

    async def ids(self) -> AsyncIterator[tuple[str, int]]:
        """Every passage that is held, with its document's version."""
        async for each in (await self.opened(make=True)).ids():
            yield each

    async def drop(self) -> None:
        """Removes everything. Idempotent."""
        async with self._changing:
            if self._index is not None or self._directory.exists():
                index = await self._opened()
                self._index = None
                await index.drop()
            shutil.rmtree(self._directory, ignore_errors=True)

    async def close(self) -> None:
        """Closes it, if it is open."""
        async with self._changing:
            if self._index is not None:
                index, self._index = self._index, None
                await index.close()

    async def _opened(self, *, make: bool = True) -> Index:
        if self._index is None:
            if not make and not self._directory.exists():
                raise NotFound("index", self._key)
            self._index = await self._open()
        return self._index

    async def _open(self) -> Index:
        """What cannot be read is put aside, and the caller fills another one."""
        folder = self._directory / "index"
        self._directory.mkdir(parents=True, exist_ok=True)
        try:
            return await self._ask_component(folder)
        except TamisError:
            raise
        except Exception as error:
            _LOG.warning("index cannot be read; making another", folder=str(folder), reason=type(error).__name__)
        with put_aside(folder):
            return await self._ask_component(folder)

    async def _ask_component(self, folder: Path) -> Index:
        index = await self._component.open_index(self._key, 1, directory=folder, language=self._language)
        if index is None:
            raise ConfigurationError("the component keeps no index")
        return index

    def _epoch(self) -> int:
        try:
            return int((self._directory / "epoch").read_text())
        except (FileNotFoundError, ValueError):
            return 0

    def _write_epoch(self, epoch: int) -> None:
        """Durable before anything is written in it."""
        file, written = self._directory / "epoch", self._directory / "epoch.new"
        with written.open("w") as stream:
            stream.write(str(epoch))
            stream.flush()
            os.fsync(stream.fileno())
        written.replace(file)
        folder = os.open(self._directory, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


class HostedIndexes:
    """Those of all components, below one folder, as `COMPONENT/KEY`. For the loop that the components run on."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._known: dict[tuple[str, str], HostedIndex] = {}

    def get(self, name: str, component: object, key: str, language: str) -> HostedIndex:
        """One index, which may not be there yet. Raises `InvalidRequest`."""
        if not isinstance(component, HasIndex):
            raise InvalidRequest.of("index", f"{name!r} keeps no index")
        if not _KEY.fullmatch(key):
            description = "is 1 to 200 characters of A-Z, a-z, 0-9, _, - and ., the first is no dot"
            raise InvalidRequest.of("index.key", description)
        if (name, key) not in self._known:
            self._known[name, key] = HostedIndex(component, key, self._directory / name / key, language)
        return self._known[name, key]

    async def close(self) -> None:
        """Closes all; one that fails to close does not keep the others open."""
        outcomes = await asyncio.gather(*(each.close() for each in self._known.values()), return_exceptions=True)
        for each in outcomes:
            if isinstance(each, Exception):
                _LOG.error("index failed to close", exc_info=each)


def _superseded() -> Superseded:
    return Superseded("another server writes this index, in a later epoch")
