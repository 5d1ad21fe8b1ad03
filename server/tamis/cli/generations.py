"""`tamis generations`: list, switch, drop."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from tamis.cli.collections import index_state
from tamis.cli.options import DEFAULT_ADDRESS, Address, Json, Tenant
from tamis.cli.output import console, failures, fields_of, print_json
from tamis.client import Client
from tamis.client.errors import typed_errors
from tamis.v1 import index_service_pb2 as pb

__all__ = ["app"]

app = typer.Typer(
    help="Lists, switches and drops the generations of a collection; `tamis reindex` builds them.",
    no_args_is_help=True,
)

Name = Annotated[str, typer.Argument(help="The collection.", show_default=False)]
Number = Annotated[int, typer.Argument(min=1, help="The generation.", show_default=False)]


@app.command("list")
def list_generations(
    collection: Name, address: Address = DEFAULT_ADDRESS, tenant: Tenant = "", json: Json = False
) -> None:
    """Lists generations, what each is made of, and how far it has got."""
    with failures(address), Client(address, tenant=tenant) as client, typed_errors():
        found = client.stubs.index.GetCollection(pb.GetCollectionRequest(collection=collection)).collection
    if json:
        generations = [fields_of(each) for each in found.generations]
        print_json({"serving_generation": found.serving_generation, "generations": generations})
        return
    if not found.generations:
        console.print(f"tenants share {collection}; its generations are for an operator to see")
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("generation", "state", "chunker", "in place of others", "documents divided", "indexes"):
        table.add_column(column, justify="right" if column in ("generation", "documents divided") else "left")
    for each in found.generations:
        replacements = ", ".join(f"{by} for {stage}" for stage, by in sorted(each.replacements.items()))
        divided = f"{each.divided_document_count:,} of {found.document_count:,}"
        states = ", ".join(index_state(state) for state in each.indexes)
        chunker = each.chunker or Text("built in", "dim")
        table.add_row(Text(str(each.number), "bold"), _doing(each), chunker, replacements or "-", divided, states)
    console.print(table)


@app.command()
def switch(
    collection: Name, generation: Number, address: Address = DEFAULT_ADDRESS, tenant: Tenant = "", json: Json = False
) -> None:
    """Has a generation serve, for every search that begins afterwards; also the way back."""
    with failures(address), Client(address, tenant=tenant) as client, typed_errors():
        request = pb.SwitchGenerationRequest(collection=collection, generation=generation)
        switched = client.stubs.index.SwitchGeneration(request)
    if json:
        print_json(switched)
        return
    console.print(f"generation {generation} of {collection} serves")


@app.command()
def drop(
    collection: Name,
    generation: Number,
    address: Address = DEFAULT_ADDRESS,
    tenant: Tenant = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    json: Json = False,
) -> None:
    """Removes a generation that does not serve, with its indexes; one that is being built is given up."""
    with failures(address), Client(address, tenant=tenant) as client, typed_errors():
        if not (yes or json):
            typer.confirm(f"Drop generation {generation} of {collection}, and with it the way back to it?", abort=True)
        request = pb.DropGenerationRequest(collection=collection, generation=generation)
        dropped = client.stubs.index.DropGeneration(request)
    if json:
        print_json(dropped)
        return
    console.print(f"dropped generation {generation} of {collection}")


def _doing(generation: pb.Generation) -> Text:
    name = pb.GenerationState.Name(generation.state).removeprefix("GENERATION_STATE_").lower()
    return Text(name, "green" if name == "serving" else "")
