"""`tamis documents`: list, get, patch, delete."""

from __future__ import annotations

import uuid
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from tamis.cli.options import DEFAULT_ADDRESS, DEFAULT_COLLECTION, PATIENCE, Address, Collection, Json, Tenant
from tamis.cli.output import console, failures, print_json
from tamis.cli.request import filter_of, metadata_of
from tamis.client import Client
from tamis.client.errors import typed_errors
from tamis.v1 import index_service_pb2 as pb

__all__ = ["app"]

app = typer.Typer(help="Lists, shows, patches and deletes documents.", no_args_is_help=True)
Ids = Annotated[list[str], typer.Argument(metavar="document", help="Ids of documents.")]
Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until every index has it.")]


@app.command("list")
def list_documents(
    collection: Collection = DEFAULT_COLLECTION,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1_000, help="The most to show.")] = 50,
    page: Annotated[str, typer.Option("--page", help="Where to go on, as told at the end of a page.")] = "",
    address: Address = DEFAULT_ADDRESS,
    tenant: Tenant = "",
    json: Json = False,
) -> None:
    """Lists documents by id."""
    request = pb.ListDocumentsRequest(collection=collection, page_size=limit, page_token=page)
    with failures(address), Client(address, tenant=tenant) as client, typed_errors():
        found = client.stubs.index.ListDocuments(request)
    if json:
        print_json(found, with_zeros=True)
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("document", "version", "title"):
        table.add_column(column, justify="right" if column == "version" else "left")
    for each in found.documents:
        table.add_row(Text(each.id, "bold"), str(each.version), Text(each.title))
    console.print(table if found.documents else f"no documents in {collection}")
    if found.next_page_token:
        console.print(Text(f"next page: --page {found.next_page_token}", "dim"))


@app.command()
def get(
    document: Annotated[str, typer.Argument(help="Id of a document.")],
    collection: Collection = DEFAULT_COLLECTION,
    address: Address = DEFAULT_ADDRESS,
    tenant: Tenant = "",
) -> None:
    """Prints one document as JSON."""
    request = pb.GetDocumentRequest(collection=collection, document_id=document)
    with failures(address), Client(address, tenant=tenant) as client, typed_errors():
        print_json(client.stubs.index.GetDocument(request).document)


@app.command()
def patch(
    document_ids: Ids,
    changes: Annotated[
        list[str] | None, typer.Option("--set", help="A key and its new value: year=2024; repeat for several.")
    ] = None,
    removed: Annotated[list[str] | None, typer.Option("--remove", help="A key to remove; repeat for several.")] = None,
    collection: Collection = DEFAULT_COLLECTION,
    wait: Wait = True,
    address: Address = DEFAULT_ADDRESS,
    tenant: Tenant = "",
    json: Json = False,
) -> None:
    """Changes the metadata of documents, all or none, and leaves their texts."""
    metadata = metadata_of(changes or ())
    if not metadata and not removed:
        raise typer.BadParameter("nothing to change: give --set KEY=VALUE or --remove KEY")
    patches = [pb.MetadataPatch(document_id=each, metadata=metadata, removed_keys=removed) for each in document_ids]
    request = pb.PatchMetadataRequest(collection=collection, patches=patches, request_id=uuid.uuid4().hex)
    with failures(address), Client(address, tenant=tenant) as client:
        with typed_errors():
            done = client.stubs.index.PatchMetadata(request)
        if wait and done.written_count:
            client.wait_indexed(collection, done.sequence, timeout=PATIENCE)
    if json:
        print_json(done, with_zeros=True)
    else:
        console.print(f"patched {done.written_count:,}, {done.unchanged_count:,} were like that before")


@app.command()
def delete(
    document_ids: Annotated[
        list[str] | None, typer.Argument(metavar="document", help="Ids of documents, or --where instead.")
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option("--where", "-w", help="Delete by a condition instead: year<2020, lang=de. All must hold."),
    ] = None,
    collection: Collection = DEFAULT_COLLECTION,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before deleting by filter.")] = False,
    wait: Wait = True,
    address: Address = DEFAULT_ADDRESS,
    tenant: Tenant = "",
    json: Json = False,
) -> None:
    """Deletes documents by id or by filter, all or none."""
    if bool(document_ids) == bool(where):
        raise typer.BadParameter("give ids of documents, or --where, and not both")
    request = pb.DeleteDocumentsRequest(
        collection=collection, document_ids=document_ids, filter=filter_of(where or ()), request_id=uuid.uuid4().hex
    )
    if where and not yes:
        typer.confirm(f"Delete every document of {collection} with {' and '.join(where)}?", abort=True)
    with failures(address), Client(address, tenant=tenant) as client:
        with typed_errors():
            done = client.stubs.index.DeleteDocuments(request)
        if wait and done.sequence:
            client.wait_indexed(collection, done.sequence, timeout=PATIENCE)
    if json:
        print_json(done, with_zeros=True)
    else:
        console.print(f"deleted {done.deleted_count:,}")
