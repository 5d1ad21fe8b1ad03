"""Writes documents to a server, with bars that show how far it and its indexes are."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from tamis.cli.output import console
from tamis.cli.pages import pages
from tamis.client import AlreadyExists, Client, NotFound
from tamis.client.errors import typed_errors
from tamis.reading import Unreadable
from tamis.v1 import index_service_pb2 as pb
from tamis.v1 import passage_pb2

__all__ = ["Outcome", "bars", "create_if_missing", "delete", "held", "wait", "write"]

_POLL_SECONDS = 0.25
_CREATE_SECONDS = 120.0  # stages that keep an index may have a model to load first
_MOST_DELETED = 1_000


@dataclass(slots=True)
class Outcome:
    """What came of an indexing run. `unknown` counts files by a suffix that nothing reads."""

    written_count: int = 0
    unchanged_count: int = 0
    deleted_count: int = 0
    file_count: int = 0
    sequence: int = 0
    unreadable: list[Unreadable] = field(default_factory=list)
    unknown: dict[str, int] = field(default_factory=dict)


class _Rate(ProgressColumn):
    """How many a second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.1f}/s" if speed else "", "dim")


def bars(*, quiet: bool, on: Console = console) -> Progress:
    """Bars with a count, a rate and the time left; none where nobody sees them."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(compact=True, elapsed_when_finished=True),
    )
    return Progress(*columns, console=on, disable=quiet or not on.is_terminal)


def write(
    client: Client,
    collection: str,
    documents: Iterable[passage_pb2.Document],
    outcome: Outcome,
    progress: Progress,
    *,
    language: str = "",
) -> None:
    """Writes, creating the collection if need be. What has been counted as written is durable."""
    create_if_missing(client, collection, language)
    task = progress.add_task("documents", total=None)
    for written in client.stream_write(collection, documents):
        outcome.written_count += written.written_count
        outcome.unchanged_count += written.unchanged_count
        outcome.sequence = max(outcome.sequence, written.sequence)
        progress.update(task, completed=outcome.written_count + outcome.unchanged_count)
    total = outcome.written_count + outcome.unchanged_count
    progress.update(task, total=total, completed=total)


def delete(client: Client, collection: str, ids: Iterable[str], outcome: Outcome) -> None:
    """Deletes documents."""
    waiting = sorted(ids)
    for start in range(0, len(waiting), _MOST_DELETED):
        some = waiting[start : start + _MOST_DELETED]
        with typed_errors():
            done = client.stubs.index.DeleteDocuments(
                pb.DeleteDocumentsRequest(collection=collection, document_ids=some)
            )
        outcome.deleted_count += done.deleted_count
        outcome.sequence = max(outcome.sequence, done.sequence)


def held(client: Client, collection: str) -> Iterator[passage_pb2.Document]:
    """Every document of a collection, without its text; none where there is no collection."""
    request = pb.ListDocumentsRequest(collection=collection, page_size=_MOST_DELETED)
    try:
        with typed_errors():
            for page in pages(client.stubs.index.ListDocuments, request):
                yield from page.documents
    except NotFound:
        return


def create_if_missing(client: Client, collection: str, language: str = "") -> None:
    """Creates a collection unless it is there; `language` holds for a new one alone."""
    with suppress(AlreadyExists):
        client.create_collection(collection, language=language, timeout=_CREATE_SECONDS)


def wait(client: Client, collection: str, sequence: int, progress: Progress) -> None:
    """Waits until every index has got to a sequence, by asking, so that the bars move.

    0 is what had been written before: by a run that was interrupted, or by one that did not wait.
    """
    tasks: dict[str, Any] = {}
    while True:
        try:
            known = client.collection(collection)
        except NotFound:
            return  # nothing has ever been written to it
        sequence = sequence or known.last_sequence
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
