"""`tamis collections`: list, create, delete."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from tamis.cli.options import DEFAULT_ADDRESS, Address, Json, Language, Tenant
from tamis.cli.output import console, failures, print_json
from tamis.cli.pages import pages
from tamis.client import Client
from tamis.client.errors import typed_errors
from tamis.v1 import index_service_pb2 as pb

__all__ = ["app", "every_collection", "index_state"]

app = typer.Typer(help="Lists, creates and deletes collections.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="The collection.", show_default=False)]


@app.command("list")
def list_collections(address: Address = DEFAULT_ADDRESS, tenant: Tenant = "", json: Json = False) -> None:
    """Lists collections with their size and how far each index has got."""
    with failures(address), Client(address, tenant=tenant) as client, typed_errors():
        found = every_collection(client)
    if json:
        print_json(pb.ListCollectionsResponse(collections=found))
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("collection", "language", "documents", "passages", "indexes"):
        table.add_column(column, justify="right" if column in ("documents", "passages") else "left")
    for each in found:
        states = ", ".join(index_state(state) for state in each.indexes)
        counts = f"{each.document_count:,}", f"{each.passage_count:,}"
        table.add_row(Text(each.id, "bold"), each.language, *counts, states)
    console.print(table if found else "no collections yet; make one with: tamis index PATH")


@app.command()
def create(
    name: Name,
    language: Language = "",
    shared: Annotated[
        bool, typer.Option("--shared", help="Tenants share it, each seeing its own documents; for operators.")
    ] = False,
    address: Address = DEFAULT_ADDRESS,
    tenant: Tenant = "",
) -> None:
    """Creates an empty collection."""
    request = pb.CreateCollectionRequest(collection=name, language=language, tenant_partitioned=shared)
    with failures(address), Client(address, tenant=tenant) as client, typed_errors():
        client.stubs.index.CreateCollection(request)
    console.print(f"created {name}")


@app.command()
def delete(
    name: Name,
    address: Address = DEFAULT_ADDRESS,
    tenant: Tenant = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Deletes a collection with everything in it. There is no way back."""
    with failures(address), Client(address, tenant=tenant) as client, typed_errors():
        found = client.stubs.index.GetCollection(pb.GetCollectionRequest(collection=name)).collection
        if not yes:
            typer.confirm(f"Delete {name} with its {found.document_count:,} documents?", abort=True)
        client.stubs.index.DeleteCollection(pb.DeleteCollectionRequest(collection=name))
    console.print(f"deleted {name}")


def every_collection(client: Client) -> list[pb.Collection]:
    """All that the caller sees, by name."""
    listed = pages(client.stubs.index.ListCollections, pb.ListCollectionsRequest(page_size=100))
    return [each for page in listed for each in page.collections]


def index_state(state: pb.IndexState) -> str:
    """How far an index is, in words."""
    behind = f" {state.lag_count:,} behind" if state.lag_count else " up to date"
    problem = f" ({state.problem})" if state.problem else ""
    letters = state.dead_letter_count
    dead = f", {letters:,} dead {'letter' if letters == 1 else 'letters'}" if letters else ""
    return f"{state.stage}{behind}{problem}{dead}"
