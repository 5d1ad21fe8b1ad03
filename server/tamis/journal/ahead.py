"""The next changes for an index, read and prepared while those before them are applied."""

from __future__ import annotations

import asyncio
from typing import Any

from tamis.journal.journal import Journal
from tamis.journal.records import Changes
from tamis.stage import Index, Prepares

__all__ = ["Ahead", "Batch"]


class Batch:
    """Changes behind a sequence, on their way out of the journal and through `Prepares.prepared`."""

    def __init__(self, after: int, changes: asyncio.Task[Changes], preparing: asyncio.Task[Any] | None) -> None:
        """`preparing` is None for an index that prepares nothing."""
        self.after, self._changes, self._preparing = after, changes, preparing

    async def changes(self) -> Changes:
        """Raises what the journal raised."""
        return await asyncio.shield(self._changes)

    async def prepared(self) -> None:
        """Returns once they can be applied. Raises what preparing them raised."""
        if self._preparing is not None:
            await asyncio.shield(self._preparing)

    async def apply(self, index: Index) -> None:
        """Has the index apply all of them, once they are prepared. Raises what the index raises."""
        found = self._changes.result()
        if self._preparing is not None and isinstance(index, Prepares):
            await index.apply_prepared(self._preparing.result(), upto=found.upto)
        else:
            await index.apply(found.changes, upto=found.upto)

    async def leave(self) -> None:
        """Ends what is still being done for them."""
        tasks = [each for each in (self._changes, self._preparing) if each is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Ahead:
    """Batches that are begun before their turn, changing nothing in the index: there is one at most, besides the batch
    that is applied. It is prepared after that one, so that a model is done with the first of them first."""

    def __init__(self, journal: Journal, collection: str, split: int, index: Index) -> None:
        self._journal, self._collection, self._split, self._index = journal, collection, split, index
        self._begun: dict[int, Batch] = {}

    def begin(self, after: int, behind: Batch | None = None) -> Batch:
        """The batch behind a sequence, begun now unless it has been; it is prepared once `behind` is."""
        if (batch := self._begun.get(after)) is None:
            changes = asyncio.create_task(self._read(after))
            preparing = None
            if isinstance(self._index, Prepares):
                preparing = asyncio.create_task(_prepared(self._index, changes, behind))
            batch = self._begun[after] = Batch(after, changes, preparing)
        return batch

    async def done(self, batch: Batch) -> None:
        """Forgets a batch, whatever became of it."""
        self._begun.pop(batch.after, None)
        await batch.leave()

    async def forget(self) -> None:
        """Forgets all: what comes next is read when it is needed."""
        begun, self._begun = [*self._begun.values()], {}
        await asyncio.gather(*(each.leave() for each in begun))

    async def _read(self, after: int) -> Changes:
        return await self._journal.changes(self._collection, after=after, split=self._split)


async def _prepared(index: Prepares, changes: asyncio.Task[Changes], behind: Batch | None) -> Any:
    found = await asyncio.shield(changes)
    if behind is not None:
        await asyncio.gather(behind.prepared(), return_exceptions=True)
    return await index.prepared(found.changes)
