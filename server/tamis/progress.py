"""How far the indexes that a search reads have followed the journal, and the wait for them to get far enough."""

from __future__ import annotations

import asyncio
import math

from tamis.component import Component, referred
from tamis.deadline import Deadline
from tamis.errors import IndexBehind, InvalidRequest
from tamis.events import IndexProgress
from tamis.expression import Expression, Leaf, leaves
from tamis.indexes import Indexes
from tamis.journal import Collection, Journal
from tamis.pipeline import Pipeline
from tamis.search import Search
from tamis.stage_loop import StageLoop

__all__ = ["Progress", "stages_read"]

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
        stages = stages_read(search.pipeline, part)
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


def stages_read(pipeline: Pipeline, expression: Expression) -> frozenset[str]:
    """The stages whose indexes a part of a pipeline may read.

    Those that it names, and those that these refer to by their settings, as a stage on another one's index does.
    """
    pending = [pipeline.components[each.name] for each in leaves(expression) if isinstance(each, Leaf)]
    reached: dict[int, Component] = {}
    while pending:
        component = pending.pop()
        if id(component) not in reached:
            reached[id(component)] = component
            pending.extend(referred(component))
    return frozenset(name for name, each in pipeline.components.items() if id(each) in reached)
