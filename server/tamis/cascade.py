"""Evaluates a ranking expression: stages side by side, one after another, each within its share of the deadline."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from tamis.deadline import Deadline
from tamis.events import StageOutcome, StageReport, StageRole
from tamis.expression import Chain, Cut, Expression, Join, Leaf, Prior, to_text
from tamis.pipeline import Pipeline
from tamis.planner import DEFAULT_DEPTH, LEAST_SECONDS, Planner, work_of
from tamis.ranking import Ranking, fused
from tamis.stage_loop import StageLoop
from tamis.stage_run import Hydrate, Request, StageRun, StageYieldedNothing

__all__ = ["Cascade"]

Improved: TypeAlias = Callable[[str, Ranking], None]
"""Told the stage and the best order known, whenever that changes."""


@dataclass(frozen=True, slots=True)
class Cascade:
    """One request's way through a pipeline's retrievers, fusions and rerankers.

    `report` is called once for every stage that has ended, `found` with the hits of every retriever. What a failing
    stage falls back to is what came into it.
    """

    pipeline: Pipeline
    request: Request
    loop: StageLoop
    hydrate: Hydrate
    planner: Planner
    report: Callable[[StageReport], None]
    found: Callable[[Ranking], None] = lambda _: None

    async def rank(self, expression: Expression, prior: Ranking | None, until: Deadline, improved: Improved) -> Ranking:
        """The hits of `expression`, given what came in before it.

        Raises `StageYieldedNothing` when it has none of its own, `Unavailable` or `Overloaded` when a required stage
        has not.
        """
        match expression:
            case Prior():
                return prior or ()
            case Leaf(name):
                return await self._leaf(name, prior, sys.maxsize, until, improved)
            case Cut(Leaf(name), limit):
                return (await self._leaf(name, prior, limit, until, _cutting(limit, improved)))[:limit]
            case Cut(operand, limit):
                return (await self.rank(operand, prior, until, _cutting(limit, improved)))[:limit]
            case Join(operands):
                return await self._join(expression, operands, prior, until, improved)
            case Chain(operands):
                return await self._chain(operands, prior, until, improved)

    def run_of(self, name: str, until: Deadline) -> StageRun:
        """A stage of this pipeline, ready to run."""
        component = self.pipeline.components[name]
        return StageRun(name, self.pipeline.roles[name], component, self.request, self.loop, until)

    async def _leaf(self, name: str, prior: Ranking | None, limit: int, until: Deadline, improved: Improved) -> Ranking:
        run = self.run_of(name, until)
        try:
            ranking = await self._ranked(run, prior, limit, lambda better: improved(name, better))
        except StageYieldedNothing as nothing:
            self.report(nothing.report)
            if name in self.pipeline.required:
                raise nothing.error(f"the required stage {name!r} gave nothing") from nothing
            raise
        finally:
            run.call.end()
        self.report(run.report())
        improved(name, ranking)
        return ranking

    async def _ranked(
        self, run: StageRun, prior: Ranking | None, limit: int, improved: Callable[[Ranking], None]
    ) -> Ranking:
        if run.role is StageRole.RETRIEVER:
            limit = DEFAULT_DEPTH if limit == sys.maxsize else limit
            run.work, run.planned = limit, self.planner.promised(run.name, limit)
            hits = await run.retrieve(limit, self.hydrate)
            self.found(hits)
            return hits
        prior = prior or ()
        if not self._plan(run, prior):
            run.skip(len(prior))
            raise StageYieldedNothing(run.report())
        return await run.rerank(prior, min(limit, len(prior)), improved)

    def _plan(self, run: StageRun, prior: Ranking) -> bool:
        """Settles how many candidates a reranker gets; False when it is not worth beginning."""
        if run.until.remaining < LEAST_SECONDS:
            return False
        work = work_of(self.request.query, prior[: run.component.capabilities.max_candidates])
        depth = len(work) if run.name in self.pipeline.required else self.planner.depth(run.name, work, run.until)
        run.planned_count = depth if depth < len(work) else len(prior)
        run.work = sum(work[:depth])
        run.planned = self.planner.promised(run.name, run.work)
        return depth > 0 or not prior

    async def _chain(
        self, operands: Sequence[Expression], prior: Ranking | None, until: Deadline, improved: Improved
    ) -> Ranking:
        """A retrieval that found nothing ends the chain; any later operand without hits of its own is passed over."""
        ranking = prior
        for place, operand in enumerate(operands):
            sooner = self.planner.until(operands[place:], self.pipeline.roles, len(ranking or ()), until)
            try:
                ranking = await self.rank(operand, ranking, sooner, improved)
            except StageYieldedNothing:
                if ranking is None:
                    raise
                ranking = ranking[: _limit(operand)]
        return ranking or ()

    async def _join(
        self,
        join: Join,
        operands: Sequence[Expression],
        prior: Ranking | None,
        until: Deadline,
        improved: Improved,
    ) -> Ranking:
        """Fuses whatever sides are known, as soon as they are; sides that give nothing are left out."""
        name = to_text(join)
        sides: dict[str, Ranking] = {}

        def side_improved(side: str, stage: str, ranking: Ranking) -> None:
            sides[side] = ranking
            improved(stage, self._fused(name, operands, sides))

        failed = self._passed_over(operands, until)
        passed_over = {each.report.stage for each in failed}

        async def run_side(operand: Expression) -> None:
            side = _side_name(operand)
            try:
                sides[side] = await self.rank(
                    operand, prior, until, lambda stage, ranking: side_improved(side, stage, ranking)
                )
            except StageYieldedNothing as nothing:
                sides.pop(side, None)
                failed.append(nothing)

        await _all(run_side(operand) for operand in operands if _side_name(operand) not in passed_over)
        return self._finish(name, operands, sides, failed, until, improved)

    def _passed_over(self, operands: Sequence[Expression], until: Deadline) -> list[StageYieldedNothing]:
        """Reports the retrievers among several sides that are not worth beginning, and gives what each would raise."""
        limits = dict(filter(None, map(self._retriever, operands)))
        dear = limits.keys() - self.planner.worthwhile(limits, until) - self.pipeline.required
        found = []
        for name in sorted(dear):
            run = self.run_of(name, until)
            run.call.end()
            run.skip(limits[name])
            run.work, run.planned = limits[name], self.planner.promised(name, limits[name])
            found.append(StageYieldedNothing(run.report()))
            self.report(found[-1].report)
        return found

    def _retriever(self, operand: Expression) -> tuple[str, int] | None:
        """An operand that is a retriever and nothing more, with its limit."""
        match operand:
            case Leaf(name) | Cut(Leaf(name), _) if self.pipeline.roles[name] is StageRole.RETRIEVER:
                return name, _limit(operand) if isinstance(operand, Cut) else DEFAULT_DEPTH
            case _:
                return None

    def _finish(
        self,
        name: str,
        operands: Sequence[Expression],
        sides: dict[str, Ranking],
        failed: Sequence[StageYieldedNothing],
        until: Deadline,
        improved: Improved,
    ) -> Ranking:
        """Fuses for the last time and reports it."""
        started = time.monotonic()
        report = StageReport(name, StageRole.FUSION, StageOutcome.RAN, done_count=len(sides), total_count=len(operands))
        if len(failed) >= len([each for each in operands if not isinstance(each, Prior)]):
            report = replace(report, outcome=StageOutcome.FELL_BACK, reason=failed[0].report.reason)
            self.report(report)
            refusals = [each.refusal for each in failed]
            raise StageYieldedNothing(report, refusals[0] if all(refusals) else None)
        ranking = self._fused(name, operands, sides)
        if failed:
            report = replace(report, outcome=StageOutcome.PARTIAL, reason=failed[0].report.reason)
        self.report(replace(report, elapsed=time.monotonic() - started, budget=max(0.0, until.at - started)))
        improved(name, ranking)
        return ranking

    def _fused(self, name: str, operands: Sequence[Expression], sides: dict[str, Ranking]) -> Ranking:
        order = [_side_name(operand) for operand in operands]
        return fused(name, {side: sides[side] for side in order if side in sides}, self.pipeline.fusion)


def _cutting(limit: int, improved: Improved) -> Improved:
    return lambda stage, ranking: improved(stage, ranking[:limit])


def _limit(expression: Expression) -> int:
    """The strictest limit that stands around an expression's core."""
    if isinstance(expression, Cut):
        return min(expression.limit, _limit(expression.operand))
    return sys.maxsize


def _side_name(expression: Expression) -> str:
    """A cut has the name of what it cuts: `bm25 % 50` contributes as `bm25`."""
    while isinstance(expression, Cut):
        expression = expression.operand
    return to_text(expression)


async def _all(works: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Runs all side by side. The first error cancels the rest and is raised as itself."""
    tasks = [asyncio.ensure_future(each) for each in works]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
