"""The reranker that has several others rerank side by side and combines what they say."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Literal

from pydantic import Field

from tamis.component import Capabilities, Ref, Settings
from tamis.context import Call
from tamis.errors import ConfigurationError
from tamis.model import Passage, Query, ScoreKind
from tamis.stage import Reranker, Reranking
from tamis_rerankers.combining import Vote, by_mean, by_rank
from tamis_rerankers.members import Member, at_work

__all__ = ["EnsembleReranker", "EnsembleSettings"]

_GROWTH = 1.25  # while all have ranked a part only: a new order when so many times as many are ranked
_ALREADY_IN_ONE_SCALE = frozenset((ScoreKind.PROBABILITY, ScoreKind.LOGIT))

Weight = Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)]


class EnsembleSettings(Settings):
    """`weights` are those of `rerankers`, in their order; all weigh 1 without any. `method` adds reciprocal ranks
    (`rrf`, with its `k`), or takes the `mean` of scores brought to 0 to 1."""

    rerankers: Annotated[tuple[Ref[Reranker], ...], Field(min_length=1)]
    weights: tuple[Weight, ...] = ()
    method: Literal["rrf", "mean"] = "rrf"
    k: Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)] = 60.0


class EnsembleReranker(Reranker):
    """Combines the orders of rerankers that work side by side: reciprocal ranks (Cormack, Clarke and Büttcher, SIGIR
    2009), or the mean of calibrated scores.

    Who has ranked all it was given counts from then on. As long as nobody has, the passages that all at work have
    ranked are combined. Who fails, or has not ranked all when others have, is left out and noted; when all have failed,
    the first one's error is raised.
    """

    Settings = EnsembleSettings
    capabilities = Capabilities(score_kind=ScoreKind.RANK_FUSION, cross_document=True)

    def __init__(self, settings: EnsembleSettings) -> None:
        super().__init__(settings)
        if settings.weights and len(settings.weights) != len(settings.rerankers):
            counts = f"{len(settings.weights)} weights for {len(settings.rerankers)} rerankers"
            raise ConfigurationError(f"weights: there are {counts}; give one each, or none")
        self._weights = settings.weights or (1.0,) * len(settings.rerankers)
        self.capabilities = _capabilities(settings)
        self._work = ThreadPoolExecutor(1, thread_name_prefix="ensemble")

    async def close(self) -> None:
        self._work.shutdown(wait=True, cancel_futures=True)

    async def rerank(
        self, query: Query, passages: Sequence[Passage], *, top_n: int, call: Call
    ) -> AsyncGenerator[Reranking, None]:
        if not passages:
            return
        members = [
            Member(place, each, weight, min(len(passages), each.capabilities.max_candidates or len(passages)))
            for place, (each, weight) in enumerate(zip(self.settings.rerankers, self._weights, strict=True))
        ]
        progress = _Progress(members)
        async with at_work(members, query, passages, top_n, call) as changed:
            while not progress.is_over:
                await changed.wait()
                changed.clear()
                if (votes := progress.votes()) and (among := progress.among(votes)):
                    yield await self._combined(votes, among, len(passages))
        progress.conclude(call)

    async def _combined(self, votes: Sequence[Vote], among: Set[int], count: int) -> Reranking:
        return await asyncio.get_running_loop().run_in_executor(self._work, self._combine, votes, among, count)

    def _combine(self, votes: Sequence[Vote], among: Set[int], count: int) -> Reranking:
        by = self.settings.method
        fused = by_rank(votes, among, k=self.settings.k) if by == "rrf" else by_mean(votes, among)
        scores: list[float | None] = [None] * count
        for index, score in fused:
            scores[index] = score
        rest = (index for index in range(count) if scores[index] is None)
        return Reranking(tuple(scores), len(fused), (*(index for index, _ in fused), *rest))


class _Progress:
    """Decides whose orders are combined, and when it is worth doing again."""

    def __init__(self, members: Sequence[Member]) -> None:
        self._members = members
        self._combined: tuple[Reranking | None, ...] = ()
        self._looked_at = 0
        self._ranked_count = 0
        self.is_over = False

    def votes(self) -> list[Vote]:
        """Those to combine now; none while nothing worth it has changed. Sets `is_over` with the last ones."""
        self.is_over = all(each.is_done for each in self._members)
        voters = [each for each in self._members if each.is_complete]
        if not voters:
            voters = [each for each in self._members if each.is_usable]
            least = min((each.ranked_count for each in voters), default=0)
            if not voters or (not self.is_over and least < _GROWTH * self._looked_at):
                return []
            self._looked_at = least
        bests = tuple(each.best for each in voters)
        if bests == self._combined:
            return []
        self._combined = bests
        return [Vote(f"{each.place:04d}", each.weight, each.kind, each.best) for each in voters if each.best]

    def among(self, votes: Sequence[Vote]) -> Set[int]:
        """The passages to combine, never fewer than the time before: none then."""
        ranked = [vote.reranking.ranked for vote in votes]
        is_complete = any(each.is_complete for each in self._members)
        among = (
            frozenset.union(*map(frozenset, ranked)) if is_complete else frozenset.intersection(*map(frozenset, ranked))
        )
        if len(among) < self._ranked_count:
            return frozenset()
        self._ranked_count = len(among)
        return among

    def conclude(self, call: Call) -> None:
        """Notes who was left out. Raises the first error when nobody has ranked anything and somebody failed."""
        if not self._ranked_count:
            for each in self._members:
                if each.error is not None:
                    raise each.error
        if any(each.is_complete for each in self._members) and any(
            each.error is None and not each.is_complete for each in self._members
        ):
            call.note("a reranker of the ensemble ranked only a part and was left out")


def _capabilities(settings: EnsembleSettings) -> Capabilities:
    of_each = [each.capabilities for each in settings.rerankers]
    is_by_rank = settings.method == "rrf"
    kinds = {each.score_kind for each in of_each}
    limits = [each.max_candidates for each in of_each if each.max_candidates is not None]
    kind = ScoreKind.PROBABILITY if kinds <= _ALREADY_IN_ONE_SCALE else ScoreKind.NORMALIZED
    return Capabilities(
        score_kind=ScoreKind.RANK_FUSION if is_by_rank else kind,
        max_candidates=max(limits) if len(limits) == len(of_each) else None,
        cross_document=settings.method == "rrf"
        or kind is ScoreKind.NORMALIZED
        or any(e.cross_document for e in of_each),
    )
