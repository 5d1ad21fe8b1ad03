"""What is kept of a family's answers, by stage: costs, quality, minimal pairs."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from family_server import Answer, rank_of, score_of
from judged import Judgement, ndcg
from pairs import MinimalPair, Share

from tamis.v1 import passage_pb2

__all__ = ["Asked", "Compared", "record"]


@dataclass(frozen=True, slots=True)
class Asked:
    """A question with its candidates, best first, and what each is worth."""

    text: str
    relevant_count: int
    passages: Sequence[passage_pb2.Passage]
    judgements: Mapping[str, Judgement]

    def ndcg(self, ids: Sequence[str]) -> float:
        """How good an order of passage ids is; those that are no candidates are left out."""
        return ndcg([self.judgements[each] for each in ids if each in self.judgements], self.relevant_count)


@dataclass(frozen=True, slots=True)
class Compared:
    """A minimal pair, and the hits of its sides; None where one was not found."""

    pair: MinimalPair
    right: Any
    wrong: Any

    def outcome(self, stage: str) -> float:
        """1 where the right passage stands above the wrong one, 0.5 where the stage tells no difference, else 0."""
        first, second = score_of(self.right, stage), score_of(self.wrong, stage)
        if first is not None and second is not None:
            return 1.0 if first > second else 0.5 if first == second else 0.0
        places = rank_of(self.right, stage), rank_of(self.wrong, stage)
        return 1.0 if places[0] < places[1] else 0.5 if places[0] == places[1] else 0.0


def record(
    asked: Sequence[Asked], answers: Sequence[Answer], compared: Sequence[Compared], *, judged: bool
) -> dict[str, Any]:
    """Everything that is printed, by stage. Counts are those of the questions alone; quality only where `judged`."""
    reports: dict[str, list[Any]] = {}
    for answer in answers:
        for each in answer.response.stage_reports:
            reports.setdefault(each.stage, []).append(each)
    return {
        "queries": len(asked),
        "candidates": statistics.fmean(len(each.passages) for each in asked) if asked else 0.0,
        "seconds_p50": statistics.median(each.seconds for each in answers) if answers else 0.0,
        "prior_ndcg_at_10": _prior(asked) if judged and asked else None,
        "stages": [
            {
                "stage": stage,
                **_cost(some),
                "ndcg_at_10": _quality(asked, answers, stage) if judged else None,
                "minimal_pairs": _shares(compared, stage) if judged else {},
            }
            for stage, some in reports.items()
        ],
    }


def _cost(reports: Sequence[passage_pb2.StageReport]) -> dict[str, Any]:
    usages = [each.usage for each in reports]
    billed = [each.cost for each in usages if each.HasField("cost")]
    outcomes = [passage_pb2.StageOutcome.Name(each.outcome) for each in reports]
    reasons = [passage_pb2.StageReason.Name(each.reason) for each in reports if each.reason]
    return {
        "pairs": sum(each.pair_count for each in usages),
        "calls": sum(each.model_call_count for each in usages),
        "input_tokens": sum(each.input_token_count for each in usages),
        "output_tokens": sum(each.output_token_count for each in usages),
        "cache_hits": sum(each.cache_hit_count for each in usages),
        "model_seconds": sum(_seconds(each.model_duration) for each in usages),
        "cost": sum(each.units + each.nanos / 1e9 for each in billed) if billed else None,
        "currency": billed[0].currency_code if billed else "",
        "seconds_p50": statistics.median(_seconds(each.elapsed_duration) for each in reports),
        "outcomes": Counter(each.removeprefix("STAGE_OUTCOME_").lower() for each in outcomes),
        "reasons": Counter(each.removeprefix("STAGE_REASON_").lower() for each in reasons),
        "notes": Counter(note for each in reports for note in each.notes),
    }


def _seconds(duration: Any) -> float:
    return float(duration.ToTimedelta().total_seconds())


def _prior(asked: Sequence[Asked]) -> float:
    """Of the order in which the candidates came."""
    return statistics.fmean(each.ndcg([passage.id for passage in each.passages]) for each in asked)


def _quality(asked: Sequence[Asked], answers: Sequence[Answer], stage: str) -> float:
    return statistics.fmean(each.ndcg(answer.order(stage)) for each, answer in zip(asked, answers, strict=True))


def _shares(compared: Sequence[Compared], stage: str) -> dict[str, dict[str, Any]]:
    outcomes: dict[str, list[float]] = {}
    for each in compared:
        outcomes.setdefault(each.pair.kind, []).append(each.outcome(stage))
    shares = {kind: Share(sum(values), len(values)) for kind, values in outcomes.items()}
    return {
        kind: {"share": each.value, "count": each.count, "interval": each.interval} for kind, each in shares.items()
    }
