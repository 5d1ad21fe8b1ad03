"""A whole server but for its sockets: journal, indexes, stages, pipelines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TypeVar

import structlog

from tamis.config import Config
from tamis.deadline import Deadline
from tamis.errors import ConfigurationError, DeadlineExceeded, InvalidRequest, NotFound
from tamis.events import Event
from tamis.generations import Generations, GenerationState
from tamis.indexes import Indexes, IndexState
from tamis.journal import Collection, Delete, Journal, Written
from tamis.languages import known_language
from tamis.model import Document, Passage
from tamis.orchestrator import Orchestrator
from tamis.pipeline import Pipelines
from tamis.plugins import Inspected, build, inspect
from tamis.recipes import Recipes
from tamis.search import MOST_LIKE, Search
from tamis.stage_loop import StageLoop
from tamis.stage_run import Request

__all__ = ["Tamis"]

T = TypeVar("T")
_LOG = structlog.get_logger(__name__)
_PATIENCE = 5.0  # seconds that the stage loop may take to answer at the end


class Tamis:
    """Everything the services do, without a word of gRPC. Lives on one event loop; stages run on another."""

    def __init__(self, config: Config) -> None:
        """Builds what the configuration names. Raises `ConfigurationError`. Call `open` next."""
        self.config = config
        self.components = build(config)
        self.pipelines = Pipelines(config, self.components)
        self.start_time = datetime.now(UTC)
        self._loop = StageLoop()
        self._recipes = Recipes(config, self.components)
        self._work = ThreadPoolExecutor(1, thread_name_prefix="tamis-work")
        self._changing = asyncio.Lock()
        self._changes: set[asyncio.Task[Any]] = set()
        self._journal: Journal
        self._indexes: Indexes
        self._generations: Generations
        self._orchestrator: Orchestrator

    async def open(self) -> None:
        """Opens journal, stages and indexes; on return requests can be served. Raises `ConfigurationError`."""
        directory = self.config.server.data_directory
        try:
            self._journal = await Journal.open(directory / "journal.sqlite")
        except OSError as error:
            raise ConfigurationError(f"data_directory cannot be used: {error.strerror}", path=str(directory)) from error
        self._indexes = Indexes(self._journal, self._recipes, directory / "indexes")
        self._generations = Generations(self._journal, self._indexes, self._recipes, self._loop, self._changing)
        self._orchestrator = Orchestrator(self._loop, self._journal.passages, prices=self.config.prices)
        self._loop.start()
        try:
            await self._loop.run(self.components.open)
            await self._journal.adopt_generations(self._recipes.current)
            collections = await self._all_collections()
            self._recipes.check(collections)
            await self._loop.run(lambda: self._indexes.open(collections))
            self._generations.start(collections)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Closes in the reverse order of opening. What was acknowledged is on disk already.

        Stages and indexes are left to their crash recovery when a plugin blocks their loop for good.
        """
        await self._generations.close()
        alive = await self._loop.answers(within=_PATIENCE)
        if alive:
            await asyncio.gather(*self._changes, return_exceptions=True)
            await self._loop.run(self._indexes.close)
            await self._loop.run(self.components.close)
        else:
            _LOG.error("a plugin blocks the stages; they are not closed")
        await self._at_work(lambda: self._loop.close(patience=_PATIENCE if alive else 0.0))
        self._work.shutdown(wait=True, cancel_futures=True)
        await asyncio.get_running_loop().run_in_executor(None, self._generations.close_threads)
        await self._journal.close()

    async def plugins(self) -> list[Inspected]:
        """Every installed plugin, loaded once to see whether it can be."""
        return await self._at_work(inspect)

    async def create_collection(self, id: str, language: str = "") -> Collection:
        """A new, empty collection with its indexes. Raises `AlreadyExists`, `InvalidRequest`."""
        return await self._change(self._create_collection(id, known_language(language)))

    async def delete_collection(self, id: str) -> None:
        """Removes a collection with everything in it. Raises `NotFound`."""
        await self._change(self._delete_collection(id))

    async def collection(self, id: str) -> Collection:
        """Raises `NotFound`."""
        return await self._journal.collection(id)

    async def collections(self, *, limit: int, after: str = "") -> list[Collection]:
        """At most `limit` collections by id, those beyond `after`."""
        return await self._journal.collections(limit=limit, after=after)

    def index_states(self, collection: Collection) -> list[IndexState]:
        """How far each index of a collection has got."""
        return self._indexes.states(collection)

    async def write(self, collection: str, documents: Sequence[Document]) -> Written:
        """Writes all or none; on return they are durable. Raises `NotFound`, `Overloaded`, `Unavailable`."""
        write = lambda mutations: self._journal.write(collection, mutations)  # noqa: E731
        return await self._generations.write(collection, documents, write)

    async def delete_documents(self, collection: str, document_ids: Sequence[str]) -> Written:
        """Deletes all or none; what is not there counts as unchanged."""
        return await self._journal.write(collection, [Delete(each) for each in document_ids])

    async def document(self, collection: str, document_id: str) -> Document:
        """Raises `NotFound`."""
        return await self._journal.document(collection, document_id)

    async def documents(self, collection: str, *, limit: int, after: str = "") -> list[Document]:
        """At most `limit` documents by id, without texts, those beyond `after`."""
        return await self._journal.documents(collection, limit=limit, after=after)

    def generation_states(self, collection: Collection) -> list[GenerationState]:
        """How far each generation of a collection has got."""
        return self._generations.states(collection)

    async def build_generation(self, collection: str) -> GenerationState:
        """Begins a generation of what is configured now. Raises `NotFound`, `FailedPrecondition`,
        `ConfigurationError`."""
        number = await self._change(self._generations.build(collection))
        known = await self._journal.collection(collection)
        return next(each for each in self._generations.states(known) if each.generation.number == number)

    async def switch_generation(self, collection: str, generation: int, *, deadline: Deadline) -> Collection:
        """Has another generation serve. Raises `NotFound`, `FailedPrecondition`."""
        await self._generations.switch(collection, generation, deadline)
        return await self._journal.collection(collection)

    async def drop_generation(self, collection: str, generation: int) -> None:
        """Removes a generation. Raises `NotFound`, `FailedPrecondition`."""
        await self._change(self._generations.drop(collection, generation))

    async def wait_indexed(self, collection: str, sequence: int, *, deadline: Deadline) -> list[IndexState]:
        """Returns once every index has applied `sequence`; 0 stands for the last one now.

        Raises `InvalidRequest` for a sequence that has not been written, `DeadlineExceeded`.
        """
        known = await self._journal.collection(collection)
        if sequence > known.last_sequence:
            raise InvalidRequest.of("sequence", f"not written yet; the last one is {known.last_sequence}")
        until = sequence or known.last_sequence
        try:
            async with asyncio.timeout(deadline.remaining):
                await self._loop.run(lambda: self._indexes.wait(collection, known.serving_generation, until))
        except TimeoutError:
            behind = [each.stage for each in self._indexes.states(known) if each.applied_sequence < until]
            message = f"sequence {until} is not yet in: {', '.join(behind) or 'every index'}"
            raise DeadlineExceeded(message) from None
        return self._indexes.states(known)

    async def search(self, search: Search, deadline: Deadline, *, request_id: str = "") -> AsyncGenerator[Event, None]:
        """The whole pipeline over a collection. Raises `NotFound`, `InvalidRequest`, `Unavailable`."""
        async with self._generations.bound(search) as bound:
            request = await self._request(bound, deadline, request_id)
            async with aclosing(self._orchestrator.search(bound.pipeline, request)) as events:
                async for event in events:
                    yield event

    async def retrieve(
        self, search: Search, deadline: Deadline, *, request_id: str = ""
    ) -> AsyncGenerator[Event, None]:
        """The retrieval part of the pipeline. Raises like `search`."""
        async with self._generations.bound(search) as bound:
            request = await self._request(bound, deadline, request_id)
            async with aclosing(self._orchestrator.retrieve(bound.pipeline, request)) as events:
                async for event in events:
                    yield event

    def rerank(
        self, search: Search, passages: Sequence[Passage], deadline: Deadline, *, request_id: str = ""
    ) -> AsyncGenerator[Event, None]:
        """The rerankers of the pipeline over given passages. Raises `InvalidRequest` when there is none."""
        return self._orchestrator.rerank(search.pipeline, search.request(deadline, request_id), passages)

    def generate(
        self, search: Search, passages: Sequence[Passage], deadline: Deadline, *, request_id: str = ""
    ) -> AsyncGenerator[Event, None]:
        """The generator of the pipeline over given passages. Raises `InvalidRequest` when there is none."""
        return self._orchestrator.generate(search.pipeline, search.request(deadline, request_id), passages)

    async def _request(self, search: Search, deadline: Deadline, request_id: str) -> Request:
        like = [await self._like(search.query.collection, each) for each in search.like_document_ids]
        return search.request(deadline, request_id, like)

    async def _like(self, collection: str, document_id: str) -> Document:
        try:
            found = await self._journal.document(collection, document_id)
        except NotFound:
            raise NotFound("document", document_id, field="like_document_ids") from None
        return replace(found, text=found.text[:MOST_LIKE])  # twenty whole documents would be much to hold

    async def _create_collection(self, id: str, language: str) -> Collection:
        async with self._changing:
            created = await self._journal.create_collection(id, language, self._recipes.current)
            try:
                await self._loop.run(lambda: self._indexes.refresh(created))
            except BaseException:
                await self._journal.delete_collection(id)
                raise
            return created

    async def _delete_collection(self, id: str) -> None:
        async with self._changing:
            known = await self._journal.collection(id)
            await self._journal.delete_collection(id)
            await self._loop.run(lambda: self._indexes.remove(known))

    async def _change(self, work: Coroutine[Any, Any, T]) -> T:
        """Finishes what was begun, whether or not the caller waits: half a collection would be of no use."""
        task = asyncio.ensure_future(work)
        self._changes.add(task)
        task.add_done_callback(self._changes.discard)
        return await asyncio.shield(task)

    async def _at_work(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._work, work)

    async def _all_collections(self) -> list[Collection]:
        found: list[Collection] = []
        while page := await self._journal.collections(limit=1_000, after=found[-1].id if found else ""):
            found.extend(page)
        return found
