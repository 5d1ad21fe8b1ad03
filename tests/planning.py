"""Runs of stages with given costs, for what learns from them."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from tamis.events import Milestone, StageOutcome, StageReason, StageReport, StageRole
from tamis.planner import Planner

__all__ = ["cut", "ran", "taught"]


def ran(stage: str, role: StageRole, seconds: float, *, count: int = 10, work: float | None = None) -> StageReport:
    """A run over `count` candidates, all of which were dealt with."""
    work = float(count) if work is None else work
    milestones = (Milestone(count, seconds),) if role is StageRole.GENERATOR else ()
    return StageReport(
        stage,
        role,
        StageOutcome.RAN,
        done_count=count,
        total_count=count,
        elapsed=seconds,
        planned_count=count,
        work=work,
        milestones=milestones,
    )


def cut(stage: str, role: StageRole, seconds: float, *, count: int = 10, done: int = 0) -> StageReport:
    """A run that its deadline ended."""
    outcome = StageOutcome.PARTIAL if done else StageOutcome.FELL_BACK
    return StageReport(
        stage,
        role,
        outcome,
        StageReason.DEADLINE,
        done_count=done,
        total_count=count,
        elapsed=seconds,
        planned_count=count,
        work=float(count),
    )


def taught(
    planner: Planner,
    stage: str,
    role: StageRole,
    seconds: Callable[[int], float],
    counts: Iterable[int] = (10, 20, 30, 40, 50) * 4,
) -> Planner:
    """The planner after runs over so many candidates, each of which took `seconds` of its count."""
    for count in counts:
        planner.observe(ran(stage, role, seconds(count), count=count))
    return planner
