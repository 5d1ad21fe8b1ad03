"""Gives back the space of what has been superseded, in the journal and in the indexes."""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from tamis.errors import TamisError
from tamis.indexes import Indexes
from tamis.journal import Collection, Journal
from tamis.stage import Compacts

__all__ = ["Compacted", "compact"]

_LOG = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Compacted:
    """What was given back, and the stages whose indexes were compacted."""

    removed_change_count: int
    freed_byte_count: int
    stages: tuple[str, ...]


async def compact(journal: Journal, indexes: Indexes, collection: Collection) -> Compacted:
    """Removes the changes that every index has passed, then asks the indexes that can to compact themselves.

    To be called on the loop the stages run on. An index at 0 has yet to begin, and keeps everything until it has: what
    it is being given may be superseded meanwhile. Raises `NotFound` when the collection is deleted.
    """
    followers = indexes.followers(collection.id)
    applied = min((each.status.applied_sequence for each in followers), default=collection.last_sequence)
    removed = await journal.compact(collection.id, applied)
    stages = []
    for follower in followers:
        if isinstance(follower.index, Compacts):
            try:
                async with follower.paused():
                    await follower.index.compact()
                stages.append(follower.stage)
            except TamisError as error:
                _LOG.warning("index cannot be compacted", stage=follower.stage, reason=error.message)
    return Compacted(removed, await journal.give_back(), tuple(dict.fromkeys(stages)))
