"""The indexes of every generation of every collection: opened, kept in step with the journal, dropped."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Container, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from tamis.component import Component
from tamis.errors import ConfigurationError, NotFound, Overloaded, TamisError, Unavailable
from tamis.journal import Collection, Follower, FollowerStatus, Generation, Journal, SharedFollower, Tenures
from tamis.journal.leases import Place
from tamis.recipes import Recipes
from tamis.stage import HasIndex, Index, SharedIndex

__all__ = ["CANNOT_BE_OPENED", "IndexState", "Indexes", "put_aside"]

CANNOT_BE_OPENED = "INDEX_CANNOT_BE_OPENED"
"""The problem of an index of a generation that does not serve and whose stage has other settings by now."""

_LOG = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class IndexState:
    """How far one stage's index of a collection has got; `problem` is a constant word, empty while all is well."""

    stage: str
    applied_sequence: int
    lag_count: int
    problem: str
    dead_letter_count: int = 0


@dataclass(slots=True)
class _IndexSet:
    """The indexes of one generation, by stage. They are followed once its documents are divided.

    `closed` are the stages whose index cannot be opened, as after their settings have changed.
    """

    generation: Generation
    indexes: dict[str, Index] = field(default_factory=dict)
    followers: dict[str, Follower] = field(default_factory=dict)
    closed: tuple[str, ...] = ()
    problem: str = ""


class Indexes:
    """One index, with its follower, for each generation of a collection and each stage that keeps one.

    Every coroutine runs on the loop the stages run on, and calls that change the same collection come one after the
    other; `states` and `has` may be called from any thread. The indexes of the first generation live in
    `directory/INCARNATION/STAGE`, those of the others in `directory/INCARNATION/NUMBER/STAGE`, where no stage is called
    by a number: a collection that is created again never meets the files of the one before it.
    """

    def __init__(self, journal: Journal, recipes: Recipes, directory: Path, tenures: Tenures) -> None:
        """`tenures` is for indexes that several servers see; it is closed with the last of them."""
        self._journal, self._recipes, self._directory, self._tenures = journal, recipes, directory, tenures
        self._sets: dict[str, dict[int, _IndexSet]] = {}
        self._incarnations: dict[str, str] = {}

    async def open(self, collections: list[Collection]) -> None:
        """Opens the indexes of all collections and removes files that belong to none.

        Raises `ConfigurationError` for one that searches need. Those of a generation that does not serve may stay
        closed, which its states then say.
        """
        known = {each.incarnation for each in collections}
        for folder in self._directory.glob("*"):
            if folder.name not in known:
                shutil.rmtree(folder, ignore_errors=True)
        for collection in collections:
            self._remove_strays(collection)
            for generation in collection.live:
                await self._add(collection, generation, must=generation.number == collection.serving_generation)

    async def refresh(self, collection: Collection, must: int | None = None) -> None:
        """Opens, follows and drops what the journal says of a collection's generations; dropped ones are left to
        `remove_generation`.

        Raises `ConfigurationError` when the one that serves, or the one called `must`, cannot be opened; then none of
        its indexes stays open.
        """
        if self._incarnations.get(collection.id) != collection.incarnation:
            await self.forget(collection.id)
        known = {each.number for each in collection.generations}
        for number in self._sets.get(collection.id, {}).keys() - known:
            await self._drop_set(self._sets[collection.id].pop(number))
            self._remove_files(collection, number)
        for generation in collection.live:
            number = generation.number
            opened = self._sets.get(collection.id, {}).get(number)
            if opened is None:
                await self._add(collection, generation, must=number in (must, collection.serving_generation))
            elif generation.is_divided and not opened.followers:
                opened.generation = generation
                self._follow(collection, opened)

    async def remove(self, collection: Collection) -> None:
        """Stops following a collection and removes its indexes."""
        for each in self._sets.pop(collection.id, {}).values():
            await self._drop_set(each)
        self._incarnations.pop(collection.id, None)
        shutil.rmtree(self._directory / collection.incarnation, ignore_errors=True)

    async def forget(self, collection: str) -> None:
        """Stops following a collection that another server has removed, and removes what is kept of it here.

        What is kept on another machine goes with the server that removed the collection.
        """
        for each in self._sets.pop(collection, {}).values():
            outcomes = await asyncio.gather(
                *(_let_go(index, each.followers.get(stage)) for stage, index in each.indexes.items()),
                return_exceptions=True,
            )
            _told(outcomes, "index could not be removed; the next start removes it")
        if (incarnation := self._incarnations.pop(collection, "")) != "":
            shutil.rmtree(self._directory / incarnation, ignore_errors=True)

    def incarnations(self) -> dict[str, str]:
        """The collections whose indexes are open here, each with its incarnation."""
        return dict(self._incarnations)

    async def remove_generation(self, collection: Collection, generation: Generation) -> bool:
        """Removes the indexes of a dropped generation. False when that cannot be done now.

        Those that are not open, as after a restart, are opened once more: they may be kept on another server.
        """
        opened = self._sets.get(collection.id, {}).pop(generation.number, None)
        if opened is None:
            opened = _IndexSet(generation)
            for stage, component in self._recipes.indexed(generation.recipe).items():
                with suppress(ConfigurationError):  # made with other settings, so it is not for this one to remove
                    if (index := await self._open(collection, generation, stage, component)) is not None:
                        opened.indexes[stage] = index
        is_gone = await self._drop_set(opened)
        self._remove_files(collection, generation.number)
        return is_gone

    async def wait(self, collection: str, generation: int, sequence: int, stages: Container[str] | None = None) -> None:
        """Returns once every index of a generation, or else those of `stages`, has applied everything up to `sequence`.

        Raises `NotFound`.
        """
        opened = self._sets.get(collection, {}).get(generation)
        if opened is None:
            raise NotFound("collection", collection)
        followers = opened.followers.items()
        wanted = (each for stage, each in followers if stages is None or stage in stages)
        await asyncio.gather(*(each.wait(sequence) for each in wanted))

    def has(self, collection: Collection, generation: int) -> bool:
        """Whether a generation's indexes are open here."""
        is_same = self._incarnations.get(collection.id) == collection.incarnation
        return is_same and generation in self._sets.get(collection.id, {})

    def report(self, collection: str, generation: int, problem: str) -> None:
        """Notes why a generation's indexes cannot be followed yet; an empty word takes that back."""
        if (opened := self._sets.get(collection, {}).get(generation)) is not None:
            opened.problem = problem

    def states(self, collection: Collection, generation: int | None = None) -> list[IndexState]:
        """How far each index of a generation, or else of the one that serves, has got, by stage."""
        opened = self._sets.get(collection.id, {}).get(generation or collection.serving_generation)
        if opened is None:
            return []
        last = collection.last_sequence
        states = [IndexState(stage, 0, last, CANNOT_BE_OPENED) for stage in opened.closed]
        for stage in opened.indexes:
            follower = opened.followers.get(stage)
            status = follower.status if follower else FollowerStatus(problem=opened.problem)
            lag = max(0, last - status.applied_sequence)
            states.append(IndexState(stage, status.applied_sequence, lag, status.problem, status.dead_letter_count))
        return sorted(states, key=lambda each: each.stage)

    def followers(self, collection: str) -> list[Follower]:
        """Those of every generation of a collection, by generation and stage."""
        sets = sorted(self._sets.get(collection, {}).items())
        return [follower for _, opened in sets for _, follower in sorted(opened.followers.items())]

    async def close(self) -> bool:
        """Stops all followers and closes all indexes. False when one could not be closed in order."""
        opened = [each for sets in self._sets.values() for each in sets.values()]
        self._sets.clear()
        self._incarnations.clear()
        closing = [
            *(each.close() for one in opened for each in one.followers.values()),
            *(each.close() for one in opened for each in one.indexes.values() if not one.followers),
        ]
        is_closed = _told(await asyncio.gather(*closing, return_exceptions=True), "index failed to close")
        await self._tenures.close()
        return is_closed

    async def _add(self, collection: Collection, generation: Generation, *, must: bool) -> None:
        """Opens the indexes of one generation, or with `must` none of them, and follows the journal for them."""
        added = _IndexSet(generation)
        try:
            for stage, component in self._recipes.indexed(generation.recipe).items():
                try:
                    index = await self._open(collection, generation, stage, component)
                except ConfigurationError as error:
                    if must:
                        raise
                    _LOG.error("index of a generation that does not serve cannot be opened", reason=str(error))
                    added.closed = (*added.closed, stage)
                    continue
                if index is not None:
                    added.indexes[stage] = index
        except BaseException:
            await asyncio.gather(*(index.close() for index in added.indexes.values()), return_exceptions=True)
            raise
        self._sets.setdefault(collection.id, {})[generation.number] = added
        self._incarnations[collection.id] = collection.incarnation
        if generation.is_divided:
            self._follow(collection, added)

    def _follow(self, collection: Collection, opened: _IndexSet) -> None:
        opened.followers = {
            stage: self._follower(collection, opened.generation, stage, index)
            for stage, index in opened.indexes.items()
        }

    def _follower(self, collection: Collection, generation: Generation, stage: str, index: Index) -> Follower:
        what = (self._journal, collection.id, generation.number, stage, index, generation.split)
        if isinstance(index, SharedIndex):
            return SharedFollower(*what, incarnation=collection.incarnation, tenures=self._tenures)
        return Follower(*what, incarnation=collection.incarnation)

    async def _drop_set(self, opened: _IndexSet) -> bool:
        dropping = [each.drop() for each in (opened.followers or opened.indexes).values()]
        outcomes = await asyncio.gather(*dropping, return_exceptions=True)
        return _told(outcomes, "index could not be dropped; the next start removes it")

    async def _open(
        self, collection: Collection, generation: Generation, stage: str, component: Component
    ) -> Index | None:
        """An index whose files cannot be read is put aside and made anew: the journal fills it again."""
        directory = self._folder(collection, generation.number) / stage
        try:
            return await self._in_step(collection, generation, stage, component)
        except TamisError:
            raise
        except Exception as error:
            where = {"collection": collection.id, "stage": stage, "folder": str(directory)}
            _LOG.warning("index cannot be read; building it again beside it", reason=type(error).__name__, **where)
        try:
            with put_aside(directory):
                return await self._in_step(collection, generation, stage, component)
        except TamisError:
            raise
        except Exception as error:
            message = (
                f"[stages.{stage}] index of collection {collection.id!r} cannot be opened, nor can a new one "
                f"({type(error).__name__})"
            )
            raise ConfigurationError(message, path=str(directory)) from error

    async def _in_step(
        self, collection: Collection, generation: Generation, stage: str, component: Component
    ) -> Index | None:
        """An index that knows more than the journal, as after a restored backup, is made anew; so is one that may have
        missed changes that are compacted away."""
        index = await self._opened(collection, generation, stage, component)
        if index is None:
            return None
        try:
            reached = await index.checkpoint()
        except (Unavailable, Overloaded):
            return index  # its engine is away; the follower goes on asking, and tells the problem
        except BaseException:
            await index.close()
            raise
        if reached > collection.last_sequence:
            reason = "index is ahead of the journal; building it again"
        elif 0 < reached < collection.compacted_upto:
            reason = "index is behind what the journal was compacted to; building it again"
        else:
            return index
        place = (collection.id, generation.number, stage)
        if not await self._may_rebuild(place, reached, is_shared=isinstance(index, SharedIndex)):
            return index
        _LOG.warning(reason, collection=collection.id, stage=stage)
        await index.drop()
        return await self._opened(collection, generation, stage, component)

    async def _may_rebuild(self, place: Place, reached: int, *, is_shared: bool) -> bool:
        """An index that other servers see may have got further since the collection was read, and is theirs while one
        of them writes it."""
        try:
            known = await self._journal.collection(place[0])
        except NotFound:
            return False
        is_of_no_use = reached > known.last_sequence or 0 < reached < known.compacted_upto
        return is_of_no_use and (not is_shared or await self._tenures.begin(place) is not None)

    async def _opened(
        self, collection: Collection, generation: Generation, stage: str, component: Component
    ) -> Index | None:
        if not isinstance(component, HasIndex):
            return None
        directory = self._folder(collection, generation.number) / stage
        directory.parent.mkdir(parents=True, exist_ok=True)
        try:
            return await component.open_index(
                collection.id, generation.number, directory=directory, language=collection.language
            )
        except ConfigurationError as error:
            message = f"[stages.{stage}] index of collection {collection.id!r}: {error.message}"
            raise ConfigurationError(message, path=str(directory)) from error

    def _folder(self, collection: Collection, generation: int) -> Path:
        folder = self._directory / collection.incarnation
        return folder if generation == 1 else folder / str(generation)

    def _remove_files(self, collection: Collection, generation: int) -> None:
        folder = self._folder(collection, generation)
        if generation != 1:
            shutil.rmtree(folder, ignore_errors=True)
            return
        for each in folder.glob("*"):
            if not each.name.isdigit():
                shutil.rmtree(each, ignore_errors=True)

    def _remove_strays(self, collection: Collection) -> None:
        known = {each.number for each in collection.generations}
        found = {int(each.name) for each in (self._directory / collection.incarnation).glob("*") if each.name.isdigit()}
        for number in (found | {1}) - known:
            self._remove_files(collection, number)


async def _let_go(index: Index, follower: Follower | None) -> None:
    owner = follower or index
    await (owner.close() if isinstance(index, SharedIndex) else owner.drop())


def _told(outcomes: Iterable[object], event: str) -> bool:
    """Whether all went well; what did not is logged."""
    failures = [each for each in outcomes if isinstance(each, Exception)]
    for each in failures:
        if isinstance(each, TamisError):
            _LOG.error(event, reason=each.message)
        else:
            _LOG.error(event, exc_info=each)
    return not failures


@contextmanager
def put_aside(directory: Path) -> Iterator[None]:
    """Renames a folder while another takes its place, for good if that one can be opened, and else back again.

    Only where that one can is it the files' fault, and not that of a full disk or of too few file handles.
    """
    damaged = directory.with_name(f"{directory.name}.damaged")
    shutil.rmtree(damaged, ignore_errors=True)
    if directory.exists():
        directory.rename(damaged)
    try:
        yield
    except BaseException:
        shutil.rmtree(directory, ignore_errors=True)
        if damaged.exists():
            damaged.rename(directory)
        raise
