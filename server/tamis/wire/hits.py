"""Hits to messages, written where they are to stand: a message that is put into another one is copied, text and all."""

from __future__ import annotations

from typing import Any

from tamis.model import Hit, Locator, Passage, ScoreKind, StageScore
from tamis.v1 import passage_pb2
from tamis.wire.values import from_value

__all__ = ["write_hit", "write_passage"]

_KINDS: dict[ScoreKind, Any] = {
    each: passage_pb2.ScoreKind.Value(f"SCORE_KIND_{'UNSPECIFIED' if each is ScoreKind.NONE else each.name}")
    for each in ScoreKind
}


def write_hit(message: passage_pb2.Hit, hit: Hit, *, with_body: bool) -> None:
    """Fills an empty message; without its body the passage carries its id alone."""
    message.score_kind = _KINDS[hit.kind]
    if hit.score is not None:
        message.score = hit.score
    for each in hit.stage_scores:
        _write_score(message, each)
    if not with_body:
        message.passage.id = hit.passage.id
        return
    write_passage(message.passage, hit.passage)
    if hit.snippet:
        message.snippet = hit.snippet
    for span in hit.highlights:
        message.snippet_highlights.add(start=span.start, end=span.end)


def _write_score(message: passage_pb2.Hit, score: StageScore) -> None:
    kind = _KINDS[score.kind]
    if score.score is None:
        written = message.stage_scores.add(stage=score.stage, rank=score.rank, score_kind=kind)
    else:
        written = message.stage_scores.add(stage=score.stage, rank=score.rank, score_kind=kind, score=score.score)
    for each in score.contributions:
        written.contributions.add(stage=each.stage, rank=each.rank, value=each.value)


def write_passage(message: passage_pb2.Passage, passage: Passage) -> None:
    """Fills an empty message with all that is known of a passage."""
    message.id = passage.id
    message.document_id = passage.document_id
    message.document_version = passage.document_version
    message.text = passage.text
    message.title = passage.title
    message.heading = passage.heading
    span = message.document_span
    span.start, span.end = passage.span.start, passage.span.end
    span.SetInParent()  # also where both are 0
    for key, value in passage.metadata.items():
        message.metadata[key].CopyFrom(from_value(value))
    if passage.heading_path:
        message.heading_path.extend(passage.heading_path)
    if passage.locator != _NOWHERE:
        _write_locator(message.locator, passage.locator)


def _write_locator(message: passage_pb2.Locator, locator: Locator) -> None:
    message.first_page, message.last_page = locator.first_page, locator.last_page
    message.first_line, message.last_line = locator.first_line, locator.last_line


_NOWHERE = Locator()
