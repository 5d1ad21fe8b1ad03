"""What preparing the next batch while one is applied saves, with an index that only waits: the machine does not matter.

python benchmarks/ahead.py [--embedding 6] [--writing 2]      # milliseconds for each of 660 documents
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from tamis.journal import Follower, Journal, Upsert
from tamis.model import Change, Document, Passage

_TEXT = "word " * 1_600  # 66 documents of it are a batch
_COUNT, _AT_ONCE, _PAUSE = 660, 33, 0.1


class _InTurn:
    """An `Index` that embeds, then writes, each for so many seconds a document; it keeps how far it is and no more."""

    def __init__(self, embedding: float, writing: float) -> None:
        self.embedding, self.writing = embedding, writing
        self._upto = 0

    async def apply(self, changes: Sequence[Change], *, upto: int) -> None:
        await asyncio.sleep(len(changes) * (self.embedding + self.writing))
        self._upto = upto

    async def checkpoint(self) -> int:
        return self._upto

    async def ids(self) -> AsyncIterator[tuple[str, int]]:
        for each in ():
            yield each

    async def close(self) -> None:
        return

    async def drop(self) -> None:
        return


class _Ahead(_InTurn):
    """Offers to embed before its turn."""

    async def prepared(self, changes: Sequence[Change]) -> Sequence[Change]:
        await asyncio.sleep(len(changes) * self.embedding)
        return changes

    async def apply_prepared(self, prepared: Sequence[Change], *, upto: int) -> None:
        await asyncio.sleep(len(prepared) * self.writing)
        self._upto = upto


async def _seconds(index: _InTurn, *, meanwhile: bool) -> float:
    """Until all can be found: written before the index follows, or while it does."""
    with tempfile.TemporaryDirectory() as folder:
        journal = await Journal.open(Path(folder) / "journal.sqlite")
        await journal.create_collection("docs")
        if not meanwhile:
            await _write(journal, 0.0)
        started = time.monotonic()
        follower = Follower(journal, "docs", 1, "dense", index)
        await follower.wait(await _write(journal, _PAUSE) if meanwhile else _COUNT)
        seconds = time.monotonic() - started
        await follower.close()
        await journal.close()
    return seconds


async def _write(journal: Journal, pause: float) -> int:
    last = 0
    for start in range(0, _COUNT, _AT_ONCE):
        ids = [f"d{number}" for number in range(start, start + _AT_ONCE)]
        upserts = [Upsert(Document(id, _TEXT), {1: (Passage(f"{id}#0", id, 0, _TEXT),)}) for id in ids]
        last = (await journal.write("docs", upserts)).sequence
        await asyncio.sleep(pause)
    return last


def main() -> None:
    """Prints seconds, in turns."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--embedding", type=float, default=6.0)
    parser.add_argument("--writing", type=float, default=2.0)
    given = parser.parse_args()
    for meanwhile in (False, True):
        for _ in range(2):
            for kind in (_InTurn, _Ahead):
                index = kind(given.embedding / 1_000, given.writing / 1_000)
                seconds = asyncio.run(_seconds(index, meanwhile=meanwhile))
                when = "while it follows" if meanwhile else "before"
                print(f"written {when}, {'ahead' if kind is _Ahead else 'in turn'}: {seconds:.2f} s", flush=True)


if __name__ == "__main__":
    main()
