"""One index on another machine, which several servers may see."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

from tamis.context import Call, CallEnded
from tamis.deadline import Deadline
from tamis.errors import NotFound, Unavailable
from tamis.model import Change
from tamis.v1 import plugin_service_pb2 as pb
from tamis.wire.plugin_values import from_changes
from tamis_remote.remote import paused

if TYPE_CHECKING:
    from tamis_remote.retriever import RemoteRetriever

__all__ = ["RemoteIndex", "key_of"]

_PATIENCE = 30.0  # seconds for what takes no work on the other side


class RemoteIndex:
    """Implements `tamis.stage.Index` and `SharedIndex`. The other side keeps epoch and checkpoint; what it has lost it
    tells, and the follower begins again from there."""

    def __init__(
        self, retriever: RemoteRetriever, reference: pb.IndexReference, closed: Callable[[RemoteIndex], None]
    ) -> None:
        """Asks nothing of the other side yet."""
        self.reference = reference
        self._retriever, self._tell_closed = retriever, closed
        self._epoch = self._reached = 0

    async def take_over(self, epoch: int) -> int:
        call = _soon()
        request = pb.TakeOverIndexRequest(call=self._retriever.calling(call), index=self.reference, epoch=epoch)
        self._reached = (await self._one("TakeOverIndex", request, call)).sequence
        self._epoch = epoch
        return self._reached

    async def checkpoint(self) -> int:
        call = _soon()
        request = pb.GetCheckpointRequest(call=self._retriever.calling(call), index=self.reference)
        self._reached = (await self._one("GetCheckpoint", request, call)).sequence
        return self._reached

    async def apply(self, changes: Sequence[Change], *, upto: int) -> None:
        """Raises `IndexBehindCaller` when the index has been lost meanwhile, `Superseded`, `Unusable`; otherwise
        `Unavailable`, or a plain `TamisError` where the other side failed."""
        call = Call()
        await self._one("ApplyChanges", self._requests(changes, upto, call), call)
        self._reached = upto

    async def ids(self) -> AsyncIterator[tuple[str, int]]:
        call = Call()
        request = pb.ListIndexedPassagesRequest(call=self._retriever.calling(call), index=self.reference)
        connection = self._retriever.connection
        async with aclosing(connection.many(connection.stub.ListIndexedPassages, request, call)) as responses:
            async for response in responses:
                for each in response.passages:
                    yield each.passage_id, each.document_version

    async def close(self) -> None:
        """The other side keeps it open: other servers may search it."""
        self._tell_closed(self)

    async def drop(self) -> None:
        await self.close()
        call = _soon()
        request = pb.DropIndexRequest(call=self._retriever.calling(call), index=self.reference)
        await self._one("DropIndex", request, call)

    async def _one(self, method: str, request: object, call: Call) -> pb.GetCheckpointResponse:
        connection = self._retriever.connection
        try:
            found: pb.GetCheckpointResponse = await connection.one(getattr(connection.stub, method), request, call)
            return found
        except CallEnded:
            raise Unavailable(f"{connection.where} does not answer") from None
        except NotFound as error:
            raise Unavailable(f"{connection.where}: {error.message}") from None

    async def _requests(
        self, changes: Sequence[Change], upto: int, call: Call
    ) -> AsyncIterator[pb.ApplyChangesRequest]:
        message = pb.ApplyChangesRequest(
            call=self._retriever.calling(call),
            index=self.reference,
            epoch=self._epoch,
            known_sequence=self._reached,
            sequence=upto,
        )
        async for group in paused(from_changes(changes)):
            message.changes.extend(group)
            yield message
            message = pb.ApplyChangesRequest()
        if not changes:
            yield message


def key_of(collection: str, generation: int, directory: Path) -> str:
    """Names the index that the server would keep in `directory`.

    That is `…/INCARNATION/STAGE` for the first generation, and for others has one folder more. A collection that was
    deleted and created again has another incarnation, and so has one of the same name elsewhere.
    """
    parts = directory.parts[-2:] if generation == 1 else directory.parts[-3:]
    digest = blake2b("\0".join((collection, str(generation), *parts)).encode(), digest_size=16).hexdigest()
    readable = re.sub(r"[^A-Za-z0-9_-]", "-", collection)[:64]
    return f"{readable}-{generation}-{digest}" if readable else f"{generation}-{digest}"


def _soon() -> Call:
    return Call(Deadline.after(_PATIENCE))
