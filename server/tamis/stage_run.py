"""Runs one stage of one search inside its budget and says how it fared; whatever a plugin does, this returns."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence, Set
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import TypeAlias, TypeVar

import structlog

from tamis.component import Component
from tamis.context import Call, CallEnded, Companions, Options, Principal
from tamis.deadline import Deadline
from tamis.errors import Overloaded, TamisError, Unavailable
from tamis.events import IndexProgress, Milestone, StageOutcome, StageReason, StageReport, StageRole
from tamis.facets import FacetSpec
from tamis.filters import matches
from tamis.generator import AnswerDelta, ContextBuilder, Generator, is_given
from tamis.model import Candidate, Hit, Passage, Query
from tamis.pauses import Pauses
from tamis.presentation import Presentation
from tamis.ranking import Ranking, from_candidates, reranked
from tamis.stage import Reranker, Reranking, Retriever
from tamis.stage_loop import StageLoop

__all__ = ["Hydrate", "Request", "StageRun", "StageYieldedNothing"]

Hydrate: TypeAlias = Callable[[str, Sequence[tuple[str, int]], int], Awaitable[Mapping[str, Passage]]]
"""Passages of a collection by (id, document version) in one of its splits, those left out whose version is superseded.
"""

Role = TypeVar("Role")
_LOG = structlog.get_logger(__name__)
_MOST_CANDIDATES = 10_000
_REVISION_SECONDS = 0.03  # a stage that improves faster than people and networks can follow is sampled


@dataclass(frozen=True, slots=True)
class Request:
    """What every stage of one search shares. `options` are settings that it changes for itself, by stage; `split` is
    how its generation divides documents.

    `mends_spelling` says whether the words of an index may be told to the caller.
    `question` is what to answer where that is not what to look for; empty where only documents like others are sought.
    """

    query: Query
    deadline: Deadline
    presentation: Presentation = field(default_factory=Presentation)
    options: Options = field(default_factory=dict)
    facet_specs: tuple[FacetSpec, ...] = ()
    question: str | None = None
    request_id: str = ""
    principal: Principal = Principal()
    companions: Companions = field(default_factory=Companions)
    split: int = 1
    index_progress: tuple[IndexProgress, ...] = ()
    mends_spelling: bool = True

    @property
    def asked(self) -> Query:
        """The query in the caller's own words."""
        return self.query if self.question is None else replace(self.query, text=self.question)

    @property
    def is_question(self) -> bool:
        """Whether there is something to answer."""
        return bool((self.query.text if self.question is None else self.question).strip())


class StageYieldedNothing(Exception):
    """A stage gave nothing usable; `report` says why, and `refusal` is there where it takes no more work now."""

    def __init__(self, report: StageReport, refusal: Overloaded | None = None) -> None:
        super().__init__(report.stage)
        self.report, self.refusal = report, refusal

    def error(self, message: str) -> TamisError:
        """What a caller is told to whom nothing is left: to come again later, where overload was all that was wrong."""
        stage = {"stage": self.report.stage}
        if self.refusal is None:
            return Unavailable(message, metadata=stage)
        return Overloaded(f"{message}: too much is waiting", retry_after=self.refusal.retry_after, metadata=stage)


@dataclass(slots=True)
class StageRun:
    """One stage at work: its name, its component, its call, and the outcome as far as it is known."""

    name: str
    role: StageRole
    component: Component
    request: Request
    loop: StageLoop
    until: Deadline
    call: Call = field(init=False)
    started: float = field(default_factory=time.monotonic)
    outcome: StageOutcome = StageOutcome.RAN
    reason: StageReason | None = None
    done_count: int = 0
    total_count: int = 0
    refusal: Overloaded | None = None
    planned_count: int = 0
    planned: float | None = None
    work: float = 0.0
    milestones: tuple[Milestone, ...] = ()

    def __post_init__(self) -> None:
        request = self.request
        options = request.options.get(self.name, {})
        self.call = Call(self.until, request.request_id, request.principal, options, companions=request.companions)

    def report(self) -> StageReport:
        """How the stage has fared so far."""
        return StageReport(
            self.name,
            self.role,
            self.outcome,
            self.reason,
            self.done_count,
            self.total_count,
            time.monotonic() - self.started,
            max(0.0, self.until.at - self.started),
            self.call.usage,
            tuple(self.call.notes),
            planned_count=0 if self.outcome is StageOutcome.SKIPPED else self.planned_count or self.total_count,
            planned=self.planned,
            work=self.work,
            milestones=self.milestones,
        )

    async def retrieve(self, limit: int, hydrate: Hydrate) -> Ranking:
        """At most `limit` hits that satisfy the filter. Raises `StageYieldedNothing` when the retriever failed."""
        self.total_count = limit
        ranking: Ranking | None = None
        async with self._contained(StageOutcome.UNREACHABLE):
            ranking = await self._retrieve(limit, hydrate)
        if ranking is None:
            raise StageYieldedNothing(self.report(), self.refusal)
        self.done_count = len(ranking)
        return ranking

    async def rerank(self, prior: Ranking, top_n: int, improved: Callable[[Ranking], None]) -> Ranking:
        """`prior` in a better order, complete. Calls `improved` with better orders on the way. Of `prior` the first
        `planned_count` are ranked, if that is not 0.

        Not before the stage has ranked all that the caller sees: what it happened to rank first would only push aside
        what it did not.

        Raises `StageYieldedNothing` when not one passage was ranked.
        """
        self.total_count = len(prior)
        cap = min(self.component.capabilities.max_candidates or len(prior), self.planned_count or len(prior))
        head, tail = prior[:cap], prior[cap:]
        best: Reranking | None = None
        seen = {hit.passage.id for hit in self.request.presentation.page(head)}
        pause = Deadline.after(_REVISION_SECONDS)
        async with self._contained(StageOutcome.FELL_BACK), aclosing(self._rerankings(head, top_n)) as stream:
            async for best in stream:
                self._progress(best.ranked_count)
                if pause.passed:
                    if _is_valid(best, len(head)) and _covers(best, head, seen):
                        improved((*self._reranked(head, best), *tail))
                    pause = Deadline.after(_REVISION_SECONDS)  # looking is dear, too, where there are thousands
        self._judge(best, len(head))
        return (*self._reranked(head, best), *tail) if best else prior

    def _progress(self, done_count: int) -> None:
        """Notes how far the stage has got, the first time and the last."""
        self.done_count = done_count
        if done_count:
            self.milestones = (*self.milestones[:1], Milestone(done_count, time.monotonic() - self.started))

    def _judge(self, best: Reranking | None, count: int) -> None:
        """Settles the outcome of a reranking. Raises `StageYieldedNothing` when nothing of it can be used."""
        is_short = self.until.passed or 0 < self.planned_count < self.total_count
        late = StageReason.DEADLINE if is_short else None
        if best is not None and not _is_valid(best, count):
            self._fail(StageOutcome.FELL_BACK, StageReason.INVALID_OUTPUT)
            raise StageYieldedNothing(self.report(), self.refusal)
        if count and self.done_count == 0:
            self._fail(StageOutcome.FELL_BACK, self.reason or late or StageReason.INVALID_OUTPUT)
            raise StageYieldedNothing(self.report(), self.refusal)
        is_capped = count < self.total_count
        if self.done_count < self.total_count and (is_capped or best is None or not best.is_settled):
            self.reason = self.reason or late or StageReason.INCOMPLETE
        if self.reason is not None:
            self.outcome = StageOutcome.PARTIAL

    def _reranked(self, prior: Ranking, reranking: Reranking) -> Ranking:
        return reranked(self.name, prior, reranking, self.component.capabilities.score_kind)

    async def choose(self, ranking: Ranking) -> Sequence[Hit]:
        """What a context builder selects. Raises `StageYieldedNothing` when it failed."""
        self.total_count = len(ranking)
        chosen: Sequence[Hit] | None = None
        async with self._contained(StageOutcome.FELL_BACK):
            builder, query = self._as(ContextBuilder), self.request.asked
            built = await self.loop.run(lambda: builder.build(query, ranking, call=self.call))
            chosen = self._given(ranking, built)
        if chosen is None:
            raise StageYieldedNothing(self.report(), self.refusal)
        self.done_count = len(chosen)
        return chosen

    def _given(self, ranking: Ranking, built: Sequence[Hit]) -> Sequence[Hit]:
        """Each chosen hit once, as given or merged from given ones, so that what a generator reads can be cited."""
        given = {hit.passage.id: hit for hit in ranking}
        distinct = {hit.passage.id: hit for hit in reversed(built) if hit.passage.id in given}
        ids = dict.fromkeys(hit.passage.id for hit in built if hit.passage.id in given)
        chosen = [distinct[id] if is_given(distinct[id], ranking) else given[id] for id in ids]
        if chosen != list(built):
            self.call.note("duplicate, unknown or altered hit repaired")
        return chosen

    async def answer(self, context: Sequence[Hit]) -> AsyncGenerator[AnswerDelta, None]:
        """The generator's deltas as they come; ends early, with the outcome set, when it fails or runs late."""
        self.total_count = self.done_count = len(context)
        generator, query = self._as(Generator), self.request.asked
        work = self.loop.stream(lambda: _generator(generator.answer(query, context, call=self.call)))
        async with aclosing(work) as deltas:
            while True:
                delta: AnswerDelta | None = None
                async with self._contained(StageOutcome.FELL_BACK):
                    delta = await anext(deltas, None)
                if delta is None:
                    return
                if not self.milestones:
                    self._progress(self.done_count)
                yield delta

    async def _retrieve(self, limit: int, hydrate: Hydrate) -> Ranking:
        """Asks for more when the filter or superseded versions took too many of what came."""
        retriever, query = self._as(Retriever), self.request.query
        asked = limit
        while True:
            found = await self.loop.run(lambda: retriever.retrieve(query, limit=asked, call=self.call))  # noqa: B023
            candidates = self._checked(found, asked)
            wanted = [(each.passage_id, each.document_version) for each in candidates]
            passages = await hydrate(query.collection, wanted, self.request.split)
            passages = await self._wanted(passages, query)
            if len(passages) >= limit or len(candidates) < asked or asked >= _MOST_CANDIDATES:
                return from_candidates(self.name, candidates, passages)[:limit]
            asked = min(asked * 4, _MOST_CANDIDATES)

    async def _wanted(self, passages: Mapping[str, Passage], query: Query) -> Mapping[str, Passage]:
        """Those that may be hits, read for boosts and sort keys while the stage's budget still bounds that."""
        if query.filter is None and not query.excluded_document_ids and not self.request.presentation.reads:
            return passages
        pauses, wanted = Pauses(), dict[str, Passage]()
        for key, each in passages.items():
            await pauses.take()
            if _is_wanted(each, query):
                self.request.presentation.read(each)
                wanted[key] = each
        return wanted

    def _checked(self, found: Sequence[Candidate], limit: int) -> list[Candidate]:
        kind = self.component.capabilities.score_kind
        distinct: dict[str, Candidate] = {}
        for each in found:
            if each.kind is kind:
                distinct.setdefault(each.passage_id, each)
        if len(distinct) < len(found):
            self.call.note("duplicate candidate or one of another kind of score dropped")
        return list(distinct.values())[:limit]

    def _rerankings(self, prior: Ranking, top_n: int) -> AsyncGenerator[Reranking, None]:
        reranker, query = self._as(Reranker), self.request.query
        passages = [hit.passage for hit in prior]
        return self.loop.stream(lambda: reranker.rerank(query, passages, top_n=top_n, call=self.call))

    def _contained(self, failure: StageOutcome) -> _Boundary:
        return _Boundary(self, failure)

    def contain(self, error: Exception, failure: StageOutcome) -> None:
        """Notes what a plugin raised; only what is no part of its contract is told in full."""
        match error:
            case CallEnded():
                self._fail(failure, StageReason.DEADLINE)
            case Overloaded():
                self.refusal = error
                self._fail(failure, StageReason.OVERLOADED)
            case TamisError():
                self._fail(failure, StageReason.FAILED)
                _LOG.warning("stage failed", stage=self.name, reason=error.reason, request_id=self.request.request_id)
            case _:
                self._fail(failure, StageReason.FAILED)
                _LOG.error("stage failed", stage=self.name, request_id=self.request.request_id, exc_info=error)

    def skip(self, total_count: int) -> None:
        """Notes that it was not worth beginning in the time there is."""
        self.total_count = total_count
        self.end_late(StageOutcome.SKIPPED)

    def end_late(self, failure: StageOutcome) -> None:
        """Notes that the budget was not enough."""
        self._fail(failure, StageReason.DEADLINE)

    def _fail(self, outcome: StageOutcome, reason: StageReason) -> None:
        self.outcome, self.reason = outcome, reason

    def _as(self, role: type[Role]) -> Role:
        """The component in its role, which the pipeline's validation has checked."""
        if not isinstance(self.component, role):
            raise TypeError(f"{self.name} is not a {role.__name__}")
        return self.component


class _Boundary:
    """The boundary of a stage: nothing a plugin raises, and no time it takes, gets past it."""

    __slots__ = ("_failure", "_limit", "_run")

    def __init__(self, run: StageRun, failure: StageOutcome) -> None:
        self._run, self._failure = run, failure
        self._limit = asyncio.timeout(None if math.isinf(run.until.at) else run.until.remaining)

    async def __aenter__(self) -> None:
        await self._limit.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        try:
            await self._limit.__aexit__(kind, error, traceback)
        except TimeoutError:  # a plugin's own comes as `error`
            self._run.end_late(self._failure)
            return True
        if not isinstance(error, Exception):
            return False
        self._run.contain(error, self._failure)
        return True


async def _generator(source: AsyncIterator[AnswerDelta]) -> AsyncGenerator[AnswerDelta, None]:
    async for each in source:
        yield each


def _is_wanted(passage: Passage, query: Query) -> bool:
    if passage.document_id in query.excluded_document_ids:
        return False
    return query.filter is None or matches(query.filter, passage.metadata)


def _covers(best: Reranking, prior: Ranking, seen: Set[str]) -> bool:
    """Whether everything that the caller sees of the prior order is ranked, with a score or, where deeper looks go to
    few, without one; or it is a listwise order."""
    is_listwise = all(score is None for score in best.scores)
    return is_listwise or seen <= {prior[index].passage.id for index in best.ranked}


def _is_valid(reranking: Reranking, count: int) -> bool:
    scores, order = reranking.scores, reranking.order
    return (
        0 <= reranking.ranked_count <= count
        and len(scores) == count
        and sorted(order) == list(range(count))
        and all(score is None or math.isfinite(score) for score in scores)
    )
