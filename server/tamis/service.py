"""A whole server but for its sockets: journal, indexes, stages, pipelines."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TypeVar

import structlog

from tamis.catalog_watch import CatalogWatch
from tamis.compaction import Compacted, compact
from tamis.config import Config
from tamis.deadline import Deadline
from tamis.errors import ConfigurationError, DeadlineExceeded, InvalidRequest, NotFound, Unavailable
from tamis.event_loops import maker
from tamis.events import Event
from tamis.expression import Expression
from tamis.filters import Filter
from tamis.gains import GainCurve
from tamis.generations import Generations, GenerationState
from tamis.indexes import Indexes, IndexState
from tamis.journal import Collection, DeadLetter, Delete, Journal, Patch, PostgresAddress, Tenures, Written, naming
from tamis.languages import known_language
from tamis.metrics import IndexReading, Metrics, Reading
from tamis.model import Document, Passage
from tamis.orchestrator import Orchestrator
from tamis.pipeline import Pipeline, Pipelines
from tamis.planner import Planner
from tamis.plugins import Inspected, build, inspect
from tamis.progress import Progress
from tamis.recipes import Recipes
from tamis.search import MOST_LIKE, Search
from tamis.stage_loop import StageLoop
from tamis.stage_run import Request
from tamis.verification import Aftercare, Comparison, Verification

__all__ = ["Tamis", "in_time"]

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
        self.metrics = Metrics()
        self.planner = _planner(config)
        """What divides deadlines, and what it has learnt."""
        self._loop = StageLoop(maker(config.server.event_loop))
        self._recipes = Recipes(config, self.components)
        self._work = ThreadPoolExecutor(1, thread_name_prefix="tamis-work")
        self._changing = asyncio.Lock()
        self._caring = asyncio.Lock()  # what is compacted away cannot tell a comparison whose a passage was
        self._changes: set[asyncio.Task[Any]] = set()
        self._journal: Journal
        self._indexes: Indexes
        self._generations: Generations
        self._watch: CatalogWatch | None = None
        self._aftercare = Aftercare(config.server.data_directory / "indexes.open", self._mended)
        self._progress: Progress
        self._orchestrator: Orchestrator

    async def open(self) -> None:
        """Opens journal, stages and indexes; on return requests can be served. Raises `ConfigurationError`."""
        directory = self.config.server.data_directory
        try:
            self._journal = await _journal(self.config)
        except OSError as error:
            raise ConfigurationError(f"data_directory cannot be used: {error.strerror}", path=str(directory)) from error
        tenures = Tenures(self._journal, self.config.journal.lease_seconds)
        self._indexes = Indexes(self._journal, self._recipes, directory / "indexes", tenures)
        self._progress = Progress(self._journal, self._indexes, self._loop)
        self._generations = Generations(self._journal, self._indexes, self._recipes, self._loop, self._changing)
        self._orchestrator = Orchestrator(
            self._loop, self._journal.passages, self.planner, self.config.prices, self.metrics.stage
        )
        self._journal.observe_commits(self.metrics.commit)
        self._loop.start()
        try:
            await self._aftercare.begin()
            await self._loop.run(self.components.open)
            await self._journal.adopt_generations(self._recipes.current)
            collections = await self._journal.all_collections()
            self._recipes.check(collections)
            await self._loop.run(lambda: self._indexes.open(collections))
            self._generations.start(collections)
            self._aftercare.start(collections)
            if self._journal.is_shared:
                self._watch = CatalogWatch(self._journal, self._indexes, self._generations, self._loop, self._changing)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Closes in the reverse order of opening. What was acknowledged is on disk already.

        Stages and indexes are left to their crash recovery when a plugin blocks their loop for good.
        """
        if self._watch is not None:
            await self._watch.close()
        await self._aftercare.stop()
        await self._generations.close()
        alive = await self._loop.answers(within=_PATIENCE)
        if alive:
            await asyncio.gather(*self._changes, return_exceptions=True)
            is_closed = await self._loop.run(self._indexes.close)
            await self._loop.run(self.components.close)
            if is_closed:
                await self._aftercare.close()
        else:
            _LOG.error("a plugin blocks the stages; they are not closed")
        await self._at_work(lambda: self._loop.close(patience=_PATIENCE if alive else 0.0))
        self._work.shutdown(wait=True, cancel_futures=True)
        await asyncio.get_running_loop().run_in_executor(None, self._generations.close_threads)
        await self._journal.close()

    async def plugins(self) -> list[Inspected]:
        """Every installed plugin, loaded once to see whether it can be."""
        return await self._at_work(inspect)

    async def create_collection(self, id: str, language: str = "", *, tenant_partitioned: bool = False) -> Collection:
        """A new, empty collection with its indexes. Raises `AlreadyExists`, `InvalidRequest`."""
        return await self._change(self._create_collection(id, known_language(language), tenant_partitioned))

    async def delete_collection(self, id: str) -> None:
        """Removes a collection with everything in it. Raises `NotFound`."""
        await self._change(self._delete_collection(id))

    async def collection(self, id: str) -> Collection:
        """Raises `NotFound`."""
        return await self._journal.collection(id)

    async def collections(self, *, limit: int, after: str = "") -> list[Collection]:
        """At most `limit` collections by id, those beyond `after`."""
        return await self._journal.collections(limit=limit, after=after)

    async def tenant_collection(self, tenant: str, name: str) -> Collection:
        """The collection that a tenant knows by a name: its own, or a shared one with what it holds of this tenant.

        Raises `NotFound`, which tells of no other tenant's.
        """
        return await self._journal.tenant_collection(tenant, name)

    async def tenant_collections(self, tenant: str, *, limit: int, after: str = "") -> list[Collection]:
        """At most `limit` of those by name, those beyond `after`."""
        return await self._journal.tenant_collections(tenant, limit=limit, after=after)

    def index_states(self, collection: Collection) -> list[IndexState]:
        """How far each index of a collection has got."""
        return self._indexes.states(collection)

    async def reading(self) -> Reading:
        """How far every index is, for the metrics."""
        states = (
            (each.id, state) for each in await self._journal.all_collections() for state in self._indexes.states(each)
        )
        indexes = tuple(
            IndexReading(collection, each.stage, each.applied_sequence, each.lag_count, each.dead_letter_count)
            for collection, each in states
        )
        return Reading(indexes, self._journal.waiting_count)

    async def write(self, collection: str, documents: Sequence[Document], request_id: str = "") -> Written:
        """Writes all or none; on return they are durable. Raises `NotFound`, `Overloaded`, `Unavailable`.

        Here and below, what has been done under `request_id` within a day is answered again and changes nothing;
        `AlreadyExists` is raised for an id that another request had.
        """
        request = await asyncio.to_thread(naming.writing, request_id, documents)
        write = lambda mutations: self._journal.write(collection, mutations, request)  # noqa: E731
        return await self._generations.write(collection, documents, write)

    async def delete_documents(self, collection: str, document_ids: Sequence[str], request_id: str = "") -> Written:
        """Deletes all or none; what is not there counts as unchanged."""
        deletes = [Delete(each) for each in document_ids]
        return await self._journal.write(collection, deletes, naming.deletion(request_id, document_ids))

    async def delete_matching(self, collection: str, filter: Filter, request_id: str = "") -> Written:
        """Deletes every document that satisfies the filter as it is committed, or none."""
        request = naming.deletion_by_filter(request_id, filter)
        return await self._journal.delete_matching(collection, filter, request)

    async def patch_metadata(self, collection: str, patches: Sequence[Patch], request_id: str = "") -> Written:
        """Changes all or none. Raises `NotFound` for a document that is not there, `InvalidRequest` for too much."""
        return await self._journal.write(collection, patches, naming.patching(request_id, patches))

    async def dead_letters(
        self, collection: str, *, limit: int, after: tuple[str, str, int] | None = None
    ) -> list[DeadLetter]:
        """At most `limit` documents that an index could not take, by stage, id and generation, those beyond `after`."""
        return await self._journal.dead_letters(collection, limit=limit, after=after)

    async def retry_dead_letters(self, collection: str, document_ids: Sequence[str] = ()) -> Written:
        """Has every index see these documents again, of those in the dead letters; all of them if none are given."""
        return await self._journal.retry_dead_letters(collection, document_ids)

    async def document(self, collection: str, document_id: str) -> Document:
        """Raises `NotFound`."""
        return await self._journal.document(collection, document_id)

    async def documents(self, collection: str, *, limit: int, after: str = "", tenant: str = "") -> list[Document]:
        """At most `limit` documents, all or one tenant's, by id, without texts, those beyond `after`."""
        return await self._journal.documents(collection, limit=limit, after=after, tenant=tenant)

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

    async def compact(self, collection: str) -> Compacted:
        """Gives back the space of what has been superseded. Raises `NotFound`."""
        known = await self._journal.collection(collection)
        async with self._caring:
            return await self._loop.run(lambda: compact(self._journal, self._indexes, known))

    async def verify(self, collection: str, *, repair: bool) -> AsyncGenerator[Comparison, None]:
        """Compares the journal with itself and every index with the journal. Raises `NotFound`."""
        known = await self._journal.collection(collection)
        work = lambda: Verification(self._journal, self._indexes).verify(known, repair=repair)  # noqa: E731
        async with self._caring, aclosing(self._loop.stream(work)) as comparisons:
            async for each in comparisons:
                yield each

    async def _mended(self, collection: Collection) -> AsyncGenerator[Comparison, None]:
        work = lambda: Verification(self._journal, self._indexes).mend_local(collection)  # noqa: E731
        async with self._caring, aclosing(self._loop.stream(work)) as comparisons:
            async for each in comparisons:
                yield each

    async def wait_indexed(self, collection: str, sequence: int, *, deadline: Deadline) -> list[IndexState]:
        """Returns once every index has applied `sequence`; 0 stands for the last one now.

        Raises `InvalidRequest` for a sequence that has not been written, `DeadlineExceeded`.
        """
        known = await self._journal.collection(collection)
        if sequence > known.last_sequence:
            raise InvalidRequest.of("sequence", f"not written yet; the last one is {known.last_sequence}")
        if not self._indexes.has(known, known.serving_generation):  # made by another server, just now
            await self._generations.refresh(collection)
        until = sequence or known.last_sequence
        try:
            async with asyncio.timeout(deadline.remaining):
                await self._loop.run(lambda: self._indexes.wait(collection, known.serving_generation, until))
        except TimeoutError:
            behind = [each.stage for each in self._indexes.states(known) if each.applied_sequence < until]
            message = f"sequence {until} is not yet in: {', '.join(behind) or 'every index'}"
            raise DeadlineExceeded(message) from None
        return self._indexes.states(known)

    def search(self, search: Search, deadline: Deadline, *, request_id: str = "") -> AsyncGenerator[Event, None]:
        """The whole pipeline over a collection. Raises `NotFound`, `InvalidRequest`, `Unavailable`, `IndexBehind`."""
        return self._searched(search, lambda pipeline: pipeline.expression, deadline, request_id)

    def retrieve(self, search: Search, deadline: Deadline, *, request_id: str = "") -> AsyncGenerator[Event, None]:
        """The retrieval part of the pipeline. Raises like `search`."""
        return self._searched(search, lambda pipeline: pipeline.retrieval, deadline, request_id)

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

    async def _searched(
        self, search: Search, part: Callable[[Pipeline], Expression], deadline: Deadline, request_id: str
    ) -> AsyncGenerator[Event, None]:
        """A part of the pipeline, bound to a generation, once what it needs has been looked up."""
        serving = await in_time(self._generations.serving(search.query.collection), deadline)
        with self._generations.bound(search, serving) as bound:
            expression = part(bound.pipeline)
            request = await in_time(self._request(bound, expression, deadline, request_id), deadline)
            async with aclosing(self._orchestrator.search(bound.pipeline, request, expression)) as events:
                async for event in events:
                    yield event

    async def _request(self, search: Search, part: Expression, deadline: Deadline, request_id: str) -> Request:
        progress = await self._progress.reached(search, part, deadline)
        like = [await self._like(search.query.collection, each) for each in search.like_document_ids]
        return search.request(deadline, request_id, like, progress)

    async def _like(self, collection: str, document_id: str) -> Document:
        try:
            found = await self._journal.document(collection, document_id)
        except NotFound:
            raise NotFound("document", document_id, field="like_document_ids") from None
        return replace(found, text=found.text[:MOST_LIKE])  # twenty whole documents would be much to hold

    async def _create_collection(self, id: str, language: str, tenant_partitioned: bool) -> Collection:
        async with self._changing:
            created = await self._journal.create_collection(
                id, language, self._recipes.current, tenant_partitioned=tenant_partitioned
            )
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


async def in_time(looking: Awaitable[T], deadline: Deadline) -> T:
    """What a search looks up in the journal, which may be behind long reads for indexes.

    Raises `Unavailable` when it is not done by the deadline: the caller waits no longer than that.
    """
    try:
        async with asyncio.timeout(None if math.isinf(deadline.at) else deadline.remaining):
            return await looking
    except TimeoutError:
        raise Unavailable("the collection could not be looked up in time") from None


def _planner(config: Config) -> Planner:
    gains = {stage: GainCurve.through(points) for stage, points in config.planner.gains.items()}
    return Planner(gains, learns=config.planner.learns)


async def _journal(config: Config) -> Journal:
    directory, settings = config.server.data_directory, config.journal
    if settings.url is None:
        return await Journal.open(directory / "journal.sqlite")
    address = PostgresAddress(settings.url.get_secret_value(), settings.namespace, settings.password_file)
    return await Journal.open(address, lock=directory / "journal.lock")
