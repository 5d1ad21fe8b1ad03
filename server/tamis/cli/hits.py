"""Answers as lines: JSON for programs, a TREC run for evaluation tools."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from tamis.cli.batch_run import Answer, Response
from tamis.cli.output import fields_of
from tamis.cli.view import kind
from tamis.v1 import passage_pb2 as pb
from tamis.v1 import search_service_pb2

__all__ = ["written"]


def written(answer: Answer, tag: str) -> tuple[dict[str, Any], str]:
    """The JSON line of an answer, and the lines of the TREC run with that tag; with one, the JSON leaves the hits out.

    `error` is in the line where the query failed, or its hits cannot stand in a run.
    """
    line: dict[str, Any] = {"id": answer.question.id}
    if not tag:
        line["query"] = answer.question.query
    if answer.response is None:
        return {**line, "error": _error(answer)}, ""
    if not tag:
        return {**line, **_found(answer.response), "elapsed_seconds": round(answer.seconds, 4)}, ""
    rows = list(_rows(answer.response, is_search=answer.question.passages is None))
    if any(name.split() != [name] for name, _ in rows):
        message = "a hit has white space in its id, which no TREC run can hold"
        return {**line, "error": {"code": "UNREPRESENTABLE", "message": message}}, ""
    return line, "".join(
        f"{answer.question.id} Q0 {name} {rank} {score!r} {tag}\n" for rank, (name, score) in enumerate(rows, 1)
    )


def _error(answer: Answer) -> dict[str, Any]:
    error = answer.error
    if error is None:
        return {"code": "UNKNOWN", "message": ""}
    message = "; ".join(f"{each.field}: {each.description}" for each in error.violations) or error.message
    return {"code": error.code.name, "reason": error.reason, "message": message}


def _found(response: Response) -> dict[str, Any]:
    found: dict[str, Any] = {"hits": [_hit(rank, hit) for rank, hit in enumerate(response.hits, 1)]}
    if isinstance(response, search_service_pb2.SearchResponse) and response.answer.text:
        found["answer"] = response.answer.text
    if troubled := {each.stage: _trouble(each) for each in response.stage_reports if each.reason}:
        found["stages"] = troubled
    return {**found, "usage": fields_of(response.usage)}


def _hit(rank: int, hit: pb.Hit) -> dict[str, Any]:
    line: dict[str, Any] = {"rank": rank, "id": hit.passage.id}
    if hit.passage.document_id:
        line["document_id"] = hit.passage.document_id
    if hit.HasField("score"):
        line |= {"score": hit.score, "score_kind": kind(hit.score_kind)}
    return line


def _trouble(report: pb.StageReport) -> str:
    outcome = pb.StageOutcome.Name(report.outcome).removeprefix("STAGE_OUTCOME_").lower()
    return f"{outcome}: {pb.StageReason.Name(report.reason).removeprefix('STAGE_REASON_').lower()}"


def _rows(response: Response, *, is_search: bool) -> Iterator[tuple[str, float]]:
    """Documents that were searched for, each where its best passage stands; passages that were given.

    Scores always fall, since evaluation tools sort by them: where the hits' own do not, one over the rank does.
    """
    first: dict[str, pb.Hit] = {}
    for hit in response.hits:
        first.setdefault(hit.passage.document_id if is_search else hit.passage.id, hit)
    scores = _falling([each.score if each.HasField("score") else None for each in first.values()])
    same_kind = len({each.score_kind for each in first.values()}) == 1
    for rank, name in enumerate(first, 1):
        yield name, scores[rank - 1] if scores and same_kind else 1 / rank


def _falling(scores: Sequence[float | None]) -> list[float]:
    """The scores where each is less than the one before; else none."""
    known = [each for each in scores if each is not None]
    return known if len(known) == len(scores) and all(one > other for one, other in pairwise(known)) else []
