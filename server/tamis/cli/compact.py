"""`tamis compact`: gives back the space of what has been superseded."""

from __future__ import annotations

from typing import Annotated

import typer

from tamis.cli.options import DEFAULT_ADDRESS, Address, Json, Tenant
from tamis.cli.output import console, failures, notices, print_json
from tamis.client import Client
from tamis.client.errors import typed_errors
from tamis.v1 import index_service_pb2 as pb

__all__ = ["compact"]


def compact(
    collection: Annotated[str, typer.Argument(help="The collection.")],
    address: Address = DEFAULT_ADDRESS,
    tenant: Tenant = "",
    json: Json = False,
) -> None:
    """Gives back the space of superseded changes in the journal, and has indexes compact themselves."""
    request = pb.CompactCollectionRequest(collection=collection)
    with failures(address), Client(address, tenant=tenant) as client, typed_errors(), notices.status("compacting"):
        done = client.stubs.index.CompactCollection(request)
    if json:
        print_json(done, with_zeros=True)
        return
    stages = ", ".join(done.compacted_stages) or "none"
    console.print(
        f"removed {done.removed_change_count:,} superseded changes, gave back {done.freed_byte_count:,} bytes"
    )
    console.print(f"compacted indexes: {stages}")
