"""What progressive reranking leaves out and what it loses, computed from the scores of every candidate."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from fusions import DEFAULT, variants
from leaves import Leaves

from tamis_rerankers.stopping import Calibration, looks, newcomers

__all__ = ["Candidates", "candidates", "compared"]

TOP, STEP, FOLDS = 10, 16, 10
RISKS = (0.01, 0.02, 0.05, 0.1)


@dataclass(frozen=True, slots=True)
class Candidates:
    """Of one query: passages in the prior order, and the dear stage's score of each."""

    leaves: Leaves
    ids: Sequence[str]
    scores: Sequence[float]

    def order(self, read: int) -> list[str]:
        """The result when so many from the front were read."""
        best = sorted(range(read), key=lambda place: -self.scores[place])
        return [*(self.ids[place] for place in best), *self.ids[read:]]

    def overlap(self, read: int) -> float:
        """How much of the full result's top is left."""
        return len({*self.order(read)[:TOP]} & {*self.order(len(self.ids))[:TOP]}) / TOP


def candidates(queries: Sequence[Leaves], prior: str, dear: str = "late") -> list[Candidates]:
    """Of every query with more candidates than the top holds."""
    fused = next(each for each in variants() if each.name == DEFAULT.replace(" » blend", ""))
    found = []
    for each in queries:
        scores = dict(each.scores.get(dear, []))
        ids = fused.order(each) if prior == "fused" else [id for id, _ in each.scores.get(prior, [])]
        ids = [id for id in ids[:100] if id in scores]
        if len(ids) > TOP:
            found.append(Candidates(each, ids, [scores[id] for id in ids]))
    return found


def compared(queries: Sequence[Leaves]) -> dict[str, Any]:
    """For each prior order and risk: pairs saved, and what is lost; each query by what was learnt from other tenths."""
    return {prior: _compared(candidates(queries, prior)) for prior in ("bm25", "dense", "fused")}


def _compared(asked: Sequence[Candidates]) -> dict[str, Any]:
    everything = [len(each.ids) for each in asked]
    found: dict[str, Any] = {"queries": len(asked), "candidates": statistics.fmean(everything)}
    found["nDCG@10 of all"] = _ndcg(asked, everything)
    found["nDCG@10 of the prior"] = _ndcg(asked, [1] * len(asked))
    for risk in RISKS:
        read = _read(asked, risk)
        share = statistics.fmean(read) / statistics.fmean(everything)
        cut = [min(len(each.ids), round(statistics.fmean(read))) for each in asked]
        found[f"risk {risk:g}"] = _row(asked, read) | {"a fixed cut as deep": _row(asked, cut)}
        found[f"risk {risk:g}"]["share read"] = share
    return found


def _row(asked: Sequence[Candidates], read: Sequence[int]) -> dict[str, float]:
    everything = [len(each.ids) for each in asked]
    pairs = list(zip(asked, read, strict=True))
    return {
        "pairs a query": statistics.fmean(read),
        "overlap@10": statistics.fmean(each.overlap(count) for each, count in pairs),
        "queries with another top": statistics.fmean(each.overlap(count) < 1 for each, count in pairs),
        "nDCG@10 lost": _ndcg(asked, everything) - _ndcg(asked, read),
    }


def _ndcg(asked: Sequence[Candidates], read: Sequence[int]) -> float:
    return statistics.fmean(each.leaves.ndcg(each.order(count)) for each, count in zip(asked, read, strict=True))


def _read(asked: Sequence[Candidates], risk: float) -> list[int]:
    """How many passages of each query are read."""
    read = [0] * len(asked)
    for fold in range(FOLDS):
        calibration = Calibration(len(asked))
        for place, each in enumerate(asked):
            if place % FOLDS != fold:
                calibration.add(str(place).encode(), each.scores, TOP, STEP)
        limit = calibration.limit(risk)
        for place in range(fold, len(asked), FOLDS):
            read[place] = next(_stops(asked[place].scores, limit))
    return read


def _stops(scores: Sequence[float], limit: float) -> Iterator[int]:
    for each in looks(len(scores), TOP, STEP):
        if each == len(scores) or newcomers(scores[:each], len(scores), TOP) <= limit:
            yield each
