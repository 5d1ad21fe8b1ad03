"""`tamis rerank`."""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer
from rich.text import Text

from tamis.cli.candidates import Malformed, Question, objects, passage_of, question
from tamis.cli.options import DEFAULT_ADDRESS, Address, Json, Overrides, Pipeline, Tenant, Timeout
from tamis.cli.output import ExitCode, console, fail, failures, notices, print_json
from tamis.cli.request import overrides
from tamis.cli.search import display, streamed
from tamis.cli.view import SearchView, kind
from tamis.client import Client
from tamis.v1 import passage_pb2
from tamis.v1 import search_service_pb2 as pb

__all__ = ["opened", "rerank", "tell_malformed"]

_MOST_PASSAGES = 10_000
_SHOWN = 10
_OURS = {"query_id", "query", "score", "score_kind"}


def rerank(
    query: Annotated[str, typer.Argument(help="What to order by. Not needed where each line has its own.")] = "",
    file: Annotated[str, typer.Argument(help="JSON lines; - or nothing for standard input.")] = "-",
    pipeline: Pipeline = "",
    limit: Annotated[int, typer.Option("--limit", "-n", min=0, help="The most hits; 10 shown, all with --json.")] = 0,
    override: Overrides = None,
    deadline: Timeout = None,
    address: Address = DEFAULT_ADDRESS,
    tenant: Tenant = "",
    json: Json = False,
    stream: Annotated[bool, typer.Option("--stream", help="With --json: every event as it comes, one a line.")] = False,
) -> None:
    """Orders your own passages by the rerankers of a pipeline, showing better orders as they come.

    A line is a passage, {"id": …, "text": …}, or a query with its own passages, {"query": …, "passages": […]}. With
    --json, a hit a line: the passage as it was given, with its rank, score and prior rank, so that it can be piped on.
    """
    if file == "-" and query and _names_a_file(query):
        query, file = "", query
    fields: dict[str, Any] = {"pipeline": pipeline, "page_size": limit, "stage_overrides": overrides(override or ())}
    with failures(address), Client(address, tenant=tenant) as client, opened(file) as lines:
        reader = _Reader(lines, query)
        for asked in reader.questions():
            request = pb.StreamRerankRequest(query=asked.query, passages=asked.passages, **fields)
            events = streamed(client.stubs.search.StreamRerank(request, timeout=deadline))
            if json and stream:
                for event in events:
                    print_json(event)
            elif json:
                _print_hits(asked, events, reader)
            else:
                if reader.question_count > 1:
                    console.print()
                display(SearchView(asked.query, hits_shown=limit or _SHOWN, given=asked.passages or ()), events)
    if reader.malformed_count:
        raise typer.Exit(ExitCode.INCOMPLETE)


@contextmanager
def opened(file: str) -> Generator[BinaryIO, None, None]:
    """The lines of a file, or of standard input for `-`."""
    if file != "-":
        try:
            lines = Path(file).open("rb")  # noqa: SIM115
        except OSError as error:
            fail(f"{file}: {error.strerror}", ExitCode.USAGE)
        with lines:
            yield lines
        return
    if sys.stdin.isatty():
        fail("no lines: give a file, or pipe JSON lines in", ExitCode.USAGE, "tamis rerank --help shows what they hold")
    yield sys.stdin.buffer


def tell_malformed(malformed: Malformed) -> None:
    """Says on standard error which line is left out, and why."""
    notices.print(Text.assemble(("not read: ", "yellow"), str(malformed)), soft_wrap=True, highlight=False)


def _names_a_file(text: str) -> bool:
    """Long texts are no paths, which some systems say by an error."""
    try:
        return Path(text).is_file()
    except (OSError, ValueError):
        return False


@dataclass(slots=True)
class _Reader:
    """Reads what is asked, telling malformed lines on standard error. `given` are the objects of the last question's
    passages by their id."""

    lines: BinaryIO
    query: str
    given: dict[str, dict[str, Any]] = field(default_factory=dict)
    has_own_queries: bool = False
    question_count: int = 0
    malformed_count: int = 0

    def questions(self) -> Iterator[Question]:
        """Each line with passages of its own, as it is read; or one question of all lines together."""
        passages: dict[str, passage_pb2.Passage] = {}
        places: dict[str, int] = {}
        for each in objects(self.lines):
            if isinstance(each, Malformed):
                self._tell(each)
                continue
            number, fields = each
            try:
                if "passages" in fields:
                    yield self._own(fields, number)
                    continue
                passage = passage_of(fields, number)
                if passage.id in places:
                    raise ValueError(f"the id {passage.id!r} stands on line {places[passage.id]} already")
            except ValueError as error:
                self._tell(Malformed(number, str(error)))
                continue
            if len(passages) == _MOST_PASSAGES:
                fail(f"there are more than {_MOST_PASSAGES:,} passages, the most that can be ordered", ExitCode.USAGE)
            passages[passage.id], places[passage.id] = passage, number
            self.given[passage.id] = fields
        if passages:
            yield self._all(passages)
        elif not self.question_count and not self.malformed_count:
            notices.print("no passages", style="dim")

    def _own(self, fields: dict[str, Any], number: int) -> Question:
        found = question(fields, number, query=self.query)
        given = zip(found.passages or (), fields["passages"] or (), strict=True)
        self.given = {passage.id: each for passage, each in given}
        self.has_own_queries = True
        self.question_count += 1
        return found

    def _all(self, passages: dict[str, passage_pb2.Passage]) -> Question:
        if not self.query.strip():
            fail(
                "say what to order by", ExitCode.USAGE, "tamis rerank 'QUERY' FILE", 'or give each line its own "query"'
            )
        self.question_count += 1
        return Question("", self.query, tuple(passages.values()))

    def _tell(self, malformed: Malformed) -> None:
        self.malformed_count += 1
        tell_malformed(malformed)


def _print_hits(asked: Question, events: Iterator[pb.StreamRerankResponse], reader: _Reader) -> None:
    """The last order, a hit a line."""
    hits: list[passage_pb2.Hit] = []
    for event in events:
        if event.WhichOneof("event") == "hits_revised":
            hits = list(event.hits_revised.hits)
    prior = {each.id: rank for rank, each in enumerate(asked.passages or (), 1)}
    about = {"query_id": asked.id, "query": asked.query} if reader.has_own_queries else {}
    for rank, hit in enumerate(hits, 1):
        id = hit.passage.id
        scored = {"score": hit.score, "score_kind": kind(hit.score_kind)} if hit.HasField("score") else {}
        place = {"rank": rank, "prior_rank": prior[id], "id": id, **scored}
        print_json(
            about | place | {key: each for key, each in reader.given[id].items() if key not in _OURS | place.keys()}
        )
