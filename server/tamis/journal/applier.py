"""Applies changes to an index, and finds the documents that it cannot take."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime

import structlog

from tamis.errors import (
    Aborted,
    ConfigurationError,
    DeadlineExceeded,
    Overloaded,
    Superseded,
    TamisError,
    Unavailable,
    Unusable,
)
from tamis.journal.journal import Journal
from tamis.journal.leases import Tenure
from tamis.journal.records import DeadLetter
from tamis.model import Change, Passage

__all__ = ["Applier"]

_LOG = structlog.get_logger(__name__)
_PAUSES = (0.1, 0.5, 0.0)  # seconds after each time that a document failed and the index did not
_LONGEST_REASON = 500
_STAND_IN = "word"
_SURROUNDINGS = (
    Aborted,
    ConfigurationError,
    DeadlineExceeded,
    MemoryError,
    OSError,
    Overloaded,
    Superseded,
    Unavailable,
)
"""Failures that are never a document's: a disk, a server, a neighbour."""


class Applier:
    """Applies batches to one index. What the index cannot take goes to the dead letters, and the rest goes on.

    A document is blamed when the index says so (`Unusable`), or when it fails again and again by itself. Either way the
    index must take another text in its place: a disk that is full, a server that is away or a model that is broken
    fails there too, and then nobody is blamed. A dead letter is durable before the index's checkpoint passes the
    document, of which nothing is left to be found. A crash at any place is mended by applying the same changes again.
    """

    def __init__(
        self,
        journal: Journal,
        collection: str,
        generation: int,
        stage: str,
        apply: Callable[[Sequence[Change], int], Awaitable[None]],
        tenure: Callable[[], Tenure] = Tenure,
    ) -> None:
        """`apply` takes changes and a checkpoint, as `Index.apply` does. `tenure` tells on whose behalf it is now."""
        self._journal, self._index = journal, (collection, generation, stage)
        self._apply, self._tenure = apply, tenure
        self.dead_letter_count = 0
        """How many dead letters the index has, as of the last `apply` or `count`."""

    async def count(self) -> int:
        """Counts the dead letters anew."""
        self.dead_letter_count = await self._journal.dead_letter_count(*self._index)
        return self.dead_letter_count

    async def apply(
        self, changes: Sequence[Change], upto: int, attempt: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        """On return the index is at `upto`. Raises what is no document's fault; then the index may be anywhere before.

        `attempt` applies just these changes in another way, which is tried first. Dead letters of documents that are
        written anew or deleted are withdrawn first, and come back if they must.
        """
        if self._journal.is_shared:
            await self.count()  # other servers may have an index of their own in the same place
        if self.dead_letter_count:
            await self._withdraw({each.document_id: each.sequence for each in changes})
        await self._take(changes, upto, attempt)

    async def _withdraw(self, versions: Mapping[str, int]) -> None:
        tenure = self._tenure()
        found = await self._journal.dead_lettered(*self._index, list(versions))
        if found:
            # Another server's index may lack the very version that this one is about to take.
            kept = 1 if self._journal.is_shared and tenure.epoch is None else 0
            withdrawn = {each: versions[each] - kept for each in found}
            await self._journal.withdraw_dead_letters(*self._index, withdrawn, tenure)
        await self.count()

    async def _take(
        self, changes: Sequence[Change], upto: int, attempt: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        """Halves what fails until a single change is left."""
        try:
            await (attempt() if attempt else self._apply(changes, upto))
            return
        except _SURROUNDINGS:
            raise
        except Unusable as error:
            named = next((each for each in changes if each.document_id == error.document_id and each.passages), None)
            if named is not None:
                await self._give_up(named, error, before=changes[0].sequence - 1)
                changes = [_removal(each) if each is named else each for each in changes]
        except Exception:
            if not changes:
                raise
            named = None
        if len(changes) > 1:
            middle = len(changes) // 2
            await self._take(changes[:middle], changes[middle].sequence - 1)
            await self._take(changes[middle:], upto)
        elif named is not None:
            await self._apply(changes, upto)
        else:
            await self._take_one(changes[0], upto)

    async def _take_one(self, change: Change, upto: int) -> None:
        """Tries the document again, and between that whether the index takes anything at all."""
        for pause in _PAUSES:
            try:
                await self._apply([change], upto)
                return
            except _SURROUNDINGS:
                raise
            except Exception as error:
                failure = error
            if not change.passages:
                raise failure
            await self._apply([_stand_in(change)], change.sequence - 1)
            await asyncio.sleep(pause)
        await self._give_up(change, failure, before=change.sequence - 1)
        await self._apply([_removal(change)], upto)

    async def _give_up(self, change: Change, error: Exception, *, before: int) -> None:
        """Sees first that the index is well, and that what it holds of the document can be removed."""
        await self._apply([_stand_in(change)], before)
        await self._apply([_removal(change)], before)
        collection, generation, stage = self._index
        reason = _reason(error)
        letter = DeadLetter(stage, generation, change.document_id, change.sequence, reason, datetime.now(UTC))
        await self._journal.put_dead_letter(collection, letter, self._tenure())
        await self.count()
        where = {"collection": collection, "stage": stage, "generation": generation, "version": change.sequence}
        _LOG.error("document goes to the dead letters", reason=reason, **where)


def _stand_in(change: Change) -> Change:
    """The same document with a harmless text and nothing else."""
    first = change.passages[0]
    return Change(
        change.sequence,
        change.document_id,
        (Passage(first.id, first.document_id, first.document_version, _STAND_IN),),
    )


def _removal(change: Change) -> Change:
    return Change(change.sequence, change.document_id)


def _reason(error: Exception) -> str:
    """Only expected errors speak to people; what others say may hold a part of the document."""
    if isinstance(error, TamisError) and error.message:
        return error.message[:_LONGEST_REASON]
    return f"the index failed with {type(error).__name__}"
