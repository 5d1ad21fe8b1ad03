"""`tamis reindex`: a collection embedded or divided anew, while it is searched."""

from __future__ import annotations

import time
from typing import Annotated

import grpc
import typer
from rich.progress import Progress

from tamis.cli.options import DEFAULT_ADDRESS, Address, Json, Tenant
from tamis.cli.output import console, failures, notices, print_json
from tamis.cli.writing import bars
from tamis.client import CallError, Client
from tamis.client.errors import typed_errors
from tamis.v1 import index_service_pb2 as pb

__all__ = ["reindex"]

_POLL_SECONDS = 0.25


def reindex(
    collection: Annotated[str, typer.Argument(help="The collection.", show_default=False)],
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until it could serve.")] = True,
    switch: Annotated[bool, typer.Option("--switch", help="Have it serve then.")] = False,
    drop_old: Annotated[
        bool, typer.Option("--drop-old", help="Drop the one that served then. There is no way back.")
    ] = False,
    address: Address = DEFAULT_ADDRESS,
    tenant: Tenant = "",
    json: Json = False,
) -> None:
    """Builds a new generation of a collection's indexes, by what is configured now, beside the one that serves.

    Searches and writes go on. Run it again after an interruption: what is being built already is gone on with.
    """
    switch = switch or drop_old
    with failures(address), Client(address, tenant=tenant) as client:
        number = _begun(client, collection)
        if wait or switch:
            with bars(quiet=json, on=notices) as progress:
                _wait(client, collection, number, progress)
        former = _known(client, collection).serving_generation
        if switch:
            with typed_errors():
                client.stubs.index.SwitchGeneration(
                    pb.SwitchGenerationRequest(collection=collection, generation=number)
                )
        if drop_old:
            with typed_errors():
                client.stubs.index.DropGeneration(pb.DropGenerationRequest(collection=collection, generation=former))
        known = _known(client, collection)
    if json:
        print_json(pb.GetCollectionResponse(collection=known))
        return
    console.print(_summary(collection, number, former, wait, switch, drop_old), soft_wrap=True, highlight=False)


def _begun(client: Client, collection: str) -> int:
    """The generation that is begun, or was and is not ready yet."""
    try:
        with typed_errors():
            built = client.stubs.index.BuildGeneration(pb.BuildGenerationRequest(collection=collection))
        return int(built.generation.number)
    except CallError as error:
        if error.code is not grpc.StatusCode.FAILED_PRECONDITION:
            raise
        known = _known(client, collection)
        building = [each.number for each in known.generations if each.state == pb.GENERATION_STATE_BUILDING]
        if not building or building[-1] <= known.serving_generation:
            raise
        notices.print(f"generation {building[-1]} is being built already; going on with it")
        return int(building[-1])


def _wait(client: Client, collection: str, number: int, progress: Progress) -> None:
    """Waits until every index has what there was when all documents were divided; more may come for ever."""
    dividing = progress.add_task("divided", total=None)
    tasks = {}
    goal: int | None = None
    while True:
        known = _known(client, collection)
        state = _generation(known, number)
        progress.update(dividing, completed=state.divided_document_count, total=known.document_count)
        if goal is None and state.divided_document_count == known.document_count:
            goal = known.last_sequence
        for each in state.indexes:
            total = known.last_sequence if goal is None else goal
            if each.stage not in tasks:
                tasks[each.stage] = progress.add_task(f"indexed by {each.stage}", total=total)
            problem = f" [red]{each.problem}[/red]" if each.problem else ""
            reached = min(each.applied_sequence, total)
            name = f"indexed by {each.stage}{problem}"
            progress.update(tasks[each.stage], completed=reached, total=total, description=name)
        is_caught_up = goal and all(each.applied_sequence >= goal for each in state.indexes)
        if is_caught_up or state.state != pb.GENERATION_STATE_BUILDING:
            return
        time.sleep(_POLL_SECONDS)


def _known(client: Client, collection: str) -> pb.Collection:
    with typed_errors():
        found: pb.GetCollectionResponse = client.stubs.index.GetCollection(
            pb.GetCollectionRequest(collection=collection)
        )
    return found.collection


def _generation(known: pb.Collection, number: int) -> pb.Generation:
    """Raises `CallError` when somebody has dropped it."""
    found = next((each for each in known.generations if each.number == number), None)
    if found is None:
        raise CallError(grpc.StatusCode.NOT_FOUND, f"generation {number} was dropped meanwhile", reason="NOT_FOUND")
    return found


def _summary(collection: str, number: int, former: int, wait: bool, switch: bool, drop_old: bool) -> str:
    name = f"[bold]{collection}[/bold]: generation {number}"
    if drop_old:
        return f"{name} serves; generation {former} is dropped"
    if switch:
        return f"{name} serves; back with: tamis generations switch {collection} {former}"
    if wait:
        return f"{name} is ready; have it serve with: tamis generations switch {collection} {number}"
    return f"{name} is being built; see how far it is with: tamis generations list {collection}"
