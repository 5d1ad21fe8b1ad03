"""`tamis index`."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import grpc
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from tamis.cli.options import DEFAULT_ADDRESS, DEFAULT_COLLECTION, Address, Collection, Json, Language
from tamis.cli.output import ExitCode, console, failures, print_json
from tamis.client import CallError, Client
from tamis.client.errors import typed_errors
from tamis.errors import InvalidRequest
from tamis.ingest.readers import READERS, Unreadable, files, read
from tamis.model import Document
from tamis.v1 import index_service_pb2 as pb
from tamis.v1 import passage_pb2
from tamis.wire.passages import from_document, to_documents

__all__ = ["Outcome", "index", "write"]

_POLL_SECONDS = 0.25
_MOST_SHOWN = 10


@dataclass(slots=True)
class Outcome:
    """What came of an indexing run."""

    written_count: int = 0
    unchanged_count: int = 0
    sequence: int = 0
    unreadable: list[Unreadable] = field(default_factory=list)


def index(
    paths: Annotated[list[Path], typer.Argument(help=f"Files ({', '.join(READERS)}) or folders.", show_default=False)],
    collection: Collection = DEFAULT_COLLECTION,
    language: Language = "",
    address: Address = DEFAULT_ADDRESS,
    wait: Annotated[bool, typer.Option(help="Wait until everything can be found.")] = True,
    json: Json = False,
) -> None:
    """Writes documents to a collection, which is created if need be.

    What is acknowledged is safe at once. Run it again after an interruption: unchanged documents cost nothing.
    """
    started = time.monotonic()
    outcome = Outcome()
    with failures(address), Client(address) as client:
        documents = _checked(_documents(paths, outcome), outcome)
        write(client, collection, documents, outcome, wait=wait, quiet=json, language=language)
    _report(outcome, collection, time.monotonic() - started, json)
    if outcome.unreadable:
        raise typer.Exit(ExitCode.INCOMPLETE)


def write(
    client: Client,
    collection: str,
    documents: Iterable[passage_pb2.Document],
    outcome: Outcome,
    *,
    wait: bool,
    quiet: bool,
    language: str = "",
) -> None:
    """Writes and, if asked, waits for every index, with bars that show how far each is."""
    _create_if_missing(client, collection, language)
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, disable=quiet or not console.is_terminal) as progress:
        task = progress.add_task("written", total=None)
        for written in client.write(collection, documents):
            outcome.written_count += written.written_count
            outcome.unchanged_count += written.unchanged_count
            outcome.sequence = max(outcome.sequence, written.sequence)
            progress.update(task, completed=outcome.written_count + outcome.unchanged_count)
        total = outcome.written_count + outcome.unchanged_count
        progress.update(task, total=total, completed=total)
        if wait and outcome.sequence:
            _wait(client, collection, outcome.sequence, progress)


def _documents(paths: Iterable[Path], outcome: Outcome) -> Iterator[tuple[Path, Document]]:
    """Every document of every path; what cannot be read, or has the id of an earlier one, goes to the outcome."""
    seen: set[str] = set()
    for found in files(paths):
        if isinstance(found, Unreadable):
            outcome.unreadable.append(found)
            continue
        path, name = found
        for each in read(path, name):
            if isinstance(each, Unreadable):
                outcome.unreadable.append(each)
            elif each.id in seen:
                outcome.unreadable.append(Unreadable(path, f"has the id of an earlier document: {each.id}"))
            else:
                seen.add(each.id)
                yield path, each


def _checked(documents: Iterable[tuple[Path, Document]], outcome: Outcome) -> Iterator[passage_pb2.Document]:
    """As messages; what the server would refuse goes to the outcome, so that it does not end the stream."""
    for path, document in documents:
        message = from_document(document)
        try:
            to_documents([message], most=1)
        except InvalidRequest as error:
            (violation,) = error.violations
            reason = f"{violation.field.removeprefix('documents[0].')} {violation.description}"
            outcome.unreadable.append(Unreadable(path, f"{document.id[:64]}: {reason}"))
        else:
            yield message


def _create_if_missing(client: Client, collection: str, language: str) -> None:
    with typed_errors():
        try:
            client.index.CreateCollection(pb.CreateCollectionRequest(collection=collection, language=language))
        except grpc.RpcError as error:
            if CallError.of(error).code is not grpc.StatusCode.ALREADY_EXISTS:
                raise


def _wait(client: Client, collection: str, sequence: int, progress: Progress) -> None:
    """Waits by asking, so that the bars move."""
    tasks: dict[str, Any] = {}
    while True:
        with typed_errors():
            known = client.index.GetCollection(pb.GetCollectionRequest(collection=collection)).collection
        for state in known.indexes:
            if state.stage not in tasks:
                tasks[state.stage] = progress.add_task(f"indexed by {state.stage}", total=sequence)
            problem = f" [red]{state.problem}[/red]" if state.problem else ""
            progress.update(
                tasks[state.stage],
                completed=min(state.applied_sequence, sequence),
                description=f"indexed by {state.stage}{problem}",
            )
        if all(state.applied_sequence >= sequence for state in known.indexes):
            return
        time.sleep(_POLL_SECONDS)


def _report(outcome: Outcome, collection: str, elapsed: float, json: bool) -> None:
    if json:
        print_json(
            {
                "collection": collection,
                "written_count": outcome.written_count,
                "unchanged_count": outcome.unchanged_count,
                "sequence": outcome.sequence,
                "unreadable": [
                    {"path": str(each.path), "line": each.line, "reason": each.reason} for each in outcome.unreadable
                ],
                "elapsed_seconds": round(elapsed, 3),
            }
        )
        return
    for each in outcome.unreadable[:_MOST_SHOWN]:
        console.print(f"[yellow]not read:[/yellow] {each}", soft_wrap=True, highlight=False)
    if len(outcome.unreadable) > _MOST_SHOWN:
        console.print(f"[yellow]… and {len(outcome.unreadable) - _MOST_SHOWN:,} more; --json lists them all[/yellow]")
    console.print(
        f"[bold]{collection}[/bold]: {outcome.written_count:,} documents written, {outcome.unchanged_count:,} "
        f"unchanged, {elapsed:.1f} s",
        highlight=False,
    )
