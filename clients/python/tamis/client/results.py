"""What a call returns, and the events of a stream: frozen values with Python's own types. Durations are in seconds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TypeAlias

from tamis.client.enums import BudgetBasis, FinishReason, StageOutcome, StageReason, StageRole
from tamis.client.hits import Answer, Citation, Hit, Hits
from tamis.client.values import Value

__all__ = [
    "AnswerDelta",
    "Completed",
    "Cost",
    "Facet",
    "FacetCount",
    "GenerateEvent",
    "HitsRevised",
    "IndexProgress",
    "RerankEvent",
    "SearchEvent",
    "SearchResult",
    "StageCompleted",
    "StageReport",
    "Usage",
]


@dataclass(frozen=True, slots=True)
class Cost:
    """An amount of money; `currency` is the three letters of ISO 4217."""

    amount: Decimal
    currency: str


@dataclass(frozen=True, slots=True)
class Usage:
    """What work consumed. `cost` is None when nothing used is billed, or has a price on the server."""

    pair_count: int = 0
    input_token_count: int = 0
    output_token_count: int = 0
    model_call_count: int = 0
    cache_hit_count: int = 0
    model_seconds: float = 0.0
    cost: Cost | None = None


@dataclass(frozen=True, slots=True)
class StageReport:
    """How one stage fared: `done_count` of `total_count`, in `elapsed_seconds` of the `budget_seconds` it was given."""

    stage: str
    role: StageRole
    outcome: StageOutcome
    reason: StageReason | None = None
    done_count: int = 0
    total_count: int = 0
    planned_count: int = 0
    elapsed_seconds: float = 0.0
    budget_seconds: float = 0.0
    planned_seconds: float | None = None
    usage: Usage = field(default_factory=Usage)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class IndexProgress:
    """How far one index had got when the search began: everything up to `applied_sequence` could be found."""

    stage: str
    applied_sequence: int
    lag_count: int


@dataclass(frozen=True, slots=True)
class FacetCount:
    """How many documents have a value."""

    value: Value
    document_count: int


@dataclass(frozen=True, slots=True)
class Facet:
    """The values of a field, the most frequent first, in `document_count` documents."""

    field: str
    counts: tuple[FacetCount, ...]
    document_count: int
    value_count: int


@dataclass(frozen=True, slots=True)
class SearchResult:
    """What a search, a retrieval or a reranking found. Iterating gives the hits, best first.

    In a notebook it shows the hits with the path each took, and how each stage fared.
    """

    hits: Hits
    stage_reports: tuple[StageReport, ...] = ()
    answer: Answer = field(default_factory=Answer)
    unreachable: tuple[str, ...] = ()
    usage: Usage = field(default_factory=Usage)
    pipeline: str = ""
    next_page_token: str = ""
    facets: tuple[Facet, ...] = ()
    suggested_query: str = ""
    index_progress: tuple[IndexProgress, ...] = ()

    def __iter__(self) -> Iterator[Hit]:
        return iter(self.hits)

    def __len__(self) -> int:
        return len(self.hits)

    def stage(self, name: str) -> StageReport | None:
        """How the stage of that name fared; None when the pipeline has none."""
        return next((each for each in self.stage_reports if each.stage == name), None)

    def _repr_html_(self) -> str:
        from tamis.client.html import result_as_html

        return result_as_html(self)


@dataclass(frozen=True, slots=True)
class HitsRevised:
    """Replaces all hits of revisions before; `stage` brought it about. Passages are whole in each of them."""

    revision: int
    stage: str
    hits: Hits


@dataclass(frozen=True, slots=True)
class StageCompleted:
    """A stage has ended."""

    report: StageReport


@dataclass(frozen=True, slots=True)
class AnswerDelta:
    """The next piece of the answer, and the evidence that became known with it."""

    text: str
    citations: tuple[Citation, ...] = ()


@dataclass(frozen=True, slots=True)
class Completed:
    """The end of a stream."""

    finish_reason: FinishReason
    stage_reports: tuple[StageReport, ...] = ()
    unreachable: tuple[str, ...] = ()
    usage: Usage = field(default_factory=Usage)
    pipeline: str = ""
    revision: int = 0
    budget_basis: BudgetBasis | None = None
    next_page_token: str = ""
    facets: tuple[Facet, ...] = ()
    suggested_query: str = ""
    index_progress: tuple[IndexProgress, ...] = ()


SearchEvent: TypeAlias = HitsRevised | StageCompleted | AnswerDelta | Completed
"""`(HitsRevised | StageCompleted)* (AnswerDelta | StageCompleted)* Completed`."""

RerankEvent: TypeAlias = HitsRevised | StageCompleted | Completed
"""`(HitsRevised | StageCompleted)* Completed`."""

GenerateEvent: TypeAlias = StageCompleted | AnswerDelta | Completed
"""`StageCompleted* AnswerDelta* StageCompleted* Completed`."""
