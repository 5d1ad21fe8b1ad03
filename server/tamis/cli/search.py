"""`tamis search` and `tamis ask`."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import Annotated, Any

import typer
from rich.live import Live
from rich.text import Text

from tamis.cli.options import (
    DEFAULT_ADDRESS,
    DEFAULT_COLLECTION,
    Address,
    Collection,
    Json,
    PageSize,
    PerDocument,
    Pipeline,
    Tenant,
    Timeout,
)
from tamis.cli.output import console, failures, print_json
from tamis.cli.request import facet_specs, filter_of, overrides, recencies, sort_keys, thresholds
from tamis.cli.view import Event, SearchView
from tamis.client import Client
from tamis.client.errors import typed_errors
from tamis.v1 import search_service_pb2 as pb

__all__ = ["ask", "display", "search", "show", "streamed"]


def search(
    query: Annotated[str, typer.Argument(help='What to look for; a "phrase" in quotes. Not needed with --like.')] = "",
    collection: Collection = DEFAULT_COLLECTION,
    pipeline: Pipeline = "",
    limit: PageSize = 10,
    per_document: PerDocument = 0,
    where: Annotated[
        list[str] | None, typer.Option("--where", "-w", help="A condition: year>=2020, lang=de. All must hold.")
    ] = None,
    facet: Annotated[list[str] | None, typer.Option("--facet", help="Count the values of a field.")] = None,
    sort: Annotated[list[str] | None, typer.Option("--sort", help="Order by a field; -FIELD for falling.")] = None,
    recent: Annotated[
        list[str] | None, typer.Option("--recent", help="Prefer recent ones: updated=30d is a half-life of 30 days.")
    ] = None,
    min_score: Annotated[
        list[str] | None, typer.Option("--min-score", help="Leave out low scores of a kind: cosine=0.3.")
    ] = None,
    like: Annotated[list[str] | None, typer.Option("--like", help="Find documents like this one, by its id.")] = None,
    group: Annotated[bool, typer.Option("--group", help="Hits of one document together; -n counts documents.")] = False,
    min_sequence: Annotated[
        int, typer.Option("--min-sequence", min=0, help="Wait until the indexes have applied this sequence of a write.")
    ] = 0,
    page: Annotated[str, typer.Option("--page", help="The token under the page before.")] = "",
    override: Annotated[
        list[str] | None, typer.Option("--set", help="A stage's setting, for this search: answer.max_sentences=5.")
    ] = None,
    deadline: Timeout = None,
    address: Address = DEFAULT_ADDRESS,
    tenant: Tenant = "",
    json: Json = False,
    stream: Annotated[bool, typer.Option("--stream", help="With --json: every event as it comes, one a line.")] = False,
) -> None:
    """Searches, showing stages as they end and where each hit moved since the first revision."""
    if not query and not like:
        raise typer.BadParameter("say what to look for, or give --like")
    fields: dict[str, Any] = {
        "pipeline": pipeline,
        "page_size": limit,
        "document_hit_limit": per_document,
        "filter": filter_of(where or ()),
        "facet_specs": facet_specs(facet or ()),
        "sort_keys": sort_keys(sort or ()),
        "boosts": recencies(recent or ()),
        "score_thresholds": thresholds(min_score or ()),
        "stage_overrides": overrides(override or ()),
        "like_document_ids": like or (),
        "group_by_document": group,
        "page_token": page,
        "min_sequence": min_sequence,
    }
    with failures(address), Client(address, tenant=tenant) as client:
        if json and not stream:
            request = pb.SearchRequest(collection=collection, query=query, **fields)
            with typed_errors():
                print_json(client.stubs.search.Search(request, timeout=deadline))
        elif json:
            for event in _events(client, collection, query, deadline, fields):
                print_json(event)
        else:
            show(
                client,
                query,
                collection,
                hits_shown=1_000 if group else limit,
                deadline=deadline,
                is_paged=True,
                **fields,
            )


def ask(
    question: Annotated[str, typer.Argument(help="What to answer.")],
    collection: Collection = DEFAULT_COLLECTION,
    pipeline: Pipeline = "",
    deadline: Timeout = None,
    address: Address = DEFAULT_ADDRESS,
    tenant: Tenant = "",
    json: Json = False,
) -> None:
    """Answers from the documents, with a citation for every part of the answer."""
    with failures(address), Client(address, tenant=tenant) as client:
        if json:
            request = pb.SearchRequest(collection=collection, query=question, pipeline=pipeline)
            with typed_errors():
                answer = client.stubs.search.Search(request, timeout=deadline).answer
            print_json(answer)
        else:
            show(client, question, collection, pipeline=pipeline, hits_shown=3, deadline=deadline)


def show(
    client: Client,
    query: str,
    collection: str,
    *,
    hits_shown: int,
    deadline: float | None,
    is_paged: bool = False,
    **fields: Any,
) -> SearchView:
    """Runs a search and shows it: in place in a terminal, line by line elsewhere. `fields` are those of the request."""
    view = SearchView(
        query or f"like {', '.join(fields['like_document_ids'])}", hits_shown=hits_shown, is_paged=is_paged
    )
    return display(view, _events(client, collection, query, deadline, fields))


def streamed(call: Any) -> Generator[Any, None, None]:
    """The messages of a stream of the stubs; closing it cancels the call. Raises `CallError`."""
    with typed_errors():
        try:
            yield from call
        finally:
            call.cancel()


def _events(
    client: Client, collection: str, query: str, deadline: float | None, fields: dict[str, Any]
) -> Generator[pb.StreamSearchResponse, None, None]:
    request = pb.StreamSearchRequest(collection=collection, query=query, **fields)
    return streamed(client.stubs.search.StreamSearch(request, timeout=deadline))


def display(view: SearchView, events: Iterable[Event]) -> SearchView:
    """Shows a view while it takes events: in place in a terminal; elsewhere a line whenever the first three change."""
    if console.is_terminal:
        with Live(view, console=console, refresh_per_second=20, vertical_overflow="visible") as live:
            for event in events:
                view.add(event)
                live.refresh()
    else:
        shown = ""
        try:
            for event in events:
                view.add(event)
                top = ", ".join(each.passage.id for each in view.hits[:3])
                if event.WhichOneof("event") == "hits_revised" and top != shown:
                    shown = top
                    line = f"            revision {view.revision} by {event.hits_revised.stage}: {top}"
                    console.print(Text(line), soft_wrap=True)
        finally:
            if view.completed is not None or view.hits:
                console.print(view)  # what came before a failure is worth something, too
    return view
