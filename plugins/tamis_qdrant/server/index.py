"""One collection's vectors on a Qdrant server."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import aclosing

import structlog
from qdrant_client import grpc as api

from tamis.context import Call, CallEnded
from tamis.deadline import Deadline
from tamis.errors import Aborted, ConfigurationError, Overloaded, Superseded, Unavailable, Unusable
from tamis.model import Candidate, Change, Passage, Query
from tamis.models import TextKind
from tamis.terms import superset
from tamis_qdrant.server import marks, messages
from tamis_qdrant.server.collection import ServerCollection
from tamis_qdrant.server.connection import Connection, Refused
from tamis_qdrant.server.searches import Searches
from tamis_qdrant.settings import QdrantSettings
from tamis_qdrant.vectors import NamedVectors, NotFinite, Vector

__all__ = ["ServerIndex"]

_LOG = structlog.get_logger(__name__)
_AT_ONCE = 64  # passages, or documents without any


class ServerIndex:
    """Implements `tamis.stage.Index` and `SharedIndex`.

    A point of the Qdrant collection itself holds the checkpoint of an epoch. It is written last, after every other
    write of a batch has been applied, and read before the first: so it is never ahead, also when the server has lost
    its data or was restored from a backup in the meantime. Then, and while the server is away, the follower is told to
    begin again from the checkpoint that there is.
    """

    def __init__(
        self,
        connection: Connection,
        name: str,
        vectors: Sequence[NamedVectors],
        language: str,
        settings: QdrantSettings,
        executor: Executor,
        closed: Callable[[ServerIndex], None],
        delete_later: Callable[[ServerIndex], None],
    ) -> None:
        """Asks nothing of the server yet."""
        self.name = name
        self._vectors, self._language, self._settings = vectors, language, settings
        self._consistency = messages.read_consistency(settings.read_consistency)
        self._collection = ServerCollection(connection, name, vectors, language, settings)
        self._searches: Searches[api.QueryPoints, Sequence[api.ScoredPoint]] = Searches(
            self._collection.search, patience=settings.batch_seconds
        )
        self._epoch = 0
        self._reached: int | None = None
        self._preparing = asyncio.Lock()
        self._executor, self._tell_closed, self._delete_later = executor, closed, delete_later

    async def prepare(self) -> None:
        """Creates the collection, or checks who made it.

        Raises `ConfigurationError` when its vectors are others than those asked for, or the server refuses what is
        configured; `Unavailable` while it is away.
        """
        try:
            await self.checkpoint()
        except Refused as error:
            raise ConfigurationError(error.message) from None

    async def take_over(self, epoch: int) -> int:
        """The checkpoint of the epoch before, which is this one's from now on.

        Nothing is swept: what an earlier epoch had begun is applied again, and what it still writes are versions of
        passages that the journal knows, or knows to be superseded.
        """
        state = await self._prepared()
        if state.epoch > epoch:
            raise self._superseded()
        await self._collection.mark(state, epoch, state.checkpoint)
        await self._collection.unmark([each for each in (state.epoch, *state.others) if each < epoch])
        self._epoch, self._reached = epoch, state.checkpoint
        return self._reached

    async def apply(self, changes: Sequence[Change], *, upto: int) -> None:
        """Replaces the documents, a few at a time, then moves the checkpoint; each write waits until it is applied, and
        meanwhile the next few are embedded.

        Raises `Aborted` when the collection is not as it was left: it must be followed again from its checkpoint.
        """
        state = await self._as_it_was_left()
        async with aclosing(self._embedded(_groups({each.document_id: each for each in changes}.values()))) as embedded:
            async for group, batches in embedded:
                for batch in batches:
                    await self._collection.upsert(batch)
                await self._collection.delete_older({change.document_id: change.sequence for change in group})
        await self._collection.mark(state, self._epoch, upto)
        self._reached = upto

    async def checkpoint(self) -> int:
        """As the server has it, of the latest epoch; a collection that is gone is made anew, and begins at 0."""
        self._reached = (await self._prepared()).checkpoint
        return self._reached

    def ids(self) -> AsyncIterator[tuple[str, int]]:
        """A superseded version that somebody wrote late may be among them, beside the latest of the same passage."""
        return self._collection.ids()

    async def search(
        self, vectors: NamedVectors, query: Query, *, limit: int, call: Call, stage: object, among: frozenset[object]
    ) -> list[Candidate]:
        """The best passages by one of the vectors, among those that may satisfy the filter.

        Goes in one request with the searches of the stages `among`, which run at the same time.
        """
        with self._searches.place(stage, among, call) as place:
            call.check()
            if self._reached is None:  # nobody has seen yet whose vectors these are
                self._collection.checked(await self._collection.state(call.deadline))
            kind, language = TextKind.QUERY, self._language
            (vector,) = await vectors.encode([query.text], kind=kind, language=language, call=call)
            if vector is None:
                return []
            wanted = None if query.filter is None else superset(query.filter)
            asked = messages.query(self.name, vectors.name, vector, wanted, limit, self._consistency)
            return messages.candidates(await place.ask(asked), vectors.score_kind)

    async def close(self) -> None:
        self._tell_closed(self)
        await self._searches.close()

    async def drop(self) -> None:
        """Deletes the Qdrant collection, at once or, when the server is away, once it is back."""
        await self.close()
        try:
            await self.delete()
        except (Unavailable, Overloaded) as error:
            _LOG.warning("qdrant collection cannot be deleted yet", collection=self.name, reason=error.message)
            self._delete_later(self)

    async def delete(self) -> None:
        """Deletes the Qdrant collection, if it is there. Raises `Unavailable` or `Overloaded`."""
        await self._collection.delete()

    async def _prepared(self) -> marks.State:
        async with self._preparing:
            try:
                return await self._collection.prepared(Deadline.after(self._settings.connect_seconds))
            except CallEnded:
                raise self._collection.silent() from None

    async def _as_it_was_left(self) -> marks.State:
        try:
            state = await self._collection.state(Deadline.after(self._settings.write_seconds))
        except CallEnded:
            raise self._collection.silent() from None
        if state is not None and state.epoch > self._epoch:
            raise self._superseded()
        if state is None or self._reached != state.checkpoint:
            self._reached = None
            raise Aborted("the Qdrant collection is not as it was left; following again from its own checkpoint")
        return state

    def _superseded(self) -> Superseded:
        return Superseded(f"another server writes to the Qdrant collection {self.name!r} by now")

    async def _embedded(
        self, groups: Iterable[list[Change]]
    ) -> AsyncGenerator[tuple[list[Change], list[list[api.PointStruct]]], None]:
        """Each group with its points, one group ahead of whoever writes them."""
        begun: deque[tuple[list[Change], asyncio.Task[list[list[api.PointStruct]]]]] = deque()
        try:
            for group in groups:
                passages = [passage for change in group for passage in change.passages]
                if begun:
                    await asyncio.wait([begun[-1][1]])  # one at a time, so that each is done as soon as can be
                begun.append((group, asyncio.create_task(self._points(passages))))
                if len(begun) > 1:
                    earlier, points = begun.popleft()
                    yield earlier, await points
            while begun:
                earlier, points = begun.popleft()
                yield earlier, await points
        finally:
            for _, points in begun:
                points.cancel()
            await asyncio.gather(*(points for _, points in begun), return_exceptions=True)

    async def _points(self, passages: Sequence[Passage]) -> list[list[api.PointStruct]]:
        """In batches fit to send. Made outside the event loop: token vectors are millions of numbers."""
        if not passages:
            return []
        texts = [passage.full_text for passage in passages]
        found: dict[str, Sequence[Vector | None]] = {}
        try:
            for each in self._vectors:
                found[each.name] = await each.encode(texts, kind=TextKind.PASSAGE, language=self._language, call=Call())
        except NotFinite as error:
            document_id = passages[error.place].document_id
            raise Unusable(document_id, "the embedder makes a vector of it that is not finite") from error

        def batches() -> list[list[api.PointStruct]]:
            rows = ({name: vectors[row] for name, vectors in found.items()} for row in range(len(passages)))
            return [*messages.batches(map(messages.point, passages, rows))]

        return await asyncio.get_running_loop().run_in_executor(self._executor, batches)


def _groups(changes: Iterable[Change]) -> Iterator[list[Change]]:
    """Changes with about `_AT_ONCE` passages together, so that memory and conditions are bounded."""
    group: list[Change] = []
    count = 0
    for change in changes:
        group.append(change)
        count += max(1, len(change.passages))
        if count >= _AT_ONCE:
            yield group
            group, count = [], 0
    if group:
        yield group
