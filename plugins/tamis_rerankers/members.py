"""Several rerankers at work on the same passages, each on its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from types import MappingProxyType

import structlog

from tamis.context import Call, CallEnded
from tamis.errors import Overloaded, TamisError
from tamis.model import Passage, Query, ScoreKind
from tamis.stage import Reranker, Reranking

__all__ = ["Member", "at_work"]

_LOG = structlog.get_logger(__name__)


@dataclass(slots=True)
class Member:
    """A reranker and the best it has come up with so far. It is given the first `given_count` passages."""

    place: int
    reranker: Reranker
    weight: float
    given_count: int
    best: Reranking | None = None
    is_done: bool = False
    error: BaseException | None = None

    @property
    def kind(self) -> ScoreKind:
        """What its scores are."""
        return self.reranker.capabilities.score_kind

    @property
    def ranked_count(self) -> int:
        """How many passages it has ranked."""
        return 0 if self.best is None else self.best.ranked_count

    @property
    def is_complete(self) -> bool:
        """Whether it has ranked all that it was given, or all that it means to."""
        return self.ranked_count == self.given_count or (self.best is not None and self.best.is_settled)

    @property
    def is_usable(self) -> bool:
        """Whether what it has ranked counts: a part does not once it has failed."""
        return self.is_complete or (self.ranked_count > 0 and (self.error is None or isinstance(self.error, CallEnded)))

    async def work(
        self, query: Query, passages: Sequence[Passage], top_n: int, call: Call, changed: asyncio.Event
    ) -> None:
        """Reranks to the end, setting `changed` at each better order. What the reranker raises is kept in `error`."""
        given, top_n = passages[: self.given_count], min(top_n, self.given_count)
        try:
            async with aclosing(self.reranker.rerank(query, given, top_n=top_n, call=call)) as stream:
                async for self.best in stream:
                    changed.set()
        except (Exception, SystemExit, KeyboardInterrupt) as error:  # nothing it raises may take the others with it
            self._left_out(error, call)
        finally:
            self.is_done = True
            changed.set()

    def _left_out(self, error: BaseException, call: Call) -> None:
        self.error = error
        if isinstance(error, CallEnded):
            return
        if isinstance(error, Overloaded):
            call.note("a reranker of the ensemble was full")
        else:
            call.note("a reranker of the ensemble failed")
            reason = error.reason if isinstance(error, TamisError) else type(error).__name__
            _LOG.warning("reranker of an ensemble failed", place=self.place, reason=reason, request_id=call.request_id)


@asynccontextmanager
async def at_work(
    members: Sequence[Member], query: Query, passages: Sequence[Passage], top_n: int, call: Call
) -> AsyncGenerator[asyncio.Event, None]:
    """Has all members rerank side by side while the context lasts; the event is set whenever one has got further.

    They share the call's end, usage and notes, and none of its options, which are the ensemble's. On leaving, those
    that still work are stopped and have closed their streams.
    """
    changed = asyncio.Event()
    shared = replace(call, options=MappingProxyType({}))
    tasks = [asyncio.ensure_future(each.work(query, passages, top_n, shared, changed)) for each in members]
    try:
        yield changed
    finally:
        if not all(each.is_done for each in members) and not call.active:
            call.note("a reranker of the ensemble was late")
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
