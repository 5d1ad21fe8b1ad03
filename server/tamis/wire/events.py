"""Search events to messages, one by one for a stream or collected for a unary response."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from google.protobuf.message import Message

from tamis.events import Completed, Event, HitsRevised, IndexProgress, StageReport
from tamis.facets import Facet
from tamis.generator import AnswerDelta
from tamis.model import Hit
from tamis.v1 import passage_pb2, search_service_pb2
from tamis.wire.hits import write_hit
from tamis.wire.passages import from_citation, from_finish_reason, from_report, from_usage
from tamis.wire.values import from_value

__all__ = ["Collected", "EventWriter", "from_facet", "from_progress"]

Response = TypeVar("Response", bound=Message)


class EventWriter:
    """Writes the events of one stream. A passage's body is sent once, or never without `with_bodies`.

    `page_token` makes a token of where the next page begins; without it there is never a next page.
    """

    def __init__(self, *, with_bodies: bool = True, page_token: Callable[[int | None], str] = lambda _: "") -> None:
        self._with_bodies, self._page_token = with_bodies, page_token
        self._sent: set[str] = set()

    def response(self, event: Event, kind: type[Response]) -> Response:
        """An event as a message of the stream's element type."""
        if isinstance(event, HitsRevised):
            response = kind()
            written: Any = response
            self._write_revision(written.hits_revised, event)
            return response
        return kind(**{_FIELDS[type(event)]: self._message(event)})

    def _message(self, event: StageReport | AnswerDelta | Completed) -> Any:
        match event:
            case StageReport():
                return from_report(event)
            case AnswerDelta(text, citations):
                written_citations = [from_citation(each) for each in citations]
                return search_service_pb2.AnswerDelta(text=text, citations=written_citations)
            case Completed():
                return _completed(event, self._page_token(event.next_offset))

    def _write_revision(self, message: search_service_pb2.HitsRevised, event: HitsRevised) -> None:
        message.revision, message.stage = event.revision, event.stage
        for hit in event.hits:
            write_hit(message.hits.add(), hit, with_body=self._with_bodies and hit.passage.id not in self._sent)
            self._sent.add(hit.passage.id)


_FIELDS: dict[type, str] = {
    StageReport: "stage_completed",
    AnswerDelta: "answer_delta",
    Completed: "completed",
}


class Collected:
    """A stream of events, folded: the hits of the last revision, the whole answer, the end."""

    def __init__(self) -> None:
        self.hits: tuple[Hit, ...] = ()
        self._deltas: list[AnswerDelta] = []
        self._completed: Completed | None = None

    def add(self, event: Event) -> None:
        """Takes the next event."""
        if isinstance(event, HitsRevised):
            self.hits = event.hits
        elif isinstance(event, AnswerDelta):
            self._deltas.append(event)
        elif isinstance(event, Completed):
            self._completed = event

    @property
    def completed(self) -> Completed:
        """The end, once it has come."""
        if self._completed is None:
            raise RuntimeError("the stream ended without its last event")
        return self._completed

    def with_hits(self, response: Response, *, with_bodies: bool = True) -> Response:
        """The response with the hits added to its `hits`."""
        added: Any = response
        for each in self.hits:
            write_hit(added.hits.add(), each, with_body=with_bodies)
        return response

    def answer(self) -> passage_pb2.Answer:
        """The whole answer."""
        return passage_pb2.Answer(
            text="".join(each.text for each in self._deltas),
            citations=[from_citation(each) for delta in self._deltas for each in delta.citations],
            finish_reason=from_finish_reason(self.completed.finish_reason),
        )


def from_facet(facet: Facet) -> search_service_pb2.Facet:
    """The counts of one field."""
    return search_service_pb2.Facet(
        field=facet.field,
        counts=[
            search_service_pb2.FacetCount(value=from_value(each.value), document_count=each.document_count)
            for each in facet.counts
        ],
        document_count=facet.document_count,
        value_count=facet.value_count,
    )


def from_progress(progress: IndexProgress) -> search_service_pb2.IndexProgress:
    """How far one index had got."""
    return search_service_pb2.IndexProgress(
        stage=progress.stage, applied_sequence=progress.applied_sequence, lag_count=progress.lag_count
    )


def _completed(event: Completed, next_page_token: str) -> search_service_pb2.Completed:
    return search_service_pb2.Completed(
        finish_reason=from_finish_reason(event.finish_reason),
        stage_reports=[from_report(each) for each in event.reports],
        unreachable=event.unreachable,
        usage=from_usage(event.usage, event.cost),
        pipeline=event.pipeline,
        revision=event.revision,
        budget_basis=f"BUDGET_BASIS_{event.basis.name}",
        next_page_token=next_page_token,
        facets=[from_facet(each) for each in event.facets],
        suggested_query=event.suggested_query,
        index_progress=[from_progress(each) for each in event.index_progress],
    )
