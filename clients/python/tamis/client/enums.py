"""The wire's enumerations as Python's; a member that a newer server knows and this client does not is `UNKNOWN`."""

from __future__ import annotations

from enum import Enum
from typing import Self

__all__ = ["BudgetBasis", "FinishReason", "ScoreKind", "StageOutcome", "StageReason", "StageRole"]


class _Wire(Enum):
    """Numbered as on the wire."""

    @classmethod
    def _missing_(cls, value: object) -> Self:
        return cls(-1)

    def __str__(self) -> str:
        return self.name.lower().replace("_", " ")


class ScoreKind(_Wire):
    """What a score means. Scores of two kinds are never compared."""

    UNKNOWN = -1
    RANK_FUSION = 1
    NORMALIZED = 2
    COSINE = 3
    BM25 = 4
    MAX_SIM = 5
    LOGIT = 6
    PROBABILITY = 7
    LOG_PROBABILITY = 8


class StageRole(_Wire):
    """What a stage does."""

    UNKNOWN = -1
    RETRIEVER = 1
    FUSION = 2
    RERANKER = 3
    CONTEXT_BUILDER = 4
    GENERATOR = 5


class StageOutcome(_Wire):
    """How a stage ended. `UNREACHABLE` and `FELL_BACK` gave nothing; of `PARTIAL` what was done counts."""

    UNKNOWN = -1
    RAN = 1
    PARTIAL = 2
    SKIPPED = 3
    FELL_BACK = 4
    UNREACHABLE = 5


class StageReason(_Wire):
    """Why a stage did not simply run."""

    UNKNOWN = -1
    DEADLINE = 1
    FAILED = 2
    INVALID_OUTPUT = 3
    OVERLOADED = 4
    INCOMPLETE = 5


class FinishReason(_Wire):
    """Why an answer ends where it does. None of these is an error."""

    UNKNOWN = -1
    ANSWERED = 1
    NO_HITS = 2
    INSUFFICIENT_EVIDENCE = 3
    TRUNCATED = 4
    NOT_REQUESTED = 5
    SKIPPED = 6
    FAILED = 7


class BudgetBasis(_Wire):
    """What the division of the deadline among the stages rested on."""

    UNKNOWN = -1
    FIXED_SHARES = 1
    MEASURED = 2
    MEASURED_COSTS = 3
    PARTLY_MEASURED = 4
