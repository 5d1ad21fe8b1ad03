"""What a running search looks like in a terminal: stages as they end, hits as they move, the answer as it comes."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from rich.console import Console, ConsoleOptions, RenderResult
from rich.padding import Padding
from rich.style import Style
from rich.table import Table
from rich.text import Text

from tamis.cli.below import below
from tamis.cli.places import link, place
from tamis.cli.usage import in_words
from tamis.v1 import passage_pb2 as pb
from tamis.v1 import search_service_pb2

__all__ = ["Event", "SearchView", "kind"]

_COLOURS = {
    pb.STAGE_OUTCOME_RAN: "green",
    pb.STAGE_OUTCOME_PARTIAL: "yellow",
    pb.STAGE_OUTCOME_SKIPPED: "yellow",
    pb.STAGE_OUTCOME_FELL_BACK: "red",
    pb.STAGE_OUTCOME_UNREACHABLE: "red",
}
_NO_ANSWER = {
    pb.FINISH_REASON_NO_HITS: "Nothing was found.",
    pb.FINISH_REASON_INSUFFICIENT_EVIDENCE: "The passages found do not answer this.",
    pb.FINISH_REASON_SKIPPED: "There was no time left for an answer.",
    pb.FINISH_REASON_FAILED: "The generator failed; the hits stand.",
}


Event: TypeAlias = search_service_pb2.StreamSearchResponse | search_service_pb2.StreamRerankResponse
"""What a view takes."""


@dataclass(slots=True)
class SearchView:
    """Takes events, renders what is known so far. `hits_shown` bounds the list, not what is kept.

    Where the passages were `given`, in their prior order, hits move against that and show their scores.
    """

    query: str
    hits_shown: int = 10
    is_paged: bool = False
    given: Sequence[pb.Passage] = ()
    started: float = field(default_factory=time.monotonic)
    stages: list[tuple[float, pb.StageReport]] = field(default_factory=list)
    hits: list[pb.Hit] = field(default_factory=list)
    answer: str = ""
    citations: list[pb.Citation] = field(default_factory=list)
    completed: search_service_pb2.Completed | None = None
    revision: int = 0
    _bodies: dict[str, pb.Hit] = field(default_factory=dict)
    _first_ranks: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for rank, each in enumerate(self.given, 1):
            self._bodies[each.id] = pb.Hit(passage=each)
            self._first_ranks[each.id] = rank

    def add(self, event: Event) -> None:
        """Takes the next event; kinds it does not know are passed over."""
        match event.WhichOneof("event"):
            case "hits_revised":
                self._revise(event.hits_revised)
            case "stage_completed":
                self.stages.append((time.monotonic() - self.started, event.stage_completed))
            case "answer_delta" if isinstance(event, search_service_pb2.StreamSearchResponse):
                self.answer += event.answer_delta.text
                self.citations.extend(event.answer_delta.citations)
            case "completed":
                self.completed = event.completed

    def stage_line(self, at: float, report: pb.StageReport) -> Text:
        """One stage: when it ended, what it did, how it fared."""
        outcome = pb.StageOutcome.Name(report.outcome).removeprefix("STAGE_OUTCOME_").lower().replace("_", " ")
        role = pb.StageRole.Name(report.role).removeprefix("STAGE_ROLE_").lower().replace("_", " ")
        elapsed = report.elapsed_duration.ToTimedelta().total_seconds()
        line = Text.assemble(
            (f"{at * 1000:7,.0f} ms  ", "dim"),
            (f"{report.stage}", "bold"),
            (f"  {role}, {_work(report)} in {elapsed * 1000:,.0f} ms", "dim"),
        )
        if report.outcome != pb.STAGE_OUTCOME_RAN:
            reason = pb.StageReason.Name(report.reason).removeprefix("STAGE_REASON_").lower().replace("_", " ")
            line.append(f"  {outcome}: {reason}", _COLOURS.get(report.outcome, "red"))
        if report.notes:
            line.append(f"  {', '.join(report.notes)}", "yellow")
        if consumed := in_words(report.usage):
            line.append(f"  {consumed}", "dim")
        return line

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Text(self.query, "bold")
        for at, report in self.stages:
            yield self.stage_line(at, report)
        if self.hits:
            yield Text()
            yield self._hits_table()
        if self.answer or self.completed is not None:
            yield from self._answer_lines()
        if self.completed is not None:
            yield from below(self.completed, is_paged=self.is_paged)
            if consumed := in_words(self.completed.usage):
                yield Text(f"\nall stages: {consumed}", "dim")

    def _revise(self, revised: search_service_pb2.HitsRevised) -> None:
        self.revision, self.hits = revised.revision, list(revised.hits)
        for rank, hit in enumerate(revised.hits, 1):
            self._bodies.setdefault(hit.passage.id, hit)
            if revised.revision == 1 and not self.given:
                self._first_ranks[hit.passage.id] = rank

    def _hits_table(self) -> Table:
        table = Table.grid(padding=(0, 1))
        table.add_column(justify="right", style="dim", no_wrap=True)
        table.add_column(no_wrap=True, min_width=4)
        table.add_column(ratio=1)
        for rank, hit in enumerate(self.hits[: self.hits_shown], 1):
            body = self._bodies[hit.passage.id]
            title = Text(_title(body.passage), "bold", no_wrap=True, overflow="ellipsis")
            if self.given:
                title.append(f"  {_score(hit)}", "not bold")
            title.append(f"  {_provenance(hit)}", "dim not bold")
            where = place(body.passage, body.passage.locator) or (
                "" if _title(body.passage) == hit.passage.id else hit.passage.id
            )
            title.append(f"  {where}", _style_of(body.passage, "not bold"))
            table.add_row(str(rank), self._move(hit.passage.id, rank), title)
            table.add_row("", "", _excerpt(body))
        return table

    def _move(self, passage_id: str, rank: int) -> Text:
        """Where the hit has moved since the first revision."""
        first = self._first_ranks.get(passage_id)
        if first is None:
            return Text("new", "cyan")
        if first > rank:
            return Text(f"▲ {first - rank}", "green")
        return Text(f"▼ {rank - first}", "red") if first < rank else Text("=", "dim")

    def _answer_lines(self) -> RenderResult:
        reason = self.completed.finish_reason if self.completed else pb.FINISH_REASON_UNSPECIFIED
        if reason == pb.FINISH_REASON_NOT_REQUESTED:
            return
        yield Text()
        if self.answer:
            yield Padding(self._cited_answer(), (0, 4))
            for number, citation in self._sources():
                passage = self._bodies[citation.passage_id].passage
                where = place(passage, citation.locator, citation.document_span)
                yield Text.assemble((f"    [{number}] ", "cyan"), _title(passage), (f"  {where}", _style_of(passage)))
        elif reason in _NO_ANSWER:
            yield Padding(Text(_NO_ANSWER[reason], "yellow"), (0, 4))
        if reason == pb.FINISH_REASON_TRUNCATED:
            yield Padding(Text("The deadline or a length limit ended the answer here.", "yellow"), (0, 4))

    def _cited_answer(self) -> Text:
        """The answer with a number after each part that has evidence."""
        data, text, position = self.answer.encode(), Text(), 0
        for number, citation in enumerate(self.citations, 1):
            end = max(position, citation.answer_span.end)
            text.append(data[position:end].decode())
            text.append(f" [{number}]", "cyan")
            position = end
        return text.append(data[position:].decode())

    def _sources(self) -> list[tuple[int, pb.Citation]]:
        return [(number, each) for number, each in enumerate(self.citations, 1) if each.passage_id in self._bodies]


def kind(score_kind: pb.ScoreKind) -> str:
    """A kind of score in a word: `cosine`, `rank_fusion`."""
    return pb.ScoreKind.Name(score_kind).removeprefix("SCORE_KIND_").lower()


def _style_of(passage: pb.Passage, also: str = "") -> Style:
    """Dim, and a link to the file it was read from where that is on this machine."""
    return Style.parse(f"dim {also}") + Style(link=link(passage) or None)


def _title(passage: pb.Passage) -> str:
    return (
        " › ".join(
            dict.fromkeys(part for part in (passage.title, *(passage.heading_path or [passage.heading])) if part)
        )
        or passage.id
    )


def _excerpt(hit: pb.Hit) -> Text:
    """On one line, without the rules that underline headings; what was asked for in bold."""
    line, data, position = Text(style="dim", no_wrap=True, overflow="ellipsis"), hit.snippet.encode(), 0
    if not data:
        return line.append(_one_line(hit.passage.text).strip())
    for span in hit.snippet_highlights:
        line.append(_one_line(data[position : span.start].decode()))
        line.append(data[span.start : span.end].decode(), "bold not dim")
        position = span.end
    return line.append(_one_line(data[position:].decode()))


def _one_line(text: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"([=\-~*^_#`])\1{2,}", " ", text))


def _provenance(hit: pb.Hit) -> str:
    """The rank that each stage gave it; fusions are left out, since the list itself shows theirs."""
    return " · ".join(f"{each.stage} {each.rank}" for each in hit.stage_scores if not each.contributions)


def _score(hit: pb.Hit) -> str:
    if not hit.HasField("score"):
        return ""
    return f"{hit.score:.4g} {kind(hit.score_kind).replace('_', ' ')}"


def _work(report: pb.StageReport) -> str:
    match report.role:
        case pb.STAGE_ROLE_RETRIEVER:
            return f"{report.done_count} hits"
        case pb.STAGE_ROLE_FUSION:
            return f"{report.done_count} of {report.total_count} sides"
        case pb.STAGE_ROLE_RERANKER:
            return f"{report.done_count} of {report.total_count} passages"
        case _:
            return f"{report.done_count} passages"
