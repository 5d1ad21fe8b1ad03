"""`tamis collections`: list, create, delete."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from tamis.cli.options import DEFAULT_ADDRESS, Address, Json, Language
from tamis.cli.output import console, failures, print_json
from tamis.client import Client
from tamis.client.errors import typed_errors
from tamis.v1 import index_service_pb2 as pb

__all__ = ["app"]

app = typer.Typer(help="Lists, creates and deletes collections.", no_args_is_help=True)


@app.command("list")
def list_collections(address: Address = DEFAULT_ADDRESS, json: Json = False) -> None:
    """Lists collections with their size and how far each index has got."""
    found: list[pb.Collection] = []
    token = ""
    with failures(address), Client(address) as client, typed_errors():
        while True:
            page = client.index.ListCollections(pb.ListCollectionsRequest(page_size=100, page_token=token))
            found.extend(page.collections)
            token = page.next_page_token
            if not token:
                break
    if json:
        print_json(pb.ListCollectionsResponse(collections=found))
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("collection", "language", "documents", "passages", "indexes"):
        table.add_column(column, justify="right" if column in ("documents", "passages") else "left")
    for each in found:
        states = ", ".join(_state(state) for state in each.indexes)
        counts = f"{each.document_count:,}", f"{each.passage_count:,}"
        table.add_row(Text(each.id, "bold"), each.language, *counts, states)
    console.print(table if found else "no collections yet; make one with: tamis index PATH")


@app.command()
def create(name: str, language: Language = "", address: Address = DEFAULT_ADDRESS) -> None:
    """Creates an empty collection."""
    with failures(address), Client(address) as client, typed_errors():
        client.index.CreateCollection(pb.CreateCollectionRequest(collection=name, language=language))
    console.print(f"created {name}")


@app.command()
def delete(
    name: str,
    address: Address = DEFAULT_ADDRESS,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Deletes a collection with everything in it. There is no way back."""
    with failures(address), Client(address) as client, typed_errors():
        found = client.index.GetCollection(pb.GetCollectionRequest(collection=name)).collection
        if not yes:
            typer.confirm(f"Delete {name} with its {found.document_count:,} documents?", abort=True)
        client.index.DeleteCollection(pb.DeleteCollectionRequest(collection=name))
    console.print(f"deleted {name}")


def _state(state: pb.IndexState) -> str:
    behind = f" {state.lag_count:,} behind" if state.lag_count else " up to date"
    problem = f" ({state.problem})" if state.problem else ""
    letters = state.dead_letter_count
    dead = f", {letters:,} dead {'letter' if letters == 1 else 'letters'}" if letters else ""
    return f"{state.stage}{behind}{problem}{dead}"
