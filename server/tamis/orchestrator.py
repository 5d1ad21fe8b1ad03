"""Runs one search as a stream of events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import replace

from tamis.answering import Answering
from tamis.cascade import Cascade
from tamis.context import Usage
from tamis.errors import InvalidRequest
from tamis.events import BudgetBasis, Completed, Event, HitsRevised, StageReport
from tamis.expression import Chain, Expression, Leaf, to_text
from tamis.facets import count
from tamis.filters import Operator, operators
from tamis.model import FinishReason, Hit, Passage, Value
from tamis.pipeline import Pipeline
from tamis.planner import Planner
from tamis.prices import PriceTable, total
from tamis.ranking import Ranking, from_passages
from tamis.spelling import Spelling
from tamis.stage_loop import StageLoop
from tamis.stage_run import Hydrate, Request, StageYieldedNothing

__all__ = ["Orchestrator"]


class Orchestrator:
    """Turns a request into events. Runs on the caller's loop; only plugins run on the stage loop.

    Closing a generator that this class returned ends the search: after that no batch and no token starts for it.
    """

    def __init__(
        self,
        loop: StageLoop,
        hydrate: Hydrate,
        planner: Planner | None = None,
        prices: PriceTable | None = None,
        observe: Callable[[StageReport], None] = lambda _: None,
    ) -> None:
        """`observe` is told of every stage that has ended."""
        self._loop, self._observe = loop, observe
        self._hydrate = hydrate
        self._planner = planner or Planner(learns=False)
        self._prices = prices or PriceTable()

    def search(self, pipeline: Pipeline, request: Request, part: Expression) -> AsyncGenerator[Event, None]:
        """A part of the pipeline that begins with its retrieval, or the whole. Raises `Unavailable` when no retriever,
        or not a required stage, gave anything, `Overloaded` when it was because they take no more work now, and
        `InvalidRequest` when it has no retriever, or one that cannot evaluate the filter."""
        _check_retrieves(pipeline, part, request)
        search = self._search(pipeline, request)
        return search.events(lambda: search.rank_and_answer(part, None))

    def rerank(self, pipeline: Pipeline, request: Request, passages: Sequence[Passage]) -> AsyncGenerator[Event, None]:
        """The pipeline's rerankers over passages with distinct ids. Raises `InvalidRequest` when it has none."""
        expression = pipeline.reranking
        if expression is None:
            raise InvalidRequest.of("pipeline", f"{to_text(pipeline.expression)!r} has no reranker")
        search = self._search(pipeline, request)
        return search.events(lambda: search.rank_and_answer(expression, from_passages(passages)))

    def generate(
        self, pipeline: Pipeline, request: Request, passages: Sequence[Passage]
    ) -> AsyncGenerator[Event, None]:
        """The pipeline's generator over passages. Raises `InvalidRequest` when it has none."""
        if pipeline.generator is None:
            raise InvalidRequest.of("pipeline", f"{to_text(pipeline.expression)!r} has no generator")
        search = self._search(pipeline, request)
        return search.events(lambda: search.answer(from_passages(passages)))

    def _search(self, pipeline: Pipeline, request: Request) -> _Search:
        return _Search(pipeline, request, self._loop, self._hydrate, self._planner, self._prices, self._observe)


class _Search:
    """One request under way: its events so far, and the queue they leave by."""

    def __init__(
        self,
        pipeline: Pipeline,
        request: Request,
        loop: StageLoop,
        hydrate: Hydrate,
        planner: Planner,
        prices: PriceTable,
        observe: Callable[[StageReport], None],
    ) -> None:
        self._observe = observe
        self._pipeline, self._request, self._planner, self._prices = pipeline, request, planner, prices
        self._cascade = Cascade(pipeline, request, loop, hydrate, planner, self._report, self._note_found)
        self._spelling = Spelling(pipeline, request, loop)
        self._found: dict[str, Mapping[str, Value]] = {}
        self._events: asyncio.Queue[Event | None] = asyncio.Queue()
        self._reports: list[StageReport] = []
        self._shown: tuple[Hit, ...] | None = None
        self._revision = 0
        self._expression: Expression = pipeline.expression
        self._basis = BudgetBasis.FIXED_SHARES

    async def events(self, work: Callable[[], Awaitable[None]]) -> AsyncGenerator[Event, None]:
        """What `work` tells, while it tells it; then its error, if it had one."""

        async def told() -> None:
            try:
                await work()
            finally:
                self._events.put_nowait(None)

        task = asyncio.ensure_future(told())
        try:
            while (event := await self._events.get()) is not None:
                yield event
            await task
        finally:
            self._spelling.cancel()
            if not task.done():
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    async def rank_and_answer(self, expression: Expression, prior: Ranking | None) -> None:
        """Runs the stages of `expression`, then the context builder and generator that stand at its end."""
        self._expression = expression
        self._basis = self._planner.basis(expression, self._pipeline.roles)
        ranking_part, answering_part = _divided(expression, self._pipeline)
        answering_part = answering_part and self._request.is_question
        if prior is None:
            self._spelling.start()
        ranking = prior or ()
        if ranking_part is not None:
            ranking = await self._rank(ranking_part, prior, bool(answering_part))
        if self._shown is None:
            self._revise(self._reports[-1].stage if self._reports else "prior", ranking)
        if answering_part:
            reason = await self._answered(self._request.presentation.page(ranking))
        else:
            reason = FinishReason.NOT_REQUESTED
        await self._complete(reason, ranking)

    async def answer(self, hits: Ranking) -> None:
        """Runs the context builder and the generator over `hits`."""
        names = (self._pipeline.context_builder, self._pipeline.generator)
        self._basis = self._planner.basis(Chain(tuple(Leaf(each) for each in names if each)), self._pipeline.roles)
        await self._complete(await self._answered(hits), ())

    async def _answered(self, hits: Ranking) -> FinishReason:
        answering = Answering(self._cascade, self._pipeline, self._planner, self._events.put_nowait, self._report)
        return await answering.answer(hits)

    async def _rank(self, expression: Expression, prior: Ranking | None, answered: bool) -> Ranking:
        until = self._request.deadline
        if answered:
            pipeline = self._pipeline
            names = [each for each in (pipeline.context_builder, pipeline.generator) if each]
            until = self._planner.until_answering(expression, names, pipeline.roles, until)
        try:
            return await self._cascade.rank(expression, prior, until, self._revise)
        except StageYieldedNothing as nothing:
            if prior is None:
                raise nothing.error("no retriever gave anything in time") from None
            return prior

    def _report(self, report: StageReport) -> None:
        cost = self._prices.cost(report.usage)
        priced = report if cost is None else replace(report, cost=cost)
        self._reports.append(priced)
        self._observe(priced)
        self._planner.observe(priced)
        self._events.put_nowait(priced)

    def _revise(self, stage: str, ranking: Ranking) -> None:
        """Shows a better order, unless the caller would see no difference."""
        hits = self._request.presentation.page(ranking)
        if hits != self._shown:
            self._shown = hits
            self._revision += 1
            self._events.put_nowait(HitsRevised(self._revision, stage, hits))

    def _note_found(self, ranking: Ranking) -> None:
        if self._request.facet_specs:
            self._found.update((hit.passage.document_id, hit.passage.metadata) for hit in ranking)

    async def _complete(self, reason: FinishReason, ranking: Ranking) -> None:
        usage = Usage()
        for report in self._reports:
            usage.add(report.usage)
        documents, deadline = self._found.values(), self._request.deadline
        facets = [await count(each, documents, deadline) for each in self._request.facet_specs]
        completed = Completed(
            reason,
            tuple(self._reports),
            usage,
            self._pipeline.text if self._expression is self._pipeline.expression else to_text(self._expression),
            self._revision,
            self._basis,
            self._request.presentation.next_offset(ranking),
            tuple(facets),
            await self._spelling.finish(),
            total(report.cost for report in self._reports),
            self._request.index_progress,
        )
        self._events.put_nowait(completed)


def _check_retrieves(pipeline: Pipeline, expression: Expression, request: Request) -> None:
    """An operator that a retriever does not know is refused and never ignored; so is a threshold for no score."""
    if not pipeline.retrieves:
        raise InvalidRequest.of("pipeline", f"{to_text(pipeline.expression)!r} has no retriever, so it cannot search")
    asked = frozenset[Operator]() if request.query.filter is None else operators(request.query.filter)
    for name in pipeline.retrievers if asked else ():
        if missing := asked - pipeline.components[name].capabilities.filter_operators:
            names = ", ".join(sorted(each.value for each in missing))
            raise InvalidRequest.of("filter", f"the retriever {name!r} cannot evaluate: {names}")
    if not request.presentation.thresholds:
        return
    kinds = pipeline.score_kinds(expression)
    if useless := sorted(each.name for each in request.presentation.thresholds.keys() - kinds):
        known = ", ".join(sorted(each.name for each in kinds))
        message = f"no stage that runs gives a score of kind {useless[0]}; they give: {known}"
        raise InvalidRequest.of("score_thresholds", message)


def _divided(expression: Expression, pipeline: Pipeline) -> tuple[Expression | None, bool]:
    """The part that ranks, and whether a generator stands behind it."""
    operands = expression.operands if isinstance(expression, Chain) else (expression,)
    ranking = tuple(each for each in operands if not pipeline.is_answering(each))
    whole = Chain(ranking) if len(ranking) > 1 else ranking[0] if ranking else None
    return whole, len(ranking) < len(operands)
