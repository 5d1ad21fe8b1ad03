"""Chooses the context and streams the answer, letting no citation through that does not resolve."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from tamis.cascade import Cascade
from tamis.events import StageOutcome, StageReason, StageReport
from tamis.generator import AnswerDelta
from tamis.locators import located
from tamis.model import Citation, FinishReason, Hit, Passage
from tamis.pipeline import Pipeline
from tamis.planner import FixedShares
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
    planner: FixedShares
    emit: Callable[[AnswerDelta], None]
    report: Callable[[StageReport], None]

    async def answer(self, hits: Ranking) -> FinishReason:
        """Streams the answer from `hits`, which the caller has seen. Without a generator there is none."""
        context = await self._context(hits)
        if self.pipeline.generator is None:
            return FinishReason.NOT_REQUESTED
        run = self.cascade.run_of(self.pipeline.generator, self.cascade.request.deadline)
        try:
            reason = await self._generate(run, context)
        finally:
            run.call.end()
        self.report(run.report())
        return reason

    async def _context(self, hits: Ranking) -> Sequence[Hit]:
        """The context builder's choice; without one, or when it fails, the first hits."""
        chosen: Sequence[Hit] = hits[:CONTEXT_SIZE]
        if self.pipeline.context_builder is None:
            return chosen
        until = self.planner.until(self.planner.answering_shares, self.cascade.request.deadline)
        run = self.cascade.run_of(self.pipeline.context_builder, until)
        try:
            chosen = await run.choose(hits)
        except StageYieldedNothing:
            pass  # the first hits, chosen before the stage started, stand
        finally:
            run.call.end()
        self.report(run.report())
        return chosen

    async def _generate(self, run: StageRun, context: Sequence[Hit]) -> FinishReason:
        if not context:
            return FinishReason.NO_HITS
        if run.until.remaining < self.planner.least_seconds:
            run.outcome, run.reason, run.total_count = StageOutcome.SKIPPED, StageReason.DEADLINE, len(context)
            return FinishReason.SKIPPED
        passages = {hit.passage.id: hit.passage for hit in context}
        length, finish = 0, None
        async with aclosing(run.answer(context)) as deltas:
            async for delta in deltas:
                length += len(delta.text.encode())
                finish = delta.finish_reason or finish
                if delta.text or delta.citations:
                    self.emit(self._resolved(run, delta, passages, length))
        return _finish(run, finish, length)

    def _resolved(self, run: StageRun, delta: AnswerDelta, passages: dict[str, Passage], length: int) -> AnswerDelta:
        kept = tuple(each for each in delta.citations if _resolves(each, passages, length))
        if len(kept) < len(delta.citations):
            run.call.note("citation that does not resolve dropped")
        return AnswerDelta(delta.text, tuple(_placed(each, passages[each.passage_id]) for each in kept))


def _resolves(citation: Citation, passages: dict[str, Passage], length: int) -> bool:
    """Whether the citation points into the answer so far and into the span of a passage of the context."""
    passage = passages.get(citation.passage_id)
    return (
        passage is not None
        and citation.document_id == passage.document_id
        and citation.document_version == passage.document_version
        and citation.answer_span.end <= length
        and passage.span.start <= citation.document_span.start
        and citation.document_span.end <= passage.span.end
    )


def _placed(citation: Citation, passage: Passage) -> Citation:
    return replace(citation, locator=located(passage, citation.document_span))


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
