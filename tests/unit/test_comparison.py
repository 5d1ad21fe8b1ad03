"""An index is mended by what is so when it is mended, not by what was when it was compared."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tamis.errors import Unusable
from tamis.journal import Follower, Journal, Upsert
from tamis.model import Change, Document, Passage
from tamis.verification.comparison import _Work


class Shelf:
    """An index that holds versions by document, and takes nothing of what it `refuses`."""

    def __init__(self) -> None:
        self.held: dict[str, int] = {}
        self.upto = 0
        self.refuses = ""

    async def apply(self, changes: Sequence[Change], *, upto: int) -> None:
        for each in changes:
            self.held.pop(each.document_id, None)
            if each.passages and each.document_id == self.refuses and each.passages[0].text != "word":
                raise Unusable(each.document_id, "too bitter")
            if each.passages:
                self.held[each.document_id] = each.passages[0].document_version
        self.upto = upto

    async def checkpoint(self) -> int:
        return self.upto

    async def ids(self) -> AsyncIterator[tuple[str, int]]:
        for id, version in list(self.held.items()):
            yield f"{id}#0", version

    async def close(self) -> None:
        """Nothing to release."""

    async def drop(self) -> None:
        self.held.clear()


async def test_a_dead_letter_that_is_retried_during_a_repair_stays_in_the_index(tmp_path: Path) -> None:
    journal = await Journal.open(tmp_path / "journal.sqlite")
    await journal.create_collection("docs")
    index = Shelf()
    index.refuses = "a"
    await journal.write("docs", [Upsert(Document("a", "tea"), (Passage("a#0", "a", 0, "tea"),))])
    follower = Follower(journal, "docs", 1, "shelf", index)
    await follower.wait(1)
    assert await journal.dead_lettered("docs", 1, "shelf", ["a"]) == ["a"]
    index.held["a"] = 1  # behind the server's back
    work = _Work(journal, await journal.collection("docs"), follower, ThreadPoolExecutor(1))
    try:
        assert (await work.done(repair=False)).document_ids == ("a",)
        index.refuses = ""
        written = await journal.retry_dead_letters("docs")
        await asyncio.wait_for(follower.wait(written.sequence), 60)
        await work._mend()
        assert index.held == {"a": 2}
    finally:
        await work.close()
        await follower.close()
        await journal.close()
