"""How far the indexes that a search reads have followed the journal, and the wait for them to get far enough."""

from __future__ import annotations

import asyncio
import math

from tamis.deadline import Deadline
from tamis.errors import IndexBehind, InvalidRequest
from tamis.events import IndexProgress
from tamis.expression import Expression
from tamis.indexes import Indexes
from tamis.journal import Collection, Journal
from tamis.search import Search
from tamis.stage_loop import StageLoop

__all__ = ["Progress"]

_SHARE = 0.5  # of what is left of the deadline: the rest is for the search itself


class Progress:
    """Lives on the loop of the services; the indexes on that of the stages."""

    def __init__(self, journal: Journal, indexes: Indexes, loop: StageLoop) -> None:
        self._journal, self._indexes, self._loop = journal, indexes, loop

    async def reached(self, search: Search, part: Expression, deadline: Deadline) -> tuple[IndexProgress, ...]:
        """How far the indexes that a part of a search's pipeline reads are, by stage, once each has applied what the
        search must see.

        Raises `NotFound`; `IndexBehind` when that takes half of the deadline; `InvalidRequest` for a sequence that has
        not been written yet.
        """
        sequence, generation = search.min_sequence, search.query.generation
        known = await self._journal.collection(search.query.collection)
        if sequence > known.last_sequence:
            raise InvalidRequest.of("min_sequence", f"not written yet; the last one is {known.last_sequence}")
        stages = search.pipeline.stages_read(part)
        progress = self._progress(known, generation, stages)
        if all(each.applied_sequence >= sequence for each in progress):
            return progress
        seconds = deadline.remaining * _SHARE
        try:
            async with asyncio.timeout(None if math.isinf(seconds) else seconds):
                await self._loop.run(lambda: self._indexes.wait(known.id, generation, sequence, stages))
        except TimeoutError:
            progress = self._progress(known, generation, stages)
            if behind := [each for each in progress if each.applied_sequence < sequence]:
                raise IndexBehind(behind[0].stage, behind[0].applied_sequence, sequence) from None
        return self._progress(known, generation, stages)

    def _progress(self, collection: Collection, generation: int, stages: frozenset[str]) -> tuple[IndexProgress, ...]:
        return tuple(
            IndexProgress(each.stage, each.applied_sequence, each.lag_count)
            for each in self._indexes.states(collection, generation)
            if each.stage in stages
        )
