"""What a search tells while it runs: revised hits, stage reports, pieces of the answer, the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias, Union

from tamis.context import Usage
from tamis.facets import Facet
from tamis.generator import AnswerDelta
from tamis.model import FinishReason, Hit
from tamis.prices import Money

__all__ = [
    "BudgetBasis",
    "Completed",
    "Event",
    "HitsRevised",
    "IndexProgress",
    "Milestone",
    "StageOutcome",
    "StageReason",
    "StageReport",
    "StageRole",
]


class StageRole(Enum):
    """What a stage does."""

    RETRIEVER = "retriever"
    FUSION = "fusion"
    RERANKER = "reranker"
    CONTEXT_BUILDER = "context_builder"
    GENERATOR = "generator"


class StageOutcome(Enum):
    """How a stage ended; the proto's StageOutcome says what each means."""

    RAN = "ran"
    PARTIAL = "partial"
    SKIPPED = "skipped"
    FELL_BACK = "fell_back"
    UNREACHABLE = "unreachable"


class StageReason(Enum):
    """Why a stage did not simply run."""

    DEADLINE = "deadline"
    FAILED = "failed"
    INVALID_OUTPUT = "invalid_output"
    OVERLOADED = "overloaded"
    INCOMPLETE = "incomplete"


class BudgetBasis(Enum):
    """What the division of the deadline rests on; the proto's BudgetBasis says what each means."""

    FIXED_SHARES = "fixed_shares"
    MEASURED = "measured"
    MEASURED_COSTS = "measured_costs"
    PARTLY_MEASURED = "partly_measured"


@dataclass(frozen=True, slots=True)
class IndexProgress:
    """How far one stage's index had followed the journal when a search began: everything up to `applied_sequence`
    could be found, and `lag_count` changes could not."""

    stage: str
    applied_sequence: int
    lag_count: int


@dataclass(frozen=True, slots=True)
class HitsRevised:
    """Replaces all hits sent before. Revisions count from 1 without gaps."""

    revision: int
    stage: str
    hits: tuple[Hit, ...]


@dataclass(frozen=True, slots=True)
class Milestone:
    """How many a stage had dealt with, and when, in seconds from its start."""

    done_count: int
    elapsed: float


@dataclass(frozen=True, slots=True)
class StageReport:
    """How one stage fared. `elapsed` and `budget` are seconds; `budget` is infinite without a deadline.

    `cost` is what its usage costs, None where it has no price. `planned_count` is how many of `total_count` it was
    meant to deal with and `planned` within how many seconds, None while that cannot be told. `work` is what these were,
    in the planner's unit; `milestones` the first and the last progress: the first piece of an answer, scores.
    """

    stage: str
    role: StageRole
    outcome: StageOutcome
    reason: StageReason | None = None
    done_count: int = 0
    total_count: int = 0
    elapsed: float = 0.0
    budget: float = 0.0
    usage: Usage = field(default_factory=Usage)
    notes: tuple[str, ...] = ()
    cost: Money | None = None
    planned_count: int = 0
    planned: float | None = None
    work: float = 0.0
    milestones: tuple[Milestone, ...] = ()


@dataclass(frozen=True, slots=True)
class Completed:
    """The end. `pipeline` is the canonical expression that ran; `revision` the last one sent, 0 if none.

    `next_offset` is where the next page begins, None when there is none. `suggested_query` is empty without a better
    spelling. `index_progress` tells of each index that was read.
    """

    finish_reason: FinishReason
    reports: Sequence[StageReport]
    usage: Usage
    pipeline: str
    revision: int = 0
    basis: BudgetBasis = BudgetBasis.FIXED_SHARES
    next_offset: int | None = None
    facets: tuple[Facet, ...] = ()
    suggested_query: str = ""
    cost: Money | None = None
    index_progress: tuple[IndexProgress, ...] = ()

    @property
    def unreachable(self) -> tuple[str, ...]:
        """The retrievers that gave nothing, as `retrievers/{stage}`."""
        return tuple(
            f"retrievers/{report.stage}" for report in self.reports if report.outcome is StageOutcome.UNREACHABLE
        )


Event: TypeAlias = Union[HitsRevised, StageReport, AnswerDelta, Completed]
"""Grammar of a search: `(HitsRevised | StageReport)* (AnswerDelta | StageReport)* Completed`."""
