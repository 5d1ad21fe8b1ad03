"""What indexes could not take, as the journal keeps it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from tamis.errors import NotFound
from tamis.journal import dead_letters, leases
from tamis.journal.database import Database
from tamis.journal.group_commit import GroupCommit
from tamis.journal.records import DeadLetter, Rewrite, Written
from tamis.journal.snapshots import Snapshots
from tamis.journal.store import Store

__all__ = ["DeadLetterBox"]

_PAGE = 1_000  # documents


class DeadLetterBox:
    """The dead letters of a journal; `Journal` derives from it."""

    _reads: Snapshots
    _writes: GroupCommit

    async def dead_letters(
        self, collection: str, *, limit: int, after: dead_letters.Place | None = None
    ) -> list[DeadLetter]:
        """At most `limit` dead letters by stage, document id and generation, those beyond `after`."""
        return await self._reads.read(
            lambda store: dead_letters.page(store.database, store.key(collection), limit, after),
        )

    async def dead_letter_count(self, collection: str, generation: int, stage: str) -> int:
        """How many documents an index could not take."""
        return await self._reads.read(
            lambda store: dead_letters.count(store.database, store.key(collection), generation, stage)
        )

    async def dead_lettered(
        self, collection: str, generation: int, stage: str, document_ids: Sequence[str]
    ) -> list[str]:
        """Those of the documents that an index could not take."""
        return await self._reads.read(
            lambda store: dead_letters.among(store.database, store.key(collection), generation, stage, document_ids)
        )

    async def put_dead_letter(self, collection: str, letter: DeadLetter, tenure: leases.Tenure = leases.ANYONE) -> None:
        """On return it is durable, in place of an older one of the same index and document.

        Raises like `write`, and `Superseded` or `NotFound` when the index is another server's, or gone, by then.
        """
        place = (collection, letter.generation, letter.stage)
        await self._writes.write(
            lambda store: dead_letters.put(store.database, _entitled(store, place, tenure), letter), None
        )

    async def withdraw_dead_letters(
        self,
        collection: str,
        generation: int,
        stage: str,
        versions: Mapping[str, int],
        tenure: leases.Tenure = leases.ANYONE,
    ) -> None:
        """Removes what is there of these documents, in these versions or older ones. Raises like `put_dead_letter`."""
        place = (collection, generation, stage)

        def work(store: Store) -> None:
            dead_letters.withdraw(store.database, _entitled(store, place, tenure), generation, stage, versions)

        await self._writes.write(work, None)

    async def retry_dead_letters(self, collection: str, document_ids: Sequence[str] = ()) -> Written:
        """Writes documents that an index could not take anew, as they are: those given, or all. Raises like `write`."""
        if document_ids:
            return await self._rewrite(collection, lambda db, key: dead_letters.of_documents(db, key, document_ids))
        sequence, count, after = 0, 0, ""
        while True:
            ids = await self._dead_documents(collection, after)
            if not ids:
                return Written(sequence, count, 0)
            written = await self._rewrite(collection, partial(dead_letters.of_documents, document_ids=ids))
            sequence, count, after = max(sequence, written.sequence), count + written.written_count, ids[-1]

    async def _dead_documents(self, collection: str, after: str) -> list[str]:
        return await self._reads.read(
            lambda store: dead_letters.documents(store.database, store.key(collection), _PAGE, after)
        )

    async def _rewrite(self, collection: str, choose: Callable[[Database, int], list[str]]) -> Written:
        def work(store: Store) -> Written:
            return store.write(collection, [Rewrite(each) for each in choose(store.database, store.key(collection))])

        return await self._writes.write(work, collection)


def _entitled(store: Store, place: leases.Place, tenure: leases.Tenure) -> int:
    """The collection's key. Raises `NotFound` for another incarnation, `Superseded` without the lease."""
    collection = place[0]
    key = store.key(collection)
    if tenure.incarnation not in ("", store.collection(collection).incarnation):
        raise NotFound("collection", collection, field="collection")
    if tenure.epoch is not None:
        leases.keep(store.database, place, tenure.epoch)
    return key
