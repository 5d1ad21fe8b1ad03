"""The indexes of every collection: opened, kept in step with the journal, dropped."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Container, Mapping
from dataclasses import dataclass
from pathlib import Path

import structlog

from tamis.component import Component
from tamis.errors import ConfigurationError, NotFound, Overloaded, Unavailable
from tamis.journal import Collection, Follower, Journal
from tamis.stage import HasIndex, Index

__all__ = ["IndexState", "Indexes"]

_LOG = structlog.get_logger(__name__)
_GENERATION = 1


@dataclass(frozen=True, slots=True)
class IndexState:
    """How far one stage's index of a collection has got; `problem` is a constant word, empty while all is well."""

    stage: str
    applied_sequence: int
    lag_count: int
    problem: str


class Indexes:
    """One index, with its follower, for each collection and each stage that keeps one.

    Every coroutine runs on the loop the stages run on; `states` may be called from any thread. An index lives in
    `directory/INCARNATION/STAGE`: a collection that is created again never meets the files of the one before it.
    """

    def __init__(self, journal: Journal, components: Mapping[str, Component], directory: Path) -> None:
        self._journal, self._directory = journal, directory
        self._stages = {name: each for name, each in components.items() if isinstance(each, HasIndex)}
        self._followers: dict[str, dict[str, Follower]] = {}

    async def open(self, collections: list[Collection]) -> None:
        """Opens the indexes of all collections and removes files that belong to none."""
        known = {each.incarnation for each in collections}
        for folder in self._directory.glob("*"):
            if folder.name not in known:
                shutil.rmtree(folder, ignore_errors=True)
        for collection in collections:
            await self.add(collection)

    async def add(self, collection: Collection) -> None:
        """Opens the indexes of one collection. Raises `ConfigurationError`; then none of them stays open."""
        opened: dict[str, Index] = {}
        try:
            for stage in self._stages:
                if (index := await self._open(collection, stage)) is not None:
                    opened[stage] = index
        except BaseException:
            await asyncio.gather(*(index.close() for index in opened.values()), return_exceptions=True)
            raise
        self._followers[collection.id] = {
            stage: Follower(self._journal, collection.id, _GENERATION, stage, index) for stage, index in opened.items()
        }

    async def remove(self, collection: Collection) -> None:
        """Stops following a collection and removes its indexes from the disk."""
        followers = self._followers.pop(collection.id, {})
        outcomes = await asyncio.gather(*(each.drop() for each in followers.values()), return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                _LOG.error("index could not be dropped; the next start removes it", exc_info=outcome)
        shutil.rmtree(self._directory / collection.incarnation, ignore_errors=True)

    async def wait(self, collection: str, sequence: int, stages: Container[str] | None = None) -> None:
        """Returns once every index, or else those of `stages`, has applied everything up to `sequence`.

        Raises `NotFound`.
        """
        if collection not in self._followers:
            raise NotFound("collection", collection)
        followers = self._followers[collection].items()
        wanted = (each for stage, each in followers if stages is None or stage in stages)
        await asyncio.gather(*(each.wait(sequence) for each in wanted))

    def states(self, collection: Collection) -> list[IndexState]:
        """How far each index of a collection has got, by stage."""
        states = []
        for stage, follower in sorted(self._followers.get(collection.id, {}).items()):
            applied, problem = follower.status.applied_sequence, follower.status.problem
            states.append(IndexState(stage, applied, max(0, collection.last_sequence - applied), problem))
        return states

    async def close(self) -> None:
        """Stops all followers and closes all indexes."""
        followers = [each for stages in self._followers.values() for each in stages.values()]
        self._followers.clear()
        outcomes = await asyncio.gather(*(each.close() for each in followers), return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                _LOG.error("index failed to close", exc_info=outcome)

    async def _open(self, collection: Collection, stage: str) -> Index | None:
        """An index that knows more than the journal, as after a restored backup, is made anew."""
        directory = self._directory / collection.incarnation / stage
        index = await self._opened(collection, stage, directory)
        if index is None:
            return None
        try:
            reached = await index.checkpoint()
        except (Unavailable, Overloaded):
            return index  # on a server that is away; the follower goes on asking, and tells the problem
        if reached <= collection.last_sequence:
            return index
        _LOG.warning("index is ahead of the journal; building it again", collection=collection.id, stage=stage)
        await index.drop()
        return await self._opened(collection, stage, directory)

    async def _opened(self, collection: Collection, stage: str, directory: Path) -> Index | None:
        directory.parent.mkdir(parents=True, exist_ok=True)
        try:
            return await self._stages[stage].open_index(
                collection.id, _GENERATION, directory=directory, language=collection.language
            )
        except ConfigurationError as error:
            message = f"[stages.{stage}] index of collection {collection.id!r}: {error.message}"
            raise ConfigurationError(message, path=str(directory)) from error
        except Exception as error:
            message = (
                f"[stages.{stage}] index of collection {collection.id!r} cannot be opened ({type(error).__name__}); "
                "remove this folder and it is built again from the journal"
            )
            raise ConfigurationError(message, path=str(directory)) from error
