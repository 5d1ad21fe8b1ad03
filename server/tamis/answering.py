"""Chooses the context and streams the answer, letting no citation through that does not resolve."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from tamis.cascade import Cascade
from tamis.events import StageOutcome, StageReason, StageReport
from tamis.evidence import Evidence
from tamis.generator import AnswerDelta
from tamis.model import FinishReason, Hit
from tamis.pipeline import Pipeline
from tamis.planner import Planner
from tamis.ranking import Ranking
from tamis.stage_run import StageRun, StageYieldedNothing

__all__ = ["CONTEXT_SIZE", "Answering"]

CONTEXT_SIZE = 5
"""How many hits a generator reads when the pipeline has no context builder."""


@dataclass(frozen=True, slots=True)
class Answering:
    """The end of a pipeline: from hits to deltas, which go to `emit`, and a finish reason."""

    cascade: Cascade
    pipeline: Pipeline
    planner: Planner
    emit: Callable[[AnswerDelta], None]
    report: Callable[[StageReport], None]

    async def answer(self, hits: Ranking) -> FinishReason:
        """Streams the answer from `hits`, which the caller has seen. Without a generator there is none."""
        context = await self._context(hits)
        if self.pipeline.generator is None:
            return FinishReason.NOT_REQUESTED
        run = self.cascade.run_of(self.pipeline.generator, self.cascade.request.deadline)
        try:
            reason = await self._generate(run, context, hits)
        finally:
            run.call.end()
        self.report(run.report())
        return reason

    async def _context(self, hits: Ranking) -> Sequence[Hit]:
        """The context builder's choice; without one, or when it fails, the first hits."""
        chosen: Sequence[Hit] = hits[:CONTEXT_SIZE]
        if self.pipeline.context_builder is None:
            return chosen
        until = self.cascade.request.deadline
        if self.pipeline.generator is not None:
            names = self.pipeline.context_builder, self.pipeline.generator
            until = self.planner.until_context(*names, self.pipeline.roles, until)
        run = self.cascade.run_of(self.pipeline.context_builder, until)
        try:
            chosen = await run.choose(hits)
        except StageYieldedNothing:
            pass  # the first hits, chosen before the stage started, stand
        finally:
            run.call.end()
        self.report(run.report())
        return chosen

    async def _generate(self, run: StageRun, context: Sequence[Hit], hits: Ranking) -> FinishReason:
        if not context:
            return FinishReason.INSUFFICIENT_EVIDENCE if hits else FinishReason.NO_HITS
        run.planned = self.planner.promised(run.name, 0.0)
        if not self.planner.fits(run.name, run.until):
            run.skip(len(context))
            return FinishReason.SKIPPED
        evidence = Evidence(context, hits)
        length, finish = 0, None
        async with aclosing(run.answer(context)) as deltas:
            async for delta in deltas:
                length += len(delta.text.encode())
                finish = delta.finish_reason or finish
                if delta.text or delta.citations:
                    self.emit(_resolved(run, delta, evidence, length))
        return _finish(run, finish, length)


def _resolved(run: StageRun, delta: AnswerDelta, evidence: Evidence, length: int) -> AnswerDelta:
    """The delta with those of its citations that resolve."""
    kept = [evidence.resolved(each, length) for each in delta.citations]
    if not all(kept):
        run.call.note("citation that does not resolve dropped")
    return AnswerDelta(delta.text, tuple(each for found in kept for each in found))


def _finish(run: StageRun, finish: FinishReason | None, length: int) -> FinishReason:
    """The generator's own reason, unless it ended without one or said it answered and wrote nothing."""
    if run.reason is StageReason.DEADLINE:
        run.outcome = StageOutcome.PARTIAL if length else StageOutcome.FELL_BACK
        return FinishReason.TRUNCATED
    if run.reason is not None or finish is None:
        run.reason = run.reason or StageReason.INCOMPLETE
        run.outcome = StageOutcome.PARTIAL if length else StageOutcome.FELL_BACK
        return FinishReason.TRUNCATED if length else FinishReason.FAILED
    if finish is FinishReason.ANSWERED and length == 0:
        return FinishReason.INSUFFICIENT_EVIDENCE
    return finish
