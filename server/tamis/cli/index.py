"""`tamis index`."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from tamis.cli.index_run import Clash, IndexRun, Plan
from tamis.cli.index_watch import stoppable, watch
from tamis.cli.options import DEFAULT_ADDRESS, DEFAULT_COLLECTION, Address, Collection, Json, Language, Tenant
from tamis.cli.output import ExitCode, console, fail, failures, print_json
from tamis.cli.writing import Outcome, bars
from tamis.client import Client
from tamis.ingest.files import Choice, Root
from tamis.ingest.installed import installed_readers
from tamis.ingest.workers import Limits, Workers

__all__ = ["index"]

_MOST_SHOWN = 10
_MIB = 1 << 20


def index(
    paths: Annotated[list[Path], typer.Argument(help="Files or folders.", show_default=False)],
    collection: Collection = DEFAULT_COLLECTION,
    language: Language = "",
    address: Address = DEFAULT_ADDRESS,
    tenant: Tenant = "",
    include: Annotated[list[str] | None, typer.Option(help="Only files that match one of these patterns.")] = None,
    exclude: Annotated[list[str] | None, typer.Option(help="No files or folders that match one of these.")] = None,
    name: Annotated[str, typer.Option(help="What a single folder is called in ids, instead of by its own name.")] = "",
    moved: Annotated[bool, typer.Option("--moved", help="Take over the documents of a folder that was moved.")] = False,
    remove: Annotated[
        bool, typer.Option("--delete/--no-delete", help="Remove documents of files that are gone.")
    ] = True,
    watching: Annotated[bool, typer.Option("--watch", help="Go on, following every change.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
    wait: Annotated[bool, typer.Option(help="Wait until everything can be found.")] = True,
    file_timeout: Annotated[float, typer.Option(min=0.1, help="Seconds that reading one file may take.")] = 60.0,
    file_memory: Annotated[int, typer.Option(min=16, help="MiB of memory that reading one file may take.")] = 1_024,
    file_size: Annotated[int, typer.Option(min=1, help="MiB that a file may have, unpacked if it is packed.")] = 1_024,
    workers: Annotated[int, typer.Option(min=0, help="Files read side by side; 0 for one a processor.")] = 0,
    json: Json = False,
) -> None:
    """Writes the documents in files to a collection, which is created if need be, and removes those that are gone.

    What is acknowledged is safe at once. Run it again after an interruption: files that have not changed are not read.
    """
    readers = installed_readers()
    if not readers:
        fail("no reader is installed", ExitCode.CONFIGURATION, "pip install 'tamis[readers]'")
    roots = _roots(paths, name)
    choice = Choice(readers.keys(), tuple(include or ()), tuple(exclude or ()))
    plan = Plan(collection, roots, choice, readers, remove, moved, dry_run, wait, language)
    limits = Limits(file_timeout, file_memory * _MIB, file_size * _MIB)
    with failures(address), Client(address, tenant=tenant) as client, Workers(limits, workers or None) as reading:
        if watching:
            _watch(plan, client, reading, json)
            return
        outcome = _pass(plan, client, reading, None, json)
    if outcome.unreadable:
        raise typer.Exit(ExitCode.INCOMPLETE)


def _roots(paths: Sequence[Path], name: str) -> tuple[Root, ...]:
    if name and len(paths) > 1:
        fail("--name is for one path at a time", ExitCode.USAGE)
    roots = list(dict.fromkeys(Root.of(each, name) for each in paths))
    twice = [each for each, count in Counter(root.name for root in roots).items() if count > 1]
    if twice:
        fail(f"two of the paths are called {twice[0]!r}", ExitCode.USAGE, "index them one at a time, with --name")
    return tuple(roots)


def _pass(plan: Plan, client: Client, workers: Workers, only: Sequence[Path] | None, json: bool) -> Outcome:
    started = time.monotonic()
    try:
        with bars(quiet=json) as progress:
            outcome = IndexRun(plan, client, workers, only).run(progress)
    except Clash as clash:
        hints = ("to keep both, give this one another name: --name", "if the folder was moved: --moved")
        fail(str(clash), ExitCode.REFUSED, *hints)
    _report(outcome, plan, time.monotonic() - started, json, is_followup=only is not None)
    return outcome


def _watch(plan: Plan, client: Client, workers: Workers, json: bool) -> None:
    def run(only: Sequence[Path] | None) -> None:
        _pass(plan, client, workers, only, json)

    with stoppable() as stop, contextlib.suppress(KeyboardInterrupt):
        watch(plan.roots, run, stop)
    if not json:
        console.print("stopped", style="dim")


def _report(outcome: Outcome, plan: Plan, elapsed: float, json: bool, *, is_followup: bool) -> None:
    if json:
        print_json(_as_json(outcome, plan, elapsed))
        return
    for each in outcome.unreadable[:_MOST_SHOWN]:
        console.print(f"[yellow]not read:[/yellow] {each}", soft_wrap=True, highlight=False)
    if len(outcome.unreadable) > _MOST_SHOWN:
        console.print(f"[yellow]… and {len(outcome.unreadable) - _MOST_SHOWN:,} more; --json lists them all[/yellow]")
    if outcome.unreadable:
        console.print("[yellow]what was indexed of these before stays[/yellow]", soft_wrap=True, highlight=False)
    if outcome.unknown and not is_followup:
        kinds = sorted(outcome.unknown.items(), key=lambda entry: (-entry[1], entry[0]))
        shown = ", ".join(f"{suffix} {count:,}" for suffix, count in kinds[:_MOST_SHOWN])
        more = ", …" if len(kinds) > _MOST_SHOWN else ""
        total = sum(outcome.unknown.values())
        console.print(f"{total:,} files of other kinds left out: {shown}{more}", soft_wrap=True, style="dim")
    console.print(_summary(outcome, plan, elapsed), soft_wrap=True, highlight=False)


def _summary(outcome: Outcome, plan: Plan, elapsed: float) -> str:
    if plan.is_dry:
        return (
            f"[bold]{plan.collection}[/bold]: {outcome.written_count:,} files would be read, "
            f"{outcome.unchanged_count:,} documents are unchanged, {outcome.deleted_count:,} would be removed"
        )
    removed = f"{outcome.deleted_count:,} removed, " if outcome.deleted_count else ""
    return (
        f"[bold]{plan.collection}[/bold]: {outcome.written_count:,} documents written, "
        f"{outcome.unchanged_count:,} unchanged, {removed}{elapsed:.1f} s"
    )


def _as_json(outcome: Outcome, plan: Plan, elapsed: float) -> dict[str, object]:
    unreadable = [{"path": str(each.path), "line": each.line, "reason": each.reason} for each in outcome.unreadable]
    return {
        "collection": plan.collection,
        "file_count": outcome.file_count,
        "written_count": outcome.written_count,
        "unchanged_count": outcome.unchanged_count,
        "deleted_count": outcome.deleted_count,
        "sequence": outcome.sequence,
        "unreadable": unreadable,
        "unknown_suffixes": outcome.unknown,
        "is_dry_run": plan.is_dry,
        "elapsed_seconds": round(elapsed, 3),
    }
