"""The reranker that has another read only those passages that can still reach the top."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace
from types import MappingProxyType
from typing import Annotated, Any

from cachetools import LRUCache
from pydantic import Field

from tamis.component import Capabilities, Ref, Settings, overridable
from tamis.context import Call
from tamis.model import Passage, Query
from tamis.stage import PointwiseReranker, Reranker, Reranking
from tamis_rerankers.stopping import Calibration, looks, newcomers

__all__ = ["ProgressiveReranker", "ProgressiveSettings"]

_CALIBRATIONS = 64  # numbers of hits asked for that are learnt about at a time
_LEFT_OUT = "passages left out: they can hardly reach the top"


class ProgressiveSettings(Settings):
    """`risk` is the share of the reranker's own first hits that may be missing on average; with 0 everything is read.
    `step` passages are read between two looks. What that takes is learnt from the latest `learn_from` queries of which
    everything was read: the first ones, and of the others the share `explore`. `expected_newcomers` is instead of
    learning: no more is read once fewer than so many of the rest are expected to reach the top.
    """

    reranker: Ref[PointwiseReranker]
    risk: Annotated[float, Field(ge=0, le=1, json_schema_extra=overridable())] = 0.01
    step: Annotated[int, Field(ge=1, le=1_000)] = 16
    explore: Annotated[float, Field(gt=0, le=1)] = 0.05
    learn_from: Annotated[int, Field(ge=1, le=100_000)] = 1_000
    expected_newcomers: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None


class ProgressiveReranker(Reranker):
    """Has the prior order read from its front, and stops where the rest can hardly reach the first `top_n` any more.

    Cascades: Matveeva et al., "High Accuracy Retrieval with Multiple Nested Ranker", 2006; Wang, Lin and Metzler, "A
    Cascade Ranking Model for Efficient Ranked Retrieval", 2011; stopping early: Cambazoglu et al., "Early Exit
    Optimizations for Additive Machine Learned Ranking Systems", 2010. Passages that were read stand in front by their
    scores, the others behind in the prior order, without any.
    """

    Settings = ProgressiveSettings

    def __init__(self, settings: ProgressiveSettings) -> None:
        super().__init__(settings)
        self._settings = settings
        self._reranker: PointwiseReranker = settings.reranker
        of_it: Capabilities = self._reranker.capabilities
        self.capabilities = replace(of_it, cross_document=True)
        self._calibrations: LRUCache[int, Calibration] = LRUCache(_CALIBRATIONS)

    async def rerank(
        self, query: Query, passages: Sequence[Passage], *, top_n: int, call: Call
    ) -> AsyncGenerator[Reranking, None]:
        limit, count = self._limit(query, top_n, call), len(passages)
        inside = replace(call, options=MappingProxyType({}))  # the options are this stage's
        scores: list[float | None] = []
        for reached in (count,) if limit < 0 or not 0 < top_n < count else looks(count, top_n, self._settings.step):
            part = passages[len(scores) : reached]
            best: Reranking | None = None
            work = self._reranker.rerank(query, part, top_n=min(top_n, len(part)), call=inside)
            async with aclosing(work) as stream:
                async for best in stream:
                    yield _standing(scores, best, count)
            scores += best.scores if best is not None else [None] * len(part)
            known = [score for score in scores if score is not None]
            if reached < count and len(known) == reached and newcomers(known, count, top_n) <= limit:
                call.note(_LEFT_OUT)
                yield Reranking((*scores, *[None] * (count - reached)), reached, is_settled=True)
                return
        if len(known := [score for score in scores if score is not None]) == count > top_n > 0:
            self._calibration(top_n).add(_digest(query), known, top_n, self._settings.step)

    def _limit(self, query: Query, top_n: int, call: Call) -> float:
        """At how many expected newcomers to stop; negative where everything is to be read."""
        risk: Any = call.options.get("risk", self._settings.risk)
        if not risk:
            return -1.0
        if self._settings.expected_newcomers is not None:
            return self._settings.expected_newcomers
        is_explored = int.from_bytes(_digest(query)[:4]) < self._settings.explore * 2**32
        return -1.0 if is_explored else self._calibration(top_n).limit(risk)

    def _calibration(self, top_n: int) -> Calibration:
        found = self._calibrations.get(top_n)
        if found is None:
            found = self._calibrations[top_n] = Calibration(self._settings.learn_from)
        return found


def _standing(scores: Sequence[float | None], best: Reranking, count: int) -> Reranking:
    """Everything that has a score by now, of all parts."""
    known = (*scores, *best.scores)
    ranked = sum(score is not None for score in known)
    return Reranking((*known, *[None] * (count - len(known))), ranked)


def _digest(query: Query) -> bytes:
    """Of the same query the same: all pages of a search are read alike."""
    return hashlib.blake2b(query.text.encode(errors="surrogatepass"), digest_size=16).digest()
