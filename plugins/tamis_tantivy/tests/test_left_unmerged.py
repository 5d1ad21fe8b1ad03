"""A writer that was killed amid a commit, or before the merge that its last commit began."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

from tamis.model import Change, Passage
from tamis_tantivy.index import TantivyIndex

_SEGMENTS = 8  # as many as the engine merges at once
_TRIES = 10


@asynccontextmanager
async def _opened(directory: Path) -> AsyncIterator[TantivyIndex]:
    with ThreadPoolExecutor(1) as reading, ThreadPoolExecutor(1) as writing:
        index = TantivyIndex(
            directory, language="en", memory_bytes=15 << 20, reading=reading, writing=writing, closed=lambda index: None
        )
        yield index
        await index.close()


def _change(id: str, sequence: int) -> Change:
    return Change(sequence, id, (Passage(f"{id}#0", id, sequence, f"salt {id}"),))


async def _die_before_the_merge(directory: Path) -> None:
    """The first segment is by far the largest, so that the merge takes a while and begins with it."""
    async with _opened(directory) as index:
        for turn in range(1, _SEGMENTS + 1):
            count = 3_000 if turn == 1 else 5
            await index.apply([_change(f"d{turn}-{each}", turn) for each in range(count)], upto=turn)
        os.kill(os.getpid(), signal.SIGKILL)


def _leave_unmerged(directory: Path) -> None:
    for attempt in range(_TRIES):
        folder = directory / str(attempt)
        subprocess.run([sys.executable, __file__, str(folder)], check=False, timeout=60)
        if len(json.loads((folder / "meta.json").read_text())["segments"]) == _SEGMENTS:
            folder.rename(directory / "index")
            return
    raise AssertionError("the merge was always quicker")


async def test_the_first_document_written_after_a_kill_replaces_its_older_version(tmp_path: Path) -> None:
    _leave_unmerged(tmp_path)
    async with _opened(tmp_path / "index") as index:
        await index.apply([_change("d7-0", 9), _change("d7-1", 9)], upto=9)
    async with _opened(tmp_path / "index") as index:
        found = [each async for each in index.ids() if each[0] in ("d7-0#0", "d7-1#0")]
    assert sorted(found) == [("d7-0#0", 9), ("d7-1#0", 9)]


async def test_a_commit_that_broke_off_can_be_repeated(tmp_path: Path) -> None:
    """It had written which passages are gone, and died before it wrote down that this holds."""
    before, after = tmp_path / "before", tmp_path / "after"
    async with _opened(before) as index:
        await index.apply([_change(f"d{each}", 1) for each in range(5)], upto=1)
    shutil.copytree(before, after)
    async with _opened(after) as index:
        await index.apply([_change("d0", 2)], upto=2)
        (gone,) = after.glob("*.del")
        shutil.copy(gone, before)
    managed = before / ".managed.json"
    managed.write_text(json.dumps([*json.loads(managed.read_text()), gone.name]))
    async with _opened(before) as index:
        await index.apply([_change("d0", 2)], upto=2)
        assert sorted([each async for each in index.ids()])[:2] == [("d0#0", 2), ("d1#0", 1)]


if __name__ == "__main__":
    import asyncio

    asyncio.run(_die_before_the_merge(Path(sys.argv[1])))
