"""Documents, passages, hits and citations to and from their messages."""

from __future__ import annotations

import math
from collections.abc import Sequence

from google.protobuf.duration_pb2 import Duration

from tamis.context import Usage
from tamis.errors import InvalidRequest
from tamis.events import StageReport
from tamis.model import Citation, Document, FinishReason, Locator, Passage, Span
from tamis.prices import Money
from tamis.v1 import passage_pb2
from tamis.wire.checks import bounded_text, distinct, identifier
from tamis.wire.landmarks import from_landmarks, to_landmarks
from tamis.wire.values import from_metadata, to_metadata

__all__ = [
    "from_citation",
    "from_document",
    "from_finish_reason",
    "from_report",
    "from_seconds",
    "from_usage",
    "to_documents",
    "to_passages",
]

_MOST_TEXT = 32 << 20
_MOST_PASSAGE_TEXT = 1 << 20
_MOST_TITLE = 4_096
_MOST_METADATA = 1 << 16


def to_documents(messages: Sequence[passage_pb2.Document], *, most: int) -> list[Document]:
    """A batch to write. Raises `InvalidRequest` with the path of the first wrong field."""
    if not messages:
        raise InvalidRequest.of("documents", "is required: a batch holds at least one document")
    if len(messages) > most:
        raise InvalidRequest.of("documents", f"holds {len(messages):,} documents; at most {most:,} are allowed")
    documents = [_document(each, f"documents[{place}]") for place, each in enumerate(messages)]
    distinct((each.id for each in documents), "documents[{}].id")
    return documents


def from_document(document: Document) -> passage_pb2.Document:
    """A stored document."""
    return passage_pb2.Document(
        id=document.id,
        title=document.title,
        text=document.text,
        metadata=from_metadata(document.metadata),
        version=document.version,
        landmarks=from_landmarks(document.landmarks),
    )


def to_passages(messages: Sequence[passage_pb2.Passage], *, most: int) -> list[Passage]:
    """The passages of a stateless call. Raises `InvalidRequest`."""
    if len(messages) > most:
        raise InvalidRequest.of("passages", f"holds {len(messages):,} passages; at most {most:,} are allowed")
    passages = [_passage(each, f"passages[{place}]") for place, each in enumerate(messages)]
    distinct((each.id for each in passages), "passages[{}].id")
    return passages


def from_citation(citation: Citation) -> passage_pb2.Citation:
    """A citation."""
    return passage_pb2.Citation(
        answer_span=_span(citation.answer_span),
        passage_id=citation.passage_id,
        document_id=citation.document_id,
        document_version=citation.document_version,
        document_span=_span(citation.document_span),
        locator=_locator(citation.locator),
    )


def from_report(report: StageReport) -> passage_pb2.StageReport:
    """How a stage fared. Without a deadline there is no budget."""
    reason = "UNSPECIFIED" if report.reason is None else report.reason.name
    written = passage_pb2.StageReport(
        stage=report.stage,
        role=f"STAGE_ROLE_{report.role.name}",
        outcome=f"STAGE_OUTCOME_{report.outcome.name}",
        reason=f"STAGE_REASON_{reason}",
        done_count=report.done_count,
        total_count=report.total_count,
        notes=report.notes,
        planned_count=report.planned_count,
        planned_duration=None if report.planned is None else from_seconds(report.planned),
    )
    _write_seconds(written.elapsed_duration, report.elapsed)
    if math.isfinite(report.budget):
        _write_seconds(written.budget_duration, report.budget)
    _write_usage(written.usage, report.usage, report.cost)
    return written


def from_usage(usage: Usage, cost: Money | None) -> passage_pb2.Usage:
    """What work consumed, and what that costs."""
    written = passage_pb2.Usage()
    _write_usage(written, usage, cost)
    return written


def _write_usage(message: passage_pb2.Usage, usage: Usage, cost: Money | None) -> None:
    message.pair_count = usage.pair_count
    message.input_token_count = usage.input_token_count
    message.output_token_count = usage.output_token_count
    message.model_call_count = usage.model_call_count
    message.cache_hit_count = usage.cache_hit_count
    if usage.model_seconds:
        _write_seconds(message.model_duration, usage.model_seconds)
    if cost is not None:
        units, nanos = divmod(cost.nanos, 10**9)
        message.cost.MergeFrom(passage_pb2.Money(currency_code=cost.currency, units=units, nanos=nanos))
    message.SetInParent()  # also where nothing was consumed


def _write_seconds(message: Duration, seconds: float) -> None:
    """To the microsecond."""
    whole, rest = divmod(round(seconds * 1_000_000), 1_000_000)
    message.seconds, message.nanos = whole, rest * 1_000
    message.SetInParent()  # also where it is 0


def from_finish_reason(reason: FinishReason) -> str:
    """Why an answer ended, by the name of the value."""
    return f"FINISH_REASON_{reason.name}"


def from_seconds(seconds: float) -> Duration:
    """A duration, to the microsecond."""
    written = Duration()
    _write_seconds(written, seconds)
    return written


def _document(message: passage_pb2.Document, field: str) -> Document:
    identifier(message.id, f"{field}.id")
    bounded_text(message.title, f"{field}.title", most_bytes=_MOST_TITLE)
    bounded_text(message.text, f"{field}.text", most_bytes=_MOST_TEXT)
    if not message.text.strip() and not message.title.strip():
        raise InvalidRequest.of(f"{field}.text", "is required: the document has neither text nor title")
    size = sum(len(key.encode()) + each.ByteSize() for key, each in message.metadata.items())
    if size > _MOST_METADATA:
        raise InvalidRequest.of(f"{field}.metadata", f"has {size:,} bytes; at most {_MOST_METADATA:,} are allowed")
    metadata = to_metadata(message.metadata, f"{field}.metadata")
    landmarks = to_landmarks(message.landmarks, message.text, f"{field}.landmarks")
    return Document(message.id, message.text, message.title, metadata, landmarks=landmarks)


def _passage(message: passage_pb2.Passage, field: str) -> Passage:
    identifier(message.id, f"{field}.id", most_bytes=600)
    bounded_text(message.text, f"{field}.text", most_bytes=_MOST_PASSAGE_TEXT)
    bounded_text(message.title, f"{field}.title", most_bytes=_MOST_TITLE)
    bounded_text(message.heading, f"{field}.heading", most_bytes=_MOST_TITLE)
    if not message.text and not message.title:
        raise InvalidRequest.of(f"{field}.text", "is required: the passage has neither text nor title")
    return Passage(
        message.id,
        message.document_id or message.id,
        message.document_version,
        message.text,
        message.title,
        message.heading,
        _document_span(message, f"{field}.document_span"),
        to_metadata(message.metadata, f"{field}.metadata"),
    )


def _document_span(message: passage_pb2.Passage, field: str) -> Span:
    length = len(message.text.encode())
    if not message.HasField("document_span"):
        return Span(0, length)
    start, end = message.document_span.start, message.document_span.end
    if start < 0 or end - start != length:
        raise InvalidRequest.of(field, f"must begin at 0 or later and cover the text's {length:,} bytes")
    return Span(start, end)


def _locator(locator: Locator) -> passage_pb2.Locator | None:
    if locator == Locator():
        return None
    return passage_pb2.Locator(
        first_page=locator.first_page,
        last_page=locator.last_page,
        first_line=locator.first_line,
        last_line=locator.last_line,
    )


def _span(span: Span) -> passage_pb2.ByteSpan:
    return passage_pb2.ByteSpan(start=span.start, end=span.end)
