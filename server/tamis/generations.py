"""Generations of collections: begun, divided beside the one that serves, switched to, dropped."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog

from tamis.deadline import Deadline
from tamis.division import Divider
from tamis.errors import FailedPrecondition, NotFound, TamisError
from tamis.indexes import CANNOT_BE_OPENED, Indexes, IndexState
from tamis.journal import Collection, Generation, Journal, Mutation, SplitsChanged, Upsert
from tamis.model import Document
from tamis.recipes import Recipes
from tamis.search import Search
from tamis.stage_loop import StageLoop

__all__ = ["GenerationState", "Generations"]

T = TypeVar("T")
_LOG = structlog.get_logger(__name__)
_PATIENCE = 5.0  # seconds that a switch waits for the last batch
_LONGEST_SEARCH = 30.0  # seconds that a dropped generation stays for the searches that see it
_LONGEST_PAUSE = 30.0


@dataclass(frozen=True, slots=True)
class GenerationState:
    """A generation and how far it has got. One that `is_ready` could serve: it is not behind the one that does."""

    generation: Generation
    is_serving: bool
    is_ready: bool
    divided_count: int
    indexes: tuple[IndexState, ...]


class Generations:
    """Lives on the loop of the services; indexes on that of the stages.

    What there is stands in the journal, and is read from there whenever it matters, so that a switch is one commit.
    Only which indexes are open here is kept in memory, and `refresh` is the one place that brings that up to date.
    """

    def __init__(
        self, journal: Journal, indexes: Indexes, recipes: Recipes, loop: StageLoop, changing: asyncio.Lock
    ) -> None:
        """`changing` is held by whoever opens or drops indexes."""
        self._journal, self._indexes, self._recipes, self._loop = journal, indexes, recipes, loop
        self._changing, self._divider = changing, Divider()
        self._is_closed = False
        self._tasks: dict[tuple[str, int, bool], asyncio.Task[None]] = {}
        self._searches: dict[tuple[str, int], set[asyncio.Future[None]]] = defaultdict(set)

    def start(self, collections: Iterable[Collection]) -> None:
        """Goes on with what was begun before the last end, whatever that was."""
        for collection in collections:
            self._go_on(collection)

    async def close(self) -> None:
        """Stops dividing after the portion under way, and begins nothing any more; the next start goes on."""
        self._is_closed = True
        tasks = [*self._tasks.values()]
        for each in tasks:
            each.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def close_threads(self) -> None:
        """Ends the threads that divide documents; blocks for as long as one of them is at work."""
        self._divider.close()

    async def refresh(self, collection: str, must: int | None = None) -> None:
        """Opens, follows and drops indexes of a collection, and begins to divide, as the journal says by now.

        Raises `ConfigurationError` when those of the generation that serves, or of `must`, cannot be opened.
        """
        async with self._changing:
            try:
                known = await self._journal.collection(collection)
            except NotFound:
                return
            await self._loop.run(lambda: self._indexes.refresh(known, must))
        self._go_on(known)

    async def serving(self, collection: str) -> Collection:
        """A collection whose indexes of the generation that serves at this moment are open. Raises `NotFound`."""
        known = await self._journal.collection(collection)
        if not self._indexes.has(known, known.serving_generation):
            await self.refresh(known.id)
            known = await self._journal.collection(known.id)
        return known

    @contextmanager
    def bound(self, search: Search, known: Collection) -> Generator[Search, None, None]:
        """A search that sees only the generation that serves of what `serving` has just returned; that is not removed
        before the context ends, or half a minute later."""
        generation = known.generation(known.serving_generation)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        searches = self._searches[known.id, generation.number]
        searches.add(done)
        try:
            yield search.on(generation, self._recipes.components(generation.recipe))
        finally:
            searches.discard(done)
            done.cancel()

    async def write(
        self, collection: str, documents: Sequence[Document], write: Callable[[Sequence[Mutation]], Awaitable[T]]
    ) -> T:
        """What `write` makes of the documents, divided for every generation there is when it commits them."""
        while True:
            known = await self._journal.collection(collection)
            chunkers = {split: self._recipes.chunker(recipe) for split, recipe in known.splits.items()}
            divisions = await self._divider.divide_by_split(documents, chunkers)
            try:
                return await write([Upsert(*each) for each in zip(documents, divisions, strict=True)])
            except SplitsChanged:
                _LOG.info("a generation was begun during a write; dividing again", collection=collection)

    def states(self, collection: Collection) -> list[GenerationState]:
        """How far each generation has got, by number."""
        serving = self._indexes.states(collection)
        return [self._state(collection, each, serving) for each in collection.live]

    async def build(self, collection: str) -> int:
        """Begins a generation of what is configured now, and returns its number.

        Raises `NotFound`; `FailedPrecondition` while another one is being built; `ConfigurationError` when an index
        of it cannot be opened.
        """
        known = await self._journal.collection(collection)
        building = [
            each.generation.number
            for each in self.states(known)
            if not each.is_ready and each.generation.number > known.serving_generation
        ]
        if building:
            raise FailedPrecondition(f"generation {building[0]} is being built; wait for it or drop it first")
        number = await self._journal.add_generation(collection, self._recipes.current)
        try:
            await self.refresh(collection, number)
        except BaseException:
            await self.drop(collection, number)
            raise
        return number

    async def switch(self, collection: str, number: int, deadline: Deadline) -> None:
        """Has every search that begins afterwards see another generation.

        Whatever the one that serves could find when this was called, the other can find by then: it is waited for a
        few seconds. Raises `NotFound`, `FailedPrecondition`; then nothing has changed.
        """
        known = await self._journal.collection(collection)
        target = known.generation(number)
        if number == known.serving_generation:
            return
        if not target.is_divided:
            raise FailedPrecondition(f"the documents of generation {number} are still being divided")
        goal = max((each.applied_sequence for each in self._indexes.states(known)), default=0)
        try:
            async with asyncio.timeout(min(_PATIENCE, deadline.remaining)):
                await self._loop.run(lambda: self._reached(known, number, goal))
        except TimeoutError:
            raise FailedPrecondition(self._behind(known, number, goal)) from None
        await self._journal.serve_generation(collection, number)
        _LOG.info("another generation serves", collection=collection, generation=number)

    async def drop(self, collection: str, number: int) -> None:
        """Removes a generation that does not serve, once the searches that see it have ended.

        Raises `NotFound`, `FailedPrecondition`.
        """
        await self._journal.drop_generation(collection, number)
        if (dividing := self._tasks.get((collection, number, False))) is not None:
            dividing.cancel()
            await asyncio.gather(dividing, return_exceptions=True)
        await self.refresh(collection)
        if (sweeping := self._tasks.get((collection, number, True))) is not None:
            await asyncio.shield(sweeping)

    def _state(self, collection: Collection, generation: Generation, serving: Sequence[IndexState]) -> GenerationState:
        states = self._indexes.states(collection, generation.number)
        goal = max((each.applied_sequence for each in serving), default=0)
        is_open = self._indexes.has(collection, generation.number)
        is_ready = is_open and generation.is_divided and all(_is_up_to(goal, each) for each in states)
        divided = collection.document_count
        if not generation.is_divided:
            divided = min(divided, generation.divided_count)
        is_serving = generation.number == collection.serving_generation
        return GenerationState(generation, is_serving, is_ready, divided, tuple(states))

    async def _reached(self, collection: Collection, number: int, goal: int) -> None:
        if any(each.problem == CANNOT_BE_OPENED for each in self._indexes.states(collection, number)):
            raise TimeoutError
        await self._indexes.wait(collection.id, number, goal)

    def _behind(self, collection: Collection, number: int, goal: int) -> str:
        states = self._indexes.states(collection, number)
        late = [each for each in states if each.applied_sequence < goal or each.problem]
        named = (f"{each.stage} by {goal - each.applied_sequence:,} changes" for each in late)
        problems = sorted({f" ({each.stage}: {each.problem})" for each in late if each.problem})
        return f"generation {number} is behind the one that serves: {', '.join(named)}{''.join(problems)}"

    def _go_on(self, collection: Collection) -> None:
        """Has a task for every generation that is not divided, or not removed, to the end."""
        for each in collection.generations:
            if each.is_dropped:
                self._begin((collection.id, each.number, True), self._sweep(collection, each))
            elif not each.is_divided:
                self._begin((collection.id, each.number, False), self._divide(collection.id, each.number))

    def _begin(self, key: tuple[str, int, bool], work: Coroutine[Any, Any, None]) -> None:
        if self._is_closed or key in self._tasks:
            work.close()
            return
        task = self._tasks[key] = asyncio.create_task(work, name=f"generation {key[0]}/{key[1]}")
        task.add_done_callback(lambda _: self._tasks.pop(key, None))

    async def _divide(self, collection: str, number: int) -> None:
        failures = 0
        while True:
            try:
                known = (await self._journal.collection(collection)).generation(number)
                if known.is_divided:
                    break
                await self._divide_portion(collection, known)
                failures = 0
            except NotFound:
                break
            except Exception as error:
                failures += 1
                self._note_failure(collection, number, error)
                await asyncio.sleep(min(_LONGEST_PAUSE, 0.1 * 2 ** min(failures, 10)) * random.uniform(0.5, 1.0))
        self._indexes.report(collection, number, "")
        try:
            await self.refresh(collection)
        except Exception as error:
            self._note_failure(collection, number, error)

    async def _divide_portion(self, collection: str, generation: Generation) -> None:
        portion = await self._journal.undivided(collection, generation.number)
        divided = await self._divider.divide(portion.documents, self._recipes.chunker(generation.recipe))
        divisions = {each.id: passages for each, passages in zip(portion.documents, divided, strict=True)}
        await self._journal.divide(collection, generation.number, portion, divisions)

    async def _sweep(self, collection: Collection, generation: Generation) -> None:
        """Until the indexes are gone the journal remembers the generation, so that another start tries again."""
        if searches := self._searches.pop((collection.id, generation.number), None):
            await asyncio.wait(searches, timeout=_LONGEST_SEARCH)
        try:
            async with self._changing:
                if (await self._journal.collection(collection.id)).incarnation != collection.incarnation:
                    return  # it went with the whole collection, and another one has its name and its numbers
                is_gone = await self._loop.run(lambda: self._indexes.remove_generation(collection, generation))
            if is_gone:
                while not await self._journal.sweep_generation(collection.id, generation.number):
                    pass  # other writes have their turn in between
        except NotFound:
            return
        except TamisError as error:
            _LOG.warning("a generation is not removed yet; the next start goes on", reason=error.message)

    def _note_failure(self, collection: str, number: int, error: Exception) -> None:
        self._indexes.report(collection, number, "DIVISION_FAILED")
        where = {"collection": collection, "generation": number}
        if isinstance(error, TamisError):
            _LOG.warning("documents cannot be divided anew", reason=error.message, **where)
        else:
            _LOG.error("documents cannot be divided anew", exc_info=error, **where)


def _is_up_to(goal: int, state: IndexState) -> bool:
    """Whether an index is not behind what the generation that serves has found up to `goal`."""
    return state.problem != CANNOT_BE_OPENED and (not state.lag_count or 0 < goal <= state.applied_sequence)
