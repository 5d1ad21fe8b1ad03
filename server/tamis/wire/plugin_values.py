"""Passages, candidates, changes and hits as hosted plugins are sent them: whole, and as the server has them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from tamis.errors import InvalidRequest
from tamis.generator import AnswerDelta
from tamis.model import Candidate, Change, Citation, FinishReason, Hit, Locator, Passage, Span
from tamis.v1 import passage_pb2
from tamis.v1 import plugin_service_pb2 as pb
from tamis.wire.hits import write_hit, write_passage
from tamis.wire.passages import from_citation, from_finish_reason
from tamis.wire.plugin_calls import from_kind, to_kind
from tamis.wire.portions import MOST_BYTES
from tamis.wire.values import to_value

__all__ = [
    "Changes",
    "from_candidate",
    "from_changes",
    "from_delta",
    "from_hit",
    "from_passage",
    "to_candidate",
    "to_delta",
    "to_hit",
    "to_passage",
]

_REASONS = {passage_pb2.FinishReason.Value(f"FINISH_REASON_{each.name}"): each for each in FinishReason}


def from_passage(passage: Passage) -> passage_pb2.Passage:
    """A passage with all that is known of it."""
    message = passage_pb2.Passage()
    write_passage(message, passage)
    return message


def to_passage(message: passage_pb2.Passage, field: str) -> Passage:
    """What `from_passage` was given. Raises `InvalidRequest` for what no passage can be."""
    span, locator = message.document_span, message.locator
    if not message.id:
        raise InvalidRequest.of(f"{field}.id", "is required")
    if not 0 <= span.start <= span.end:
        raise InvalidRequest.of(f"{field}.document_span", "is not a half-open span")
    return Passage(
        message.id,
        message.document_id,
        message.document_version,
        message.text,
        message.title,
        message.heading,
        Span(span.start, span.end),
        {key: to_value(value, f'{field}.metadata["{key[:64]}"]') for key, value in message.metadata.items()},
        tuple(message.heading_path),
        Locator(locator.first_page, locator.last_page, locator.first_line, locator.last_line),
    )


def from_hit(hit: Hit) -> passage_pb2.Hit:
    """A hit with its passage, without what the stages made of it."""
    message = passage_pb2.Hit()
    write_hit(message, Hit(hit.passage, hit.score, hit.kind, (), hit.snippet, hit.highlights), with_body=True)
    return message


def to_hit(message: passage_pb2.Hit, field: str) -> Hit:
    """What `from_hit` was given. Raises `InvalidRequest`."""
    score = message.score if message.HasField("score") and math.isfinite(message.score) else None
    highlights = _highlights(message.snippet_highlights)
    passage = to_passage(message.passage, f"{field}.passage")
    return Hit(passage, score, to_kind(message.score_kind), (), message.snippet, highlights)


def from_candidate(candidate: Candidate) -> pb.Candidate:
    """What an index found."""
    message = pb.Candidate(
        passage_id=candidate.passage_id,
        document_version=candidate.document_version,
        score=candidate.score,
        score_kind=from_kind(candidate.kind),
        snippet=candidate.snippet,
    )
    for span in candidate.highlights:
        message.snippet_highlights.add(start=span.start, end=span.end)
    return message


def to_candidate(message: pb.Candidate) -> Candidate | None:
    """What an index found; None where its score is no number."""
    if not math.isfinite(message.score):
        return None
    return Candidate(
        message.passage_id,
        message.document_version,
        message.score,
        to_kind(message.score_kind),
        message.snippet,
        _highlights(message.snippet_highlights),
    )


def from_delta(delta: AnswerDelta, report: pb.PluginReport) -> pb.PluginServiceGenerateResponse:
    """A piece of an answer."""
    message = pb.PluginServiceGenerateResponse(report=report)
    message.delta.text = delta.text
    message.delta.citations.extend(from_citation(each) for each in delta.citations)
    if delta.finish_reason is not None:
        reason: Any = passage_pb2.FinishReason.Value(from_finish_reason(delta.finish_reason))
        message.finish_reason = reason
    return message


def to_delta(message: pb.PluginServiceGenerateResponse) -> AnswerDelta:
    """A piece of an answer. Raises `ValueError` for spans that are none."""
    citations = tuple(_citation(each) for each in message.delta.citations)
    return AnswerDelta(message.delta.text, citations, _REASONS.get(message.finish_reason))


def from_changes(changes: Iterable[Change], most: int = MOST_BYTES) -> Iterator[list[pb.Change]]:
    """Changes in groups of about `most` bytes; one that is larger goes on in the next group."""
    group: list[pb.Change] = []
    size = 0
    for change in changes:
        part = pb.Change(sequence=change.sequence, document_id=change.document_id)
        group.append(part)
        size += part.ByteSize()
        for each in change.passages:
            passage = from_passage(each)
            count = passage.ByteSize()
            if part.passages and size + count > most:
                part.continued = True
                yield group
                part = pb.Change(sequence=change.sequence, document_id=change.document_id)
                group, size = [part], part.ByteSize()
            part.passages.append(passage)
            size += count
        if size > most:
            yield group
            group, size = [], 0
    if group:
        yield group


class Changes:
    """Changes, put together again from the groups of `from_changes`."""

    def __init__(self) -> None:
        self.changes: list[Change] = []
        self._is_open = False

    def add(self, messages: Sequence[pb.Change]) -> None:
        """Takes the next group. Raises `InvalidRequest`."""
        for message in messages:
            passages = tuple(
                to_passage(each, f"changes[{len(self.changes)}].passages[{place}]")
                for place, each in enumerate(message.passages)
            )
            if self._is_open:
                begun = self.changes.pop()
                if (begun.sequence, begun.document_id) != (message.sequence, message.document_id):
                    raise InvalidRequest.of(f"changes[{len(self.changes)}]", "goes on with another change than begun")
                passages = (*begun.passages, *passages)
            self.changes.append(Change(message.sequence, message.document_id, passages))
            self._is_open = message.continued

    def complete(self) -> list[Change]:
        """All of them. Raises `InvalidRequest` when the last one was to go on."""
        if self._is_open:
            raise InvalidRequest.of("changes", "the last change is continued nowhere")
        return self.changes


def _citation(message: passage_pb2.Citation) -> Citation:
    answer, document, locator = message.answer_span, message.document_span, message.locator
    return Citation(
        Span(answer.start, answer.end),
        message.passage_id,
        message.document_id,
        message.document_version,
        Span(document.start, document.end),
        Locator(locator.first_page, locator.last_page, locator.first_line, locator.last_line),
    )


def _highlights(messages: Iterable[passage_pb2.ByteSpan]) -> tuple[Span, ...]:
    """Those that are spans."""
    return tuple(Span(each.start, each.end) for each in messages if 0 <= each.start <= each.end)
