"""`tamis search` and `tamis ask`."""

from __future__ import annotations

from typing import Annotated

import typer
from google.protobuf.json_format import MessageToDict
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
    Timeout,
)
from tamis.cli.output import console, failures, print_json
from tamis.cli.view import SearchView
from tamis.client import Client
from tamis.client.errors import typed_errors
from tamis.v1 import search_service_pb2 as pb

__all__ = ["ask", "search", "show"]


def search(
    query: Annotated[str, typer.Argument(help="What to look for.")],
    collection: Collection = DEFAULT_COLLECTION,
    pipeline: Pipeline = "",
    limit: PageSize = 10,
    per_document: PerDocument = 0,
    deadline: Timeout = None,
    address: Address = DEFAULT_ADDRESS,
    json: Json = False,
    stream: Annotated[bool, typer.Option("--stream", help="With --json: every event as it comes, one a line.")] = False,
) -> None:
    """Searches, showing stages as they end and where each hit moved since the first revision."""
    with failures(address), Client(address) as client:
        if json and not stream:
            request = pb.SearchRequest(
                collection=collection,
                query=query,
                pipeline=pipeline,
                page_size=limit,
                document_hit_limit=per_document,
            )
            with typed_errors():
                print_json(client.search.Search(request, timeout=deadline))
        elif json:
            for event in client.stream_search(
                collection,
                query,
                pipeline=pipeline,
                page_size=limit,
                document_hit_limit=per_document,
                timeout=deadline,
            ):
                print_json(event)
        else:
            show(
                client,
                query,
                collection,
                pipeline=pipeline,
                limit=limit,
                per_document=per_document,
                deadline=deadline,
            )


def ask(
    question: Annotated[str, typer.Argument(help="What to answer.")],
    collection: Collection = DEFAULT_COLLECTION,
    pipeline: Pipeline = "",
    deadline: Timeout = None,
    address: Address = DEFAULT_ADDRESS,
    json: Json = False,
) -> None:
    """Answers from the documents, with a citation for every part of the answer."""
    with failures(address), Client(address) as client:
        if json:
            request = pb.SearchRequest(collection=collection, query=question, pipeline=pipeline)
            with typed_errors():
                answer = client.search.Search(request, timeout=deadline).answer
            print_json(MessageToDict(answer, preserving_proto_field_name=True))
        else:
            show(client, question, collection, pipeline=pipeline, limit=3, deadline=deadline)


def show(
    client: Client,
    query: str,
    collection: str,
    *,
    pipeline: str,
    limit: int,
    deadline: float | None,
    per_document: int = 0,
) -> SearchView:
    """Runs a search and shows it: in place in a terminal, line by line elsewhere."""
    view = SearchView(query, hits_shown=limit)
    events = client.stream_search(
        collection,
        query,
        pipeline=pipeline,
        page_size=max(limit, 10),
        document_hit_limit=per_document,
        timeout=deadline,
    )
    if console.is_terminal:
        with Live(view, console=console, refresh_per_second=20, vertical_overflow="visible") as live:
            for event in events:
                view.add(event)
                live.refresh()
    else:
        for event in events:
            view.add(event)
            if event.WhichOneof("event") == "hits_revised":
                top = ", ".join(each.passage.id for each in view.hits[:3])
                console.print(
                    Text(f"            revision {view.revision} by {event.hits_revised.stage}: {top}"), soft_wrap=True
                )
        console.print(view)
    return view
