"""Shows every family of rerankers over gRPC on the same candidates: what it costs, and what trained weights are worth.

    python benchmarks/families.py FOLDER [--families NAME] [--queries N] [--pairs N] [--work FOLDER] [--json FILE]

`FOLDER` is a judged collection, see `judged.read`. It is indexed once and asked once; then each family gets a server of
its own and orders the same candidates through `Rerank`. What is done is kept below `--work` and not done again.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Sequence
from dataclasses import astuple, replace
from pathlib import Path
from typing import Annotated, Any

import grpc
import judged
import structlog
import typer
from family_makings import NotInstalled
from family_record import Asked
from family_runs import RETRIEVAL, fingerprint, measured, retrieved
from family_server import Served
from family_table import FAMILIES, Family
from family_view import WIDTH, table
from pairs import MinimalPair, read_pairs
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tamis.errors import TamisError
from tamis.plugins.discovery import discover

ROOT = Path(__file__).parents[1]


async def compare(
    folder: Path,
    families: Sequence[Family],
    pairs: Sequence[MinimalPair],
    work: Path,
    *,
    count: int | None = None,
    retrieval: str = RETRIEVAL,
    progress: Progress | None = None,
) -> list[dict[str, Any]]:
    """A record of the retrievers, and of each family in its turn.

    That of a family that cannot be shown has `missing`, what is not installed, or `failed`, the reason.
    """
    shown = progress or Progress(disable=True)
    documents, queries = judged.read(folder, count)
    collection = f"judged-{fingerprint(files=_files(folder))}"
    task = shown.add_task("retrieval", total=len(queries) + len(pairs))
    async with Served.start(retrieval, work / "index") as served:
        asked, first = await retrieved(served, collection, documents, queries, pairs, lambda: shown.advance(task))
    found = [first]
    for family in families:
        key = fingerprint(astuple(family), count, pairs, collection, retrieval, files=_code())
        known = _kept(work, key)
        found.append(known or await _shown(family, collection, asked, pairs, work, shown, retrieval))
        if known is None and _is_whole(found[-1]):
            _keep(work, key, found[-1])
    return found


async def _shown(
    family: Family,
    collection: str,
    asked: Sequence[Asked],
    pairs: Sequence[MinimalPair],
    work: Path,
    shown: Progress,
    retrieval: str,
) -> dict[str, Any]:
    """Its record. Whatever goes wrong with one family is no reason not to show the next."""
    told = {"family": family.name, "weights": family.weights, "stages": []}
    if missing := family.plugins - {each.name for each in discover()}:
        return told | {"missing": f"plugin {', '.join(sorted(missing))}"}
    task = shown.add_task(family.name, total=len(asked[: family.queries]) + len(pairs) * family.compares)
    try:
        record = await measured(family, collection, asked, pairs, work, lambda: shown.advance(task), retrieval)
    except NotInstalled as error:
        return told | {"missing": str(error)}
    except grpc.aio.AioRpcError as error:
        return told | {"failed": f"{error.code().name}: {error.details()}"}
    except TamisError as error:
        return told | {"failed": str(error)}
    except Exception as error:
        return told | {"failed": f"{type(error).__name__}: {error}"}
    ranked = {outcome for stage in record["stages"] for outcome in stage["outcomes"]}
    return record if ranked & {"ran", "partial"} else record | {"failed": f"ranked nothing: {_reasons(record)}"}


def _reasons(record: dict[str, Any]) -> str:
    return ", ".join(sorted({reason for stage in record["stages"] for reason in stage["reasons"]}))


def _files(folder: Path) -> list[Path]:
    return [each for each in folder.rglob("*") if each.is_file()]


def _code() -> list[Path]:
    """All that a record depends on."""
    measuring = [ROOT / "benchmarks" / f"family_{name}.py" for name in ("makings", "record", "runs", "server")]
    return [*measuring, *(file for name in ("server", "plugins") for file in (ROOT / name).rglob("*.py"))]


def _is_whole(record: dict[str, Any]) -> bool:
    return not record.keys() & {"missing", "failed"}


def _kept(work: Path, key: str) -> dict[str, Any] | None:
    """What was kept under the key last. A line that was cut off counts as none."""
    path = work / "records.jsonl"
    for line in reversed(path.read_text(encoding="utf-8").splitlines() if path.exists() else []):
        try:
            kept = json.loads(line)
        except ValueError:
            continue
        if kept["key"] == key:
            record: dict[str, Any] = kept["record"]
            return record
    return None


def _keep(work: Path, key: str, record: dict[str, Any]) -> None:
    with (work / "records.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps({"key": key, "record": record}, ensure_ascii=False) + "\n")


def chosen(names: str) -> list[Family]:
    """The families whose name, or its part before the comma, is among `names`; all without any."""
    wanted = [each.strip() for each in names.split(",") if each.strip()]
    known = {name for each in FAMILIES for name in (each.name, each.name.split(",")[0])}
    if unknown := set(wanted) - known:
        raise typer.BadParameter(f"{sorted(unknown)} are none of {sorted(known)}")
    return [each for each in FAMILIES if not wanted or {each.name, each.name.split(",")[0]} & set(wanted)]


def main(
    folder: Annotated[Path, typer.Argument(help="A judged collection.", exists=True, file_okay=False)],
    families: Annotated[str, typer.Option(help="Some of them, divided by commas.")] = "",
    queries: Annotated[int | None, typer.Option(help="At most so many, the same each time.")] = None,
    pairs: Annotated[int | None, typer.Option(help="At most so many minimal pairs of each kind.")] = None,
    work: Annotated[Path, typer.Option(help="Where index, model and records are kept.")] = Path(".families"),
    as_json: Annotated[Path | None, typer.Option("--json", help="Write the records to this file, too.")] = None,
) -> None:
    """Prints one table. The exit code is 1 when a family failed, or one asked for by name is not installed."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))  # one table, no log
    work.mkdir(parents=True, exist_ok=True)
    some = chosen(families)
    if queries is not None:
        some = [replace(each, queries=min(queries, each.queries or queries)) for each in some]
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        run = compare(folder, some, read_pairs(pairs), work.resolve(), count=queries, progress=progress)
        found = asyncio.run(run)
    if as_json is not None:
        as_json.write_text(json.dumps(found, indent=1, ensure_ascii=False), encoding="utf-8")
    Console(width=WIDTH).print(table(found))
    failed = [each for each in found if "failed" in each or (families and "missing" in each)]
    raise typer.Exit(1 if failed else 0)


if __name__ == "__main__":
    typer.run(main)
