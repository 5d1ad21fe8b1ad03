"""`tamis dead-letters`: list, retry."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from tamis.cli.options import DEFAULT_ADDRESS, PATIENCE, Address, Json, Tenant
from tamis.cli.output import console, failures, print_json
from tamis.cli.pages import pages
from tamis.client import Client
from tamis.client.errors import typed_errors
from tamis.v1 import index_service_pb2 as pb

__all__ = ["app"]

app = typer.Typer(help="Lists and retries the documents that an index could not take.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="The collection.", show_default=False)]


@app.command("list")
def list_dead_letters(
    collection: Name, address: Address = DEFAULT_ADDRESS, tenant: Tenant = "", json: Json = False
) -> None:
    """Lists the documents that an index could not take, and why."""
    with failures(address), Client(address, tenant=tenant) as client:
        found = list(_letters(client, collection))
    if json:
        print_json(pb.ListDeadLettersResponse(dead_letters=found), with_zeros=True)
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("stage", "generation", "document", "version", "since", "reason"):
        table.add_column(column, justify="right" if column in ("generation", "version") else "left")
    for each in found:
        since = each.create_time.ToDatetime().isoformat(" ", "seconds")
        numbers = str(each.generation), str(each.document_version)
        table.add_row(each.stage, numbers[0], Text(each.document_id, "bold"), numbers[1], since, Text(each.reason))
    console.print(table if found else f"no dead letters in {collection}")


@app.command()
def retry(
    collection: Name,
    document_ids: Annotated[
        list[str] | None, typer.Argument(metavar="document", help="Documents; all dead letters if none is given.")
    ] = None,
    address: Address = DEFAULT_ADDRESS,
    tenant: Tenant = "",
    json: Json = False,
) -> None:
    """Has every index try again what it could not take, and waits for what comes of it."""
    request = pb.RetryDeadLettersRequest(collection=collection, document_ids=document_ids or ())
    with failures(address), Client(address, tenant=tenant) as client:
        with typed_errors():
            done = client.stubs.index.RetryDeadLetters(request)
        if done.sequence:
            client.wait_indexed(collection, done.sequence, timeout=PATIENCE)
        left = {each.document_id for each in _letters(client, collection)} if done.sequence else set[str]()
    if json:
        print_json({"retried_count": done.retried_count, "sequence": done.sequence, "dead_document_ids": sorted(left)})
    elif done.retried_count:
        rest = f"; {len(left):,} still cannot be indexed" if left else "; every index has them now"
        console.print(f"retried {done.retried_count:,}{rest}")
    else:
        console.print(f"nothing to retry in {collection}")


def _letters(client: Client, collection: str) -> Iterator[pb.DeadLetter]:
    request = pb.ListDeadLettersRequest(collection=collection, page_size=1_000)
    with typed_errors():
        for page in pages(client.stubs.index.ListDeadLetters, request):
            yield from page.dead_letters
