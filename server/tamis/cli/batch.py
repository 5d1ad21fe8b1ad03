"""`tamis batch`."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress, TaskID
from rich.text import Text

from tamis.cli.batch_record import NotARecord, Record
from tamis.cli.batch_run import Answer, BatchRun
from tamis.cli.candidates import Malformed, Question, objects, question
from tamis.cli.hits import written
from tamis.cli.options import (
    DEFAULT_ADDRESS,
    DEFAULT_COLLECTION,
    Address,
    Collection,
    Json,
    Overrides,
    PageSize,
    Pipeline,
    Tenant,
    Timeout,
)
from tamis.cli.output import ExitCode, console, fail, failures, fields_of, notices, print_json
from tamis.cli.request import overrides
from tamis.cli.rerank import opened, tell_malformed
from tamis.cli.usage import Totals, in_words
from tamis.cli.writing import bars
from tamis.client import CallError, Client

__all__ = ["batch"]

_MOST_SHOWN = 10


def batch(
    file: Annotated[str, typer.Argument(help='JSON lines, {"id", "query"} or with "passages"; - for standard input.')],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the answers go.", show_default=False)],
    collection: Collection = DEFAULT_COLLECTION,
    pipeline: Pipeline = "",
    limit: PageSize = 10,
    override: Overrides = None,
    deadline: Timeout = None,
    concurrency: Annotated[int, typer.Option("--concurrency", "-j", min=1, max=256, help="Queries at a time.")] = 4,
    retries: Annotated[
        int, typer.Option(min=0, help="Times a query is asked again that met a full or absent server.")
    ] = 4,
    trec: Annotated[bool, typer.Option("--trec", help="Write a TREC run: qid Q0 docid rank score tag.")] = False,
    tag: Annotated[str, typer.Option(help="The last column of a TREC run.")] = "tamis",
    resume: Annotated[
        bool, typer.Option("--resume/--restart", help="Go on where the output ends, or begin anew.")
    ] = True,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Ask again what failed in the run before.")
    ] = False,
    address: Address = DEFAULT_ADDRESS,
    tenant: Tenant = "",
    json: Json = False,
) -> None:
    """Searches or reranks for every line of a file: those with passages are reranked, the others searched for.

    Run it again after an interruption: what is in the output is not asked again. Answers stand in the order in which
    they came. A query that fails is recorded with its error, and the command ends with 6.
    """
    fields = {"pipeline": pipeline, "page_size": limit, "stage_overrides": overrides(override or ())}
    if trec and (not tag or tag.split() != [tag]):
        raise typer.BadParameter("a tag is one word", param_hint="--tag")
    if file != "-" and output.exists() and Path(file).exists() and output.samefile(file):
        raise typer.BadParameter("the output is the input", param_hint="--output")
    with (
        failures(address),
        opened(file) as lines,  # before the record, which a new beginning empties
        contextlib.closing(_record(output, trec, restart=not resume, retry_failed=retry_failed)) as record,
        Client(address, tenant=tenant) as client,
    ):
        with _interruptible() as interrupted, bars(quiet=json, on=notices) as progress:
            task = progress.add_task("queries", total=_count(file) if progress.live.is_started else None)
            is_proven = record.done_count > record.failed_count
            run = BatchRun(client, collection, fields, deadline, concurrency, retries, interrupted, is_proven)
            work = _Batch(record, tag if trec else "", progress, task)
            failure = work.take(run.answers(work.questions(lines)))
        if failure is None or work.answered_count:
            work.report(output, json=json)
        if failure is not None:
            if work.answered_count:
                notices.print("what was answered is kept; run the same command again to go on", style="dim")
            raise failure
        if interrupted.is_set():
            fail("interrupted", ExitCode.INTERRUPTED, "run the same command again to go on")
    if work.malformed_count or record.failed_count:
        raise typer.Exit(ExitCode.INCOMPLETE)


@dataclass(slots=True)
class _Batch:
    """One run: what it reads, writes and counts. `tag` is that of a TREC run, empty for JSON lines."""

    record: Record
    tag: str
    progress: Progress
    task: TaskID
    started: float = field(default_factory=time.monotonic)
    totals: Totals = field(default_factory=Totals)
    known_count: int = 0
    answered_count: int = 0
    failed_count: int = 0
    malformed_count: int = 0

    def questions(self, lines: Iterator[bytes]) -> Iterator[Question]:
        """Those that the record does not hold yet, as they are read."""
        asked: set[str] = set()
        for each in objects(lines):
            if isinstance(each, Malformed):
                self._leave_out(each)
                continue
            try:
                found = question(each[1], each[0], needs_id=True)
                if self.tag and found.id.split() != [found.id]:
                    raise ValueError("has white space in its id, which no TREC run can hold")
                if found.id in asked:
                    raise ValueError(f"the id {found.id!r} stands on an earlier line already")
            except ValueError as error:
                self._leave_out(Malformed(each[0], str(error)))
                continue
            asked.add(found.id)
            if found.id in self.record:
                self.known_count += 1
                self.progress.advance(self.task)
            else:
                yield found

    def take(self, answers: Iterator[Answer]) -> CallError | None:
        """Writes each answer as it comes; the error that ended the run, if one did."""
        try:
            for answer in answers:
                self._write(answer)
                self.progress.advance(self.task)
        except CallError as error:
            return error
        return None

    def _write(self, answer: Answer) -> None:
        if answer.response is not None:
            self.totals.add(answer.response.usage)
        line, text = written(answer, self.tag)
        if "error" in line:
            self.failed_count += 1
            if self.failed_count <= _MOST_SHOWN:
                error = line["error"]
                message = f"{line['id']}: {error['code']}: {error['message']}"
                notices.print(Text.assemble(("failed: ", "red"), message), soft_wrap=True, highlight=False)
            self.progress.update(self.task, description=f"queries, [red]{self.failed_count:,} failed[/red]")
        self.answered_count += 1
        self.record.add(line, text)

    def _leave_out(self, malformed: Malformed) -> None:
        self.malformed_count += 1
        self.progress.advance(self.task)
        if self.malformed_count <= _MOST_SHOWN:
            tell_malformed(malformed)

    def report(self, output: Path, *, json: bool) -> None:
        """The totals of this run, and what the output holds of earlier ones."""
        seconds = time.monotonic() - self.started
        if json:
            print_json(
                {
                    "output": str(output),
                    "answered_count": self.answered_count - self.failed_count,
                    "failed_count": self.failed_count,
                    "known_count": self.known_count,
                    "malformed_count": self.malformed_count,
                    "elapsed_seconds": round(seconds, 3),
                    "usage": fields_of(self.totals.usage),
                }
            )
            return
        console.print(Text(self._summary(output, seconds)), soft_wrap=True, highlight=False)
        if consumed := in_words(self.totals.usage):
            console.print(Text(consumed, "dim"), soft_wrap=True, highlight=False)

    def _summary(self, output: Path, seconds: float) -> str:
        earlier = self.record.failed_count - self.failed_count
        parts = [
            f"{self.answered_count - self.failed_count:,} queries answered in {seconds:.1f} s "
            f"({self.answered_count / max(seconds, 1e-9):,.1f}/s)",
            f"{self.known_count:,} known already" if self.known_count else "",
            f"{self.failed_count:,} failed" if self.failed_count else "",
            f"{earlier:,} failed before (--retry-failed asks them again)" if earlier else "",
            f"{self.malformed_count:,} lines not read" if self.malformed_count else "",
        ]
        return f"{output}: {', '.join(each for each in parts if each)}"


@contextlib.contextmanager
def _interruptible() -> Iterator[threading.Event]:
    """An event that SIGINT and SIGTERM set; the second one interrupts at once."""
    interrupted = threading.Event()

    def interrupt(*_: object) -> None:
        if interrupted.is_set():
            raise KeyboardInterrupt
        interrupted.set()

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield interrupted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _record(output: Path, trec: bool, *, restart: bool, retry_failed: bool) -> Record:
    path, run = (output.with_name(f"{output.name}.done"), output) if trec else (output, None)
    try:
        record = Record(path, run).open(restart=restart, retry_failed=retry_failed)
    except NotARecord as error:
        fail(str(error), ExitCode.USAGE, "--restart begins anew; --output names another file")
    except OSError as error:
        fail(f"{error.filename or output}: {error.strerror}", ExitCode.USAGE)
    if record.is_mended:
        notices.print("the last answer was torn; it is asked again", style="yellow")
    if record.done_count:
        notices.print(f"going on: {output} knows {record.done_count:,} queries", style="dim", highlight=False)
    return record


def _count(file: str) -> int | None:
    """How many lines a file has; None for standard input."""
    if file == "-":
        return None
    with open(file, "rb") as lines:
        return sum(1 for each in lines if each.strip())
