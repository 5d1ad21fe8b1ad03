"""One collection's vectors on a Qdrant server."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from typing import Any

import structlog
from qdrant_client import grpc as api

from tamis.context import Call, CallEnded
from tamis.deadline import Deadline
from tamis.errors import Aborted, ConfigurationError, Overloaded, TamisError, Unavailable, Unusable
from tamis.model import Candidate, Change, Passage, Query
from tamis.models import TextKind
from tamis.terms import superset
from tamis_qdrant.server import messages
from tamis_qdrant.server.connection import Connection, Missing, Refused, whole_seconds
from tamis_qdrant.server.searches import Searches
from tamis_qdrant.settings import QdrantSettings
from tamis_qdrant.vectors import NamedVectors, NotFinite, Vector

__all__ = ["ServerIndex"]

_LOG = structlog.get_logger(__name__)
_FORMAT = 1
_PAGE = 1_000
_AT_ONCE = 64  # passages
_STRONG = api.WriteOrdering(type=api.WriteOrderingType.Strong)


class ServerIndex:
    """Implements `tamis.stage.Index`.

    A point of the Qdrant collection itself holds the checkpoint. It is written last, after every other write of a batch
    has been applied, and read before the first: so it is never ahead, also when the server has lost its data or was
    restored from a backup in the meantime. Then, and while the server is away, the follower is told to begin again from
    the checkpoint that there is.
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
        self._connection, self._vectors, self._language, self._settings = connection, vectors, language, settings
        self._consistency = messages.read_consistency(settings.read_consistency)
        self._searches: Searches[api.QueryPoints, Sequence[api.ScoredPoint]] = Searches(
            self._send, patience=settings.batch_seconds
        )
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

    async def apply(self, changes: Sequence[Change], *, upto: int) -> None:
        """Replaces the documents, a few at a time, then moves the checkpoint; each write waits until it is applied.

        Raises `Aborted` when the collection is not as it was left: it must be followed again from its checkpoint.
        """
        try:
            held = await self._held(self._write_deadline())
        except CallEnded:
            raise self._silent() from None
        if self._reached is None or held is None or held[0] != self._reached:
            self._reached = None
            raise Aborted("the Qdrant collection is not as it was left; following again from its own checkpoint")
        for group in _groups({change.document_id: change for change in changes}.values()):
            points = await self._points([passage for change in group for passage in change.passages])
            await self._delete([change.document_id for change in group])
            for batch in points:
                await self._upsert(batch)
        await self._upsert([messages.mark(upto, self._made_by)])
        self._reached = upto

    async def checkpoint(self) -> int:
        """As the server has it; a collection that is gone is made anew, and begins at 0."""
        try:
            self._reached = await self._prepared(Deadline.after(self._settings.connect_seconds))
        except CallEnded:
            raise self._silent() from None
        return self._reached

    async def ids(self) -> AsyncIterator[tuple[str, int]]:
        offset: api.PointId | None = None
        while True:
            page = await self._ask(
                self._connection.points.Scroll,
                api.ScrollPoints(
                    collection_name=self.name,
                    offset=offset,
                    limit=_PAGE,
                    with_payload=api.WithPayloadSelector(include=api.PayloadIncludeSelector(fields=["p", "v"])),
                    read_consistency=self._consistency,
                ),
            )
            for identity in messages.identities(page.result):
                yield identity
            if not page.HasField("next_page_offset"):
                return
            offset = page.next_page_offset

    async def search(
        self, vectors: NamedVectors, query: Query, *, limit: int, call: Call, stage: object, among: frozenset[object]
    ) -> list[Candidate]:
        """The best passages by one of the vectors, among those that may satisfy the filter.

        Goes in one request with the searches of the stages `among`, which run at the same time.
        """
        with self._searches.place(stage, among, call) as place:
            call.check()
            if self._reached is None:  # nobody has seen yet whose vectors these are
                self._check(await self._held(call.deadline))
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
        with suppress(Missing):
            await self._ask(self._connection.collections.Delete, api.DeleteCollection(collection_name=self.name))

    @property
    def _made_by(self) -> Mapping[str, Any]:
        vectors = {each.name: dict(each.definition) for each in self._vectors}
        has_words = any(each["kind"] == "words" for each in vectors.values())
        return {"format": _FORMAT, "language": self._language if has_words else "", "vectors": vectors}

    async def _prepared(self, deadline: Deadline) -> int:
        """The checkpoint of the collection, which is there afterwards."""
        async with self._preparing:
            try:
                held = await self._held(deadline)
            except Missing:
                await self._create()
                return 0
            if held is None:  # whoever began to make it did not finish
                await self.delete()
                await self._create()
                return 0
            return self._check(held)

    def _check(self, held: tuple[int, Any] | None) -> int:
        """The checkpoint. Raises `ConfigurationError` when the vectors are not those that this index makes."""
        if held is None:
            raise Missing(f"the Qdrant collection {self.name!r} is not finished")
        reached, made_by = held
        if made_by != self._made_by:
            raise ConfigurationError(
                f"the vectors in the Qdrant collection {self.name!r} were made by another embedder or with other "
                "settings; use a new collection, or those of before, or delete it there to have it built again"
            )
        return reached

    async def _create(self) -> None:
        """The note comes last: a collection without it is not finished."""
        request = messages.collection(self.name, self._vectors, self._settings)
        request.timeout = math.ceil(self._settings.write_seconds)
        await self._ask(self._connection.collections.Create, request)
        for field in ("d", "t"):
            index = api.CreateFieldIndexCollection(
                collection_name=self.name, wait=True, field_name=field, field_type=api.FieldType.FieldTypeKeyword
            )
            await self._write(self._connection.points.CreateFieldIndex, index)
        await self._upsert([messages.mark(0, self._made_by)])
        _LOG.info("qdrant collection created", collection=self.name)

    async def _held(self, deadline: Deadline) -> tuple[int, Any] | None:
        request = api.GetPoints(
            collection_name=self.name,
            ids=[messages.CHECKPOINT],
            with_payload=api.WithPayloadSelector(enable=True),
            read_consistency=self._consistency,
        )
        found = await self._connection.ask(self._connection.points.Get, request, deadline)
        return messages.read_mark(found.result)

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

    async def _send(self, asked: Sequence[api.QueryPoints], deadline: Deadline) -> Sequence[Sequence[api.ScoredPoint]]:
        request = api.QueryBatchPoints(
            collection_name=self.name,
            query_points=asked,
            read_consistency=self._consistency,
            timeout=whole_seconds(deadline),
        )
        found = await self._connection.ask(self._connection.points.QueryBatch, request, deadline)
        return [each.result for each in found.result]

    async def _delete(self, documents: Sequence[str]) -> None:
        selector = api.PointsSelector(filter=messages.documents(documents))
        request = api.DeletePoints(collection_name=self.name, wait=True, points=selector, ordering=_STRONG)
        await self._write(self._connection.points.Delete, request)

    async def _upsert(self, points: Sequence[api.PointStruct]) -> None:
        request = api.UpsertPoints(collection_name=self.name, wait=True, points=points, ordering=_STRONG)
        await self._write(self._connection.points.Upsert, request)

    async def _write(self, method: Callable[..., Any], request: Any) -> None:
        answer = await self._ask(method, request)
        if answer.result.status != api.UpdateStatus.Completed:
            raise Unavailable("the Qdrant server has not applied a write")

    async def _ask(self, method: Callable[..., Any], request: Any) -> Any:
        try:
            return await self._connection.ask(method, request, self._write_deadline())
        except CallEnded:
            raise self._silent() from None

    def _write_deadline(self) -> Deadline:
        return Deadline.after(self._settings.write_seconds)

    def _silent(self) -> TamisError:
        return Unavailable(f"the Qdrant server at {self._connection.address} does not answer in time")


def _groups(changes: Iterable[Change]) -> Iterator[list[Change]]:
    """Changes with about `_AT_ONCE` passages together: memory is bounded, and no document is away for long."""
    group: list[Change] = []
    count = 0
    for change in changes:
        group.append(change)
        count += len(change.passages)
        if count >= _AT_ONCE:
            yield group
            group, count = [], 0
    if group:
        yield group
