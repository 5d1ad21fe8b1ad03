"""Messages of searches read into values."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from tamis.client.enums import BudgetBasis, FinishReason, ScoreKind, StageOutcome, StageReason, StageRole
from tamis.client.hits import Answer, Citation, Contribution, Hit, Hits, Locator, Passage, StageScore
from tamis.client.results import (
    AnswerDelta,
    Completed,
    Cost,
    Facet,
    FacetCount,
    GenerateEvent,
    HitsRevised,
    IndexProgress,
    RerankEvent,
    SearchEvent,
    SearchResult,
    StageCompleted,
    StageReport,
    Usage,
)
from tamis.client.spans import Span
from tamis.client.values import from_metadata, to_metadata, to_value
from tamis.v1 import passage_pb2
from tamis.v1 import search_service_pb2 as pb

__all__ = ["Events", "from_passage", "reranked", "retrieved", "searched"]


def searched(message: pb.SearchResponse) -> SearchResult:
    """A search."""
    return replace(retrieved(message), answer=_answer(message.answer))


def retrieved(message: pb.SearchResponse | pb.RetrieveResponse) -> SearchResult:
    """A retrieval."""
    return SearchResult(
        hits=_hits(message.hits, {}),
        stage_reports=_reports(message.stage_reports),
        unreachable=tuple(message.unreachable),
        usage=_usage(message.usage),
        pipeline=message.pipeline,
        next_page_token=message.next_page_token,
        facets=_facets(message.facets),
        suggested_query=message.suggested_query,
        index_progress=_progress(message.index_progress),
    )


def reranked(message: pb.RerankResponse, passages: Iterable[Passage]) -> SearchResult:
    """A reranking of passages, whose bodies the response does not have."""
    return SearchResult(
        hits=_hits(message.hits, {each.id: each for each in passages}),
        stage_reports=_reports(message.stage_reports),
        usage=_usage(message.usage),
        pipeline=message.pipeline,
    )


@dataclass(slots=True)
class Events:
    """Reads the events of one stream, in which a passage's body is sent once, or not at all where it was `known`."""

    known: dict[str, Passage] = field(default_factory=dict)

    def search(self, message: pb.StreamSearchResponse) -> SearchEvent | None:
        """None for an event that this client does not know."""
        match message.WhichOneof("event"):
            case "answer_delta":
                return _delta(message.answer_delta)
            case _:
                return self.rerank(message)

    def rerank(self, message: pb.StreamSearchResponse | pb.StreamRerankResponse) -> RerankEvent | None:
        """None for an event that this client does not know."""
        match message.WhichOneof("event"):
            case "hits_revised":
                revised = message.hits_revised
                return HitsRevised(revised.revision, revised.stage, _hits(revised.hits, self.known))
            case "stage_completed":
                return StageCompleted(_report(message.stage_completed))
            case "completed":
                return _completed(message.completed)
            case _:
                return None

    def generate(self, message: pb.GenerateResponse) -> GenerateEvent | None:
        """None for an event that this client does not know."""
        match message.WhichOneof("event"):
            case "answer_delta":
                return _delta(message.answer_delta)
            case "stage_completed":
                return StageCompleted(_report(message.stage_completed))
            case "completed":
                return _completed(message.completed)
            case _:
                return None


def from_passage(passage: Passage) -> passage_pb2.Passage:
    """One to send."""
    found = passage_pb2.Passage(
        id=passage.id,
        text=passage.text,
        title=passage.title,
        heading=passage.heading,
        document_id=passage.document_id,
        metadata=from_metadata(passage.metadata),
    )
    if passage.document_span is not None:
        found.document_span.start, found.document_span.end = passage.document_span.start, passage.document_span.end
    return found


def _passage(message: passage_pb2.Passage) -> Passage:
    return Passage(
        id=message.id,
        text=message.text,
        title=message.title,
        heading=message.heading,
        document_id=message.document_id,
        metadata=to_metadata(message.metadata),
        document_span=_span(message.document_span) if message.HasField("document_span") else None,
        document_version=message.document_version,
        heading_path=tuple(message.heading_path),
        locator=_locator(message),
    )


def _hits(messages: Iterable[passage_pb2.Hit], known: dict[str, Passage]) -> Hits:
    """`known` has the passages whose bodies came before, and learns those that come now."""
    return Hits(tuple(_hit(each, known) for each in messages))


def _hit(message: passage_pb2.Hit, known: dict[str, Passage]) -> Hit:
    passage = known.get(message.passage.id)
    if passage is None:
        passage = known[message.passage.id] = _passage(message.passage)
    return Hit(
        passage=passage,
        score=message.score if message.HasField("score") else None,
        score_kind=ScoreKind(message.score_kind) if message.score_kind else None,
        stage_scores=tuple(map(_stage_score, message.stage_scores)),
        snippet=message.snippet,
        snippet_highlights=tuple(map(_span, message.snippet_highlights)),
    )


def _stage_score(message: passage_pb2.StageScore) -> StageScore:
    return StageScore(
        stage=message.stage,
        rank=message.rank,
        score=message.score if message.HasField("score") else None,
        score_kind=ScoreKind(message.score_kind) if message.score_kind else None,
        contributions=tuple(Contribution(each.stage, each.rank, each.value) for each in message.contributions),
    )


def _span(message: passage_pb2.ByteSpan) -> Span:
    return Span(message.start, message.end)


def _locator(message: passage_pb2.Passage | passage_pb2.Citation) -> Locator | None:
    found = message.locator
    if not message.HasField("locator"):
        return None
    return Locator(found.first_page, found.last_page, found.first_line, found.last_line)


def _citations(messages: Iterable[passage_pb2.Citation]) -> tuple[Citation, ...]:
    return tuple(
        Citation(
            answer_span=_span(each.answer_span),
            passage_id=each.passage_id,
            document_id=each.document_id,
            document_version=each.document_version,
            document_span=_span(each.document_span),
            locator=_locator(each),
        )
        for each in messages
    )


def _answer(message: passage_pb2.Answer) -> Answer:
    return Answer(message.text, _citations(message.citations), FinishReason(message.finish_reason))


def _delta(message: pb.AnswerDelta) -> AnswerDelta:
    return AnswerDelta(message.text, _citations(message.citations))


def _completed(message: pb.Completed) -> Completed:
    return Completed(
        finish_reason=FinishReason(message.finish_reason),
        stage_reports=_reports(message.stage_reports),
        unreachable=tuple(message.unreachable),
        usage=_usage(message.usage),
        pipeline=message.pipeline,
        revision=message.revision,
        budget_basis=BudgetBasis(message.budget_basis) if message.budget_basis else None,
        next_page_token=message.next_page_token,
        facets=_facets(message.facets),
        suggested_query=message.suggested_query,
        index_progress=_progress(message.index_progress),
    )


def _reports(messages: Iterable[passage_pb2.StageReport]) -> tuple[StageReport, ...]:
    return tuple(map(_report, messages))


def _report(message: passage_pb2.StageReport) -> StageReport:
    return StageReport(
        stage=message.stage,
        role=StageRole(message.role),
        outcome=StageOutcome(message.outcome),
        reason=StageReason(message.reason) if message.reason else None,
        done_count=message.done_count,
        total_count=message.total_count,
        planned_count=message.planned_count,
        elapsed_seconds=_seconds(message.elapsed_duration),
        budget_seconds=_seconds(message.budget_duration),
        planned_seconds=_seconds(message.planned_duration) if message.HasField("planned_duration") else None,
        usage=_usage(message.usage),
        notes=tuple(message.notes),
    )


def _usage(message: passage_pb2.Usage) -> Usage:
    cost = None
    if message.HasField("cost"):
        amount = Decimal(message.cost.units) + Decimal(message.cost.nanos).scaleb(-9)
        cost = Cost(amount, message.cost.currency_code)
    return Usage(
        pair_count=message.pair_count,
        input_token_count=message.input_token_count,
        output_token_count=message.output_token_count,
        model_call_count=message.model_call_count,
        cache_hit_count=message.cache_hit_count,
        model_seconds=_seconds(message.model_duration),
        cost=cost,
    )


def _seconds(message: Any) -> float:
    return float(message.seconds + message.nanos / 1e9)


def _facets(messages: Iterable[pb.Facet]) -> tuple[Facet, ...]:
    return tuple(
        Facet(
            field=each.field,
            counts=tuple(FacetCount(to_value(count.value), count.document_count) for count in each.counts),
            document_count=each.document_count,
            value_count=each.value_count,
        )
        for each in messages
    )


def _progress(messages: Iterable[pb.IndexProgress]) -> tuple[IndexProgress, ...]:
    return tuple(IndexProgress(each.stage, each.applied_sequence, each.lag_count) for each in messages)
