"""What the measured passes come to: rates, percentiles, shares of the peak, agreement of orders."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from judged import Judgement, ndcg
from scipy.stats import kendalltau

from peers.pairs import CANDIDATES, Asked
from peers.rows import OURS, OURS_LATE, REFERENCE, ROWS

__all__ = ["agreement", "figures", "percentile", "ratio", "rows"]

_SAME_MODEL = {row.name for row in ROWS if row.same_model}


def rows(
    measured: Mapping[str, Mapping[str, Any]], asked: Sequence[Asked], work: Sequence[float], peak: float
) -> list[dict[str, Any]]:
    """A record for each row. `work` counts each query's floating-point operations, `peak` the machine's in a second."""
    latencies = {name: _latencies(row) for name, row in measured.items()}
    scores = _scores(measured.get(REFERENCE, {}))
    found: list[dict[str, Any]] = []
    for name, row in measured.items():
        if "failed" in row:
            found.append({"name": name, "failed": row["failed"]})
            continue
        told = {key: row["ready"][key] for key in ("dtype", "versions", "note")}
        record = {"name": name, **told, **figures(row, work, peak)}
        ours = OURS if name in _SAME_MODEL else OURS_LATE
        record["our_ratio"] = None if name == ours else ratio(latencies[name], latencies.get(ours, {}))
        if name in _SAME_MODEL:
            record["reference_ratio"] = ratio(latencies.get(REFERENCE, {}), latencies[name])
            record |= agreement(_scores(row), scores, asked)
        found.append(record)
    return found


def figures(row: Mapping[str, Any], work: Sequence[float], peak: float) -> dict[str, Any]:
    """Of one row: documents a second is the median of its passes with one query at a time."""
    passes = row["passes"]
    alone = [each for each in passes if each["concurrency"] == 1]
    most = max(each["peak_bytes"] for each in passes)
    done = sum(work[number] for each in alone for number, _ in each["latencies"])
    return {
        "load_seconds": row["load_seconds"],
        "loaded_mib": row["loaded_bytes"] / 2**20,
        "peak_mib": max(most, row["loaded_bytes"]) / 2**20,
        "documents_a_second": statistics.median(_rate(each) for each in alone),
        "pass_rates": [_rate(each) for each in alone],
        "processors": sum(each["processor_seconds"] for each in alone) / sum(each["seconds"] for each in alone),
        "share_of_peak": done / sum(each["seconds"] for each in alone) / peak,
        "at": {str(concurrency): _at(passes, concurrency) for concurrency in _concurrencies(passes)},
        "failed_at": row.get("failed_at", {}),
    }


def ratio(slower: Mapping[int, float], faster: Mapping[int, float]) -> float | None:
    """How many times as long the first took, on the queries that both were asked; None when there are none."""
    both = slower.keys() & faster.keys()
    if not both:
        return None
    return sum(slower[each] for each in both) / sum(faster[each] for each in both)


def agreement(
    scores: Mapping[int, Sequence[float]], reference: Mapping[int, Sequence[float]], asked: Sequence[Asked]
) -> dict[str, Any]:
    """Kendall's tau with the reference, mean and least over the queries; nDCG@10 of both on the same ones."""
    both = sorted(scores.keys() & reference.keys())
    if not both:
        return {"tau": None}
    taus = [float(kendalltau(scores[each], reference[each]).statistic) for each in both]
    return {
        "tau": statistics.fmean(taus),
        "least_tau": min(taus),
        "ndcg_at_10": statistics.fmean(_ndcg(asked[each], scores[each]) for each in both),
        "reference_ndcg_at_10": statistics.fmean(_ndcg(asked[each], reference[each]) for each in both),
    }


def percentile(values: Sequence[float], share: float) -> float:
    """The least value that so large a share of them does not exceed: one that was measured, never one between."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def _at(passes: Sequence[Mapping[str, Any]], concurrency: int) -> dict[str, Any]:
    those = [each for each in passes if each["concurrency"] == concurrency]
    seconds = [latency for each in those for _, latency in each["latencies"]]
    return {
        "queries": len(seconds),
        "documents_a_second": statistics.median(_rate(each) for each in those),
        "p50_seconds": percentile(seconds, 0.5),
        "p99_seconds": percentile(seconds, 0.99),
    }


def _rate(one: Mapping[str, Any]) -> float:
    return float(len(one["latencies"]) * CANDIDATES / one["seconds"])


def _concurrencies(passes: Sequence[Mapping[str, Any]]) -> list[int]:
    return sorted({each["concurrency"] for each in passes})


def _latencies(row: Mapping[str, Any]) -> dict[int, float]:
    """The median of each query that was asked alone."""
    found: dict[int, list[float]] = {}
    for each in row.get("passes", ()):
        if each["concurrency"] == 1:
            for number, latency in each["latencies"]:
                found.setdefault(number, []).append(latency)
    return {number: statistics.median(values) for number, values in found.items()}


def _scores(row: Mapping[str, Any]) -> dict[int, list[float]]:
    """Of each query, as it was scored first."""
    found: dict[int, list[float]] = {}
    for each in row.get("passes", ()):
        for number, scores in each["scores"]:
            found.setdefault(number, scores)
    return found


def _ndcg(asked: Asked, scores: Sequence[float]) -> float:
    order = sorted(range(len(scores)), key=lambda place: (-scores[place], place))
    relevant = set(asked.relevant)
    ids = [asked.ids[place] for place in order]
    return ndcg([Judgement(id, f"relevant {id}" if id in relevant else None) for id in ids], len(relevant))
