"""`tamis verify`: whether every index holds what the journal says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from tamis.cli.collections import every_collection
from tamis.cli.options import DEFAULT_ADDRESS, Address, Json, Tenant
from tamis.cli.output import ExitCode, console, failures, fields_of, notices, print_json
from tamis.client import Client
from tamis.client.errors import typed_errors
from tamis.v1 import index_service_pb2 as pb

__all__ = ["collection_names", "verify"]

_JOURNAL = "(journal)"


def verify(
    collection: Annotated[str | None, typer.Argument(help="One collection; all of them without it.")] = None,
    repair: Annotated[bool, typer.Option("--repair", help="Mend indexes where they differ.")] = False,
    address: Address = DEFAULT_ADDRESS,
    tenant: Tenant = "",
    json: Json = False,
) -> None:
    """Compares the journal with itself and with every index, passage by passage, while the server serves.

    Ends with 1 when something differs or is wrong, also when it was mended.
    """
    found: list[tuple[str, pb.VerifyCollectionResponse]] = []
    with failures(address), Client(address, tenant=tenant) as client, typed_errors():
        names = [collection] if collection else collection_names(client, tenant)
        with notices.status("verifying") as status:
            for name in names:
                status.update(f"verifying {name}: journal")
                for each in client.stubs.index.VerifyCollection(
                    pb.VerifyCollectionRequest(collection=name, repair=repair)
                ):
                    found.append((name, each))
                    status.update(f"verifying {name}: {each.stage or 'journal'} is done")
    if json:
        print_json([{"collection": name, **fields_of(each, with_zeros=True)} for name, each in found])
    else:
        console.print(_table(found, repair) if found else "no collections yet")
        for line in _details(found, repair):
            console.print(line, soft_wrap=True)
    if any(_differs(each) for _, each in found):
        raise typer.Exit(ExitCode.FAILED)


def collection_names(client: Client, tenant: str = "") -> list[str]:
    """Every collection of the server, by name; for a tenant its own, without those that it shares with others."""
    return [each.id for each in every_collection(client) if not (tenant and each.tenant_partitioned)]


def _differs(found: pb.VerifyCollectionResponse) -> bool:
    return bool(found.missing_count or found.extra_count or found.document_ids or found.problems)


def _table(found: list[tuple[str, pb.VerifyCollectionResponse]], repair: bool) -> Table:
    """Narrow enough for 80 columns: what was repaired is told where that was asked for."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    numbers = ("generation", "sequence", "passages", "missing", "extra", *(["repaired"] if repair else []))
    for column in ("collection", "index", *numbers, ""):
        table.add_column(column, justify="right" if column in numbers else "left", no_wrap=True)
    for name, each in found:
        verdict = Text("differs", "bold red") if _differs(each) else Text("ok", "green")
        counts = [each.generation, each.sequence, each.passage_count]
        if each.stage:
            counts += [each.missing_count, each.extra_count, *([each.repaired_document_count] if repair else [])]
        texts = [f"{count:,}" for count in counts] + [""] * (len(numbers) - len(counts))
        table.add_row(Text(name, "bold"), each.stage or Text(_JOURNAL, "dim"), *texts, verdict)
    return table


def _details(found: list[tuple[str, pb.VerifyCollectionResponse]], repair: bool) -> Iterator[Text]:
    for name, each in found:
        where = f"{name}/{each.stage or _JOURNAL}"
        for problem in each.problems:
            yield Text.assemble((f"{where}: ", "bold"), problem)
        if each.document_ids:
            yield Text.assemble((f"{where}: ", "bold"), "documents that differ: ", ", ".join(each.document_ids))
    if not repair and any(each.stage and _differs(each) for _, each in found):
        yield Text("mend the indexes with: tamis verify --repair", "dim")
