"""Rerankings to and from their messages, each as what has changed since the one before."""

from __future__ import annotations

import math

from tamis.context import Call
from tamis.stage import Reranking
from tamis.v1 import plugin_service_pb2 as pb

__all__ = ["RerankingReader", "RerankingWriter"]


class RerankingWriter:
    """Writes the rerankings of one call."""

    def __init__(self, count: int) -> None:
        self._scores: tuple[float | None, ...] = (None,) * count

    def response(self, reranking: Reranking, report: pb.PluginReport) -> pb.PluginServiceRerankResponse:
        """What is new in a reranking, in its scores, and its order where the scores do not tell it."""
        message = pb.PluginServiceRerankResponse(
            done_count=reranking.ranked_count, settled=reranking.is_settled, report=report
        )
        for index, (before, now) in enumerate(zip(self._scores, reranking.scores, strict=True)):
            if now != before:
                message.scores.add(index=index, score=now)
        self._scores = reranking.scores
        if reranking.order != Reranking(reranking.scores, reranking.ranked_count).order:
            message.order.extend(reranking.order)
        if reranking.ranked != frozenset(reranking.order[: reranking.ranked_count]):
            message.ranked.extend(sorted(reranking.ranked))
        return message


class RerankingReader:
    """Reads the rerankings of one call. What a plugin sends that cannot be is dropped, and noted."""

    def __init__(self, count: int, call: Call) -> None:
        self._scores: list[float | None] = [None] * count
        self._order = tuple(range(count))
        self._call = call

    def read(self, message: pb.PluginServiceRerankResponse) -> Reranking:
        """A complete order."""
        count = len(self._scores)
        for each in message.scores:
            score = each.score if each.HasField("score") else None
            if not 0 <= each.index < count:
                self._call.note("duplicate or unknown index dropped")
            elif score is not None and not math.isfinite(score):
                self._call.note("score that is not finite dropped")
            else:
                self._scores[each.index] = score
        scores = tuple(self._scores)
        named = self._known(message.order)
        order = None
        if named:
            order = self._order = (*named, *(index for index in self._order if index not in named))
        ranked = frozenset(self._known(message.ranked)) if message.ranked else None
        scored_count = count - scores.count(None)
        if ranked is not None:
            ranked_count = len(ranked)
        elif message.done_count > 0:
            ranked_count = min(message.done_count, count)
        else:
            ranked_count = len(named) if named else scored_count
        return Reranking(scores, ranked_count, order, ranked, is_settled=message.settled)

    def _known(self, indices: object) -> dict[int, None]:
        """Each once, in their order."""
        given: list[int] = list(indices)  # type: ignore[call-overload]
        kept = dict.fromkeys(index for index in given if 0 <= index < len(self._scores))
        if len(kept) != len(given):
            self._call.note("duplicate or unknown index dropped")
        return kept
