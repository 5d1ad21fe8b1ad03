"""Divides documents into passages, on threads of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from tamis.chunking import Chunker
from tamis.model import Document, Passage

__all__ = ["Divider"]

_THREADS = 2


class Divider:
    """A few threads: chunkers block, and work on long documents for a while."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="tamis-chunk")

    async def divide(self, documents: Sequence[Document], chunker: Chunker) -> list[tuple[Passage, ...]]:
        """The passages of each document."""
        work = lambda: [tuple(chunker.chunk(each)) for each in documents]  # noqa: E731
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def divide_by_split(
        self, documents: Sequence[Document], chunkers: Mapping[int, Chunker]
    ) -> list[dict[int, tuple[Passage, ...]]]:
        """The passages of each document in each split."""
        found = {split: await self.divide(documents, chunker) for split, chunker in chunkers.items()}
        return [{split: passages[place] for split, passages in found.items()} for place in range(len(documents))]

    def close(self) -> None:
        """Ends the threads; what they have not begun is left."""
        self._threads.shutdown(wait=True, cancel_futures=True)
