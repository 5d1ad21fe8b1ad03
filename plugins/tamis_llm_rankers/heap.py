"""Sorts by asking which of a few is the best, with a heap: the first places only, and better and better on the way."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from functools import partial

from tamis_llm_rankers.parallel import as_they_come

__all__ = ["Best", "HeapSort"]

Best = Callable[[Sequence[int]], Awaitable[int]]
"""Tells which of a few items is the best, by its place among them."""


class HeapSort:
    """Items 0 to `count` - 1, of which the best `top` are wanted in order; a node has `arity` children.

    Every exchange puts a better item in front of a worse one, so `order` never gets worse when answers are true, and it
    may be left at any moment.
    """

    def __init__(self, count: int, top: int, *, arity: int, best: Best) -> None:
        self._heap = list(range(count))
        self._rest: list[int] | None = None
        self._sorted: list[int] = []
        self._top = min(top, count)
        self._arity = arity
        self._best = best

    @property
    def order(self) -> tuple[int, ...]:
        """A permutation of the items: what is sorted, then the rest as the heap had it once it was one."""
        rest = self._heap if self._rest is None else self._rest
        taken = set(self._sorted)
        return (*self._sorted, *(each for each in rest if each not in taken))

    @property
    def build_steps(self) -> int:
        """How many questions building the heap takes at most."""
        return sum(self._height(parent) for parent in range(len(self._heap)))

    async def run(self, at_once: int) -> AsyncGenerator[None, None]:
        """Yields whenever `order` may be better. While the heap is built, up to `at_once` items sink side by side."""
        for level in self._levels():
            sinks = [partial(self._sink, parent) for parent in level]
            async with aclosing(as_they_come(sinks, at_once)) as sunk:
                async for _ in sunk:
                    yield
        self._rest = list(self._heap)
        while len(self._sorted) < self._top:
            self._sorted.append(self._heap[0])
            yield
            last = self._heap.pop()
            if not self._heap or len(self._sorted) == self._top:
                return
            self._heap[0] = last
            await self._sink(0)

    def _levels(self) -> list[list[int]]:
        """Nodes with children, the deepest level first; those of one level have no node in common below them."""
        levels: list[list[int]] = []
        start, width = 0, 1
        while start * self._arity + 1 < len(self._heap):
            level = [node for node in range(start, start + width) if node * self._arity + 1 < len(self._heap)]
            levels.append(level[::-1])
            start, width = start + width, width * self._arity
        return levels[::-1]

    def _height(self, node: int) -> int:
        height = 0
        while (node := node * self._arity + 1) < len(self._heap):
            height += 1
        return height

    async def _sink(self, node: int) -> None:
        heap = self._heap
        while (first := node * self._arity + 1) < len(heap):
            children = range(first, min(first + self._arity, len(heap)))
            best = await self._best([heap[node], *(heap[child] for child in children)])
            if best == 0:
                return
            child = children[best - 1]
            heap[node], heap[child] = heap[child], heap[node]
            node = child
