"""One collection on a Qdrant server: how it is made, read and written, so that late writes of others do no harm."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import structlog
from qdrant_client import grpc as api

from tamis.context import CallEnded
from tamis.deadline import Deadline
from tamis.errors import ConfigurationError, TamisError, Unavailable
from tamis_qdrant.server import marks, messages
from tamis_qdrant.server.connection import Connection, Missing, whole_seconds
from tamis_qdrant.settings import QdrantSettings
from tamis_qdrant.vectors import NamedVectors

__all__ = ["ServerCollection"]

_LOG = structlog.get_logger(__name__)
_FORMAT = 2
_PAGE = 1_000
_MARKS = 16  # a collection has two, or one more for a while
_STRONG = api.WriteOrdering(type=api.WriteOrderingType.Strong)
_INDEXED = {
    "d": api.FieldType.FieldTypeKeyword,
    "t": api.FieldType.FieldTypeKeyword,
    "v": api.FieldType.FieldTypeInteger,
}


class ServerCollection:
    """Every write waits until it is applied, and commutes with every other one but a newer checkpoint of its epoch.

    A point belongs to one version of a passage, and goes only by a change of its document that came after that version.
    So whatever arrives late, of whomever, the points of the latest versions stay.
    """

    def __init__(
        self,
        connection: Connection,
        name: str,
        vectors: Sequence[NamedVectors],
        language: str,
        settings: QdrantSettings,
    ) -> None:
        """Asks nothing of the server yet."""
        self.name = name
        self._connection, self._vectors, self._language, self._settings = connection, vectors, language, settings
        self._consistency = messages.read_consistency(settings.read_consistency)

    async def prepared(self, deadline: Deadline) -> marks.State:
        """Its marks; it is there afterwards. One in the format of an older Tamis is made anew: the journal fills it.

        Raises `ConfigurationError` when its vectors are not those that are asked for.
        """
        try:
            state = await self.state(deadline)
        except Missing:
            state = await self._created(deadline)
        if state is None:  # whoever made it has not finished, or still does
            state = await self._finished(deadline)
        elif any(each["format"] < _FORMAT for each in state.made_by):
            _LOG.warning("qdrant collection is of an older format; building it again", collection=self.name)
            await self.delete()
            state = await self._created(deadline)
        return self.checked(state)

    def checked(self, state: marks.State | None) -> marks.State:
        """The same. Raises `ConfigurationError` when the vectors are others, `Missing` when nobody can know yet."""
        if state is None:
            raise Missing(f"the Qdrant collection {self.name!r} is not finished")
        if any(each != self._made_by for each in state.made_by):
            raise ConfigurationError(
                f"the vectors in the Qdrant collection {self.name!r} were made by another embedder or with other "
                "settings; use a new collection, or those of before, or delete it there to have it built again"
            )
        return state

    async def state(self, deadline: Deadline) -> marks.State | None:
        """What its marks say; None while it is not finished. Raises `Missing`, `CallEnded`, `Unavailable`."""
        found: list[api.RetrievedPoint] = []
        offset: api.PointId | None = None
        while True:
            page = await self._page(("made_by", "origin", "checkpoint"), offset, _MARKS, deadline)
            found += page.result
            if not (page.HasField("next_page_offset") and marks.is_mark(found[-1])):
                return marks.read(found)
            offset = page.next_page_offset

    async def mark(self, state: marks.State, epoch: int, sequence: int) -> None:
        """Writes how far an epoch has got. `state` is the one that this follows from."""
        await self.upsert([marks.checkpoint(state.origin, epoch, sequence)])

    async def unmark(self, epochs: Sequence[int]) -> None:
        """Removes checkpoints that count no more."""
        if epochs:
            ids = [marks.checkpoint_id(each) for each in epochs]
            await self._delete(api.PointsSelector(points=api.PointsIdsList(ids=ids)))

    async def upsert(self, points: Sequence[api.PointStruct]) -> None:
        """Writes points."""
        request = api.UpsertPoints(collection_name=self.name, wait=True, points=points, ordering=_STRONG)
        await self._write(self._connection.points.Upsert, request)

    async def delete_older(self, versions: Mapping[str, int]) -> None:
        """Deletes the points of documents that are of an older version than is said of each."""
        await self._delete(api.PointsSelector(filter=messages.older(versions)))

    async def ids(self) -> AsyncIterator[tuple[str, int]]:
        """Passage id and version of every point; a superseded version may be among them."""
        offset: api.PointId | None = None
        while True:
            page = await self._page(("p", "v"), offset, _PAGE, self._write_deadline())
            for identity in messages.identities(page.result):
                yield identity
            if not page.HasField("next_page_offset"):
                return
            offset = page.next_page_offset

    async def search(self, asked: Sequence[api.QueryPoints], deadline: Deadline) -> Sequence[Sequence[api.ScoredPoint]]:
        """What was found for each query, all in one request."""
        request = api.QueryBatchPoints(
            collection_name=self.name,
            query_points=asked,
            read_consistency=self._consistency,
            timeout=whole_seconds(deadline),
        )
        found = await self._connection.ask(self._connection.points.QueryBatch, request, deadline)
        return [each.result for each in found.result]

    async def delete(self) -> None:
        """Deletes the Qdrant collection, if it is there. Raises `Unavailable` or `Overloaded`."""
        with suppress(Missing):
            await self._ask(self._connection.collections.Delete, api.DeleteCollection(collection_name=self.name))

    def silent(self) -> TamisError:
        """What to raise when the server did not answer."""
        return Unavailable(f"the Qdrant server at {self._connection.address} does not answer in time")

    @property
    def _made_by(self) -> Mapping[str, Any]:
        vectors = {each.name: dict(each.definition) for each in self._vectors}
        has_words = any(each["kind"] == "words" for each in vectors.values())
        return {"format": _FORMAT, "language": self._language if has_words else "", "vectors": vectors}

    async def _created(self, deadline: Deadline) -> marks.State | None:
        request = messages.collection(self.name, self._vectors, self._settings)
        request.timeout = math.ceil(self._settings.write_seconds)
        try:
            await self._ask(self._connection.collections.Create, request)
        except Unavailable as error:
            try:
                return await self.state(deadline) or await self._described(deadline)  # made by another, just now
            except Missing:
                raise error from None
        return await self._described(deadline)

    async def _finished(self, deadline: Deadline) -> marks.State | None:
        """Makes it anew only if its vectors are others than those that are wanted."""
        asked = api.GetCollectionInfoRequest(collection_name=self.name)
        found = (await self._ask(self._connection.collections.Get, asked)).result.config.params
        if messages.shape(found) == messages.shape(messages.collection(self.name, self._vectors, self._settings)):
            return await self._described(deadline)
        await self.delete()
        return await self._created(deadline)

    async def _described(self, deadline: Deadline) -> marks.State | None:
        """The description comes last: a collection without it is not finished."""
        for field, kind in _INDEXED.items():
            index = api.CreateFieldIndexCollection(
                collection_name=self.name, wait=True, field_name=field, field_type=kind
            )
            await self._write(self._connection.points.CreateFieldIndex, index)
        await self.upsert([marks.description(self._made_by)])
        _LOG.info("qdrant collection created", collection=self.name)
        return await self.state(deadline)

    async def _page(
        self, fields: Sequence[str], offset: api.PointId | None, limit: int, deadline: Deadline
    ) -> api.ScrollResponse:
        """Points by rising id, marks first."""
        request = api.ScrollPoints(
            collection_name=self.name,
            offset=offset,
            limit=limit,
            with_payload=api.WithPayloadSelector(include=api.PayloadIncludeSelector(fields=fields)),
            read_consistency=self._consistency,
        )
        found: api.ScrollResponse = await self._connection.ask(self._connection.points.Scroll, request, deadline)
        return found

    async def _delete(self, selector: api.PointsSelector) -> None:
        request = api.DeletePoints(collection_name=self.name, wait=True, points=selector, ordering=_STRONG)
        await self._write(self._connection.points.Delete, request)

    async def _write(self, method: Callable[..., Any], request: Any) -> None:
        answer = await self._ask(method, request)
        if answer.result.status != api.UpdateStatus.Completed:
            raise Unavailable("the Qdrant server has not applied a write")

    async def _ask(self, method: Callable[..., Any], request: Any) -> Any:
        try:
            return await self._connection.ask(method, request, self._write_deadline())
        except CallEnded:
            raise self.silent() from None

    def _write_deadline(self) -> Deadline:
        return Deadline.after(self._settings.write_seconds)
