"""`tamis backup` and `tamis restore`: the journal in one file, taken while the server serves."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from tamis.cli.options import ConfigFile, Json, configured
from tamis.cli.output import console, failures, notices, print_json
from tamis.errors import FailedPrecondition

if TYPE_CHECKING:
    from tamis.journal.backup import Told

__all__ = ["backup", "restore"]

_PAGE_BYTES = 4_096
Folder = Annotated[
    Path | None, typer.Option("--data-directory", "-D", help="Where the journal is; else the configuration says.")
]


def backup(
    destination: Annotated[Path, typer.Argument(help="The file to write; it must not exist.")],
    data_directory: Folder = None,
    config: ConfigFile = None,
    with_embeddings: Annotated[bool, typer.Option(help="Also the vectors that embedders keep (`stored`).")] = False,
    json: Json = False,
) -> None:
    """Writes all collections into one file, as they are at one moment; the server may go on serving and writing.

    Everything that was acknowledged before is in it. Indexes are not: they are built anew from it.
    """
    from tamis.embeddings import FILE  # here, so that what only calls a server begins sooner
    from tamis.journal.backup import back_up

    with failures():
        folder = _folder(data_directory, config)
        with _progress("backing up") as told:
            made = back_up(folder, destination, embeddings=folder / FILE if with_embeddings else None, told=told)
    if json:
        print_json({"path": str(destination), **asdict(made)})
        return
    console.print(
        f"wrote {destination}: {made.collection_count:,} collections, {made.document_count:,} documents, "
        f"{made.byte_count:,} bytes",
        soft_wrap=True,
    )


def restore(
    backup: Annotated[Path, typer.Argument(help="A file that `tamis backup` wrote.")],
    data_directory: Folder = None,
    config: ConfigFile = None,
    force: Annotated[bool, typer.Option("--force", help="Put it in the place of the journal that is there.")] = False,
    json: Json = False,
) -> None:
    """Puts a backup into a data directory that no server uses; its indexes are built anew at the next start."""
    from tamis.embeddings import FILE
    from tamis.journal.backup import restore as put_back

    with failures():
        folder = _folder(data_directory, config)
        with _progress("restoring") as told:
            found = put_back(backup, folder, force=force, embeddings=folder / FILE, told=told)
    if json:
        print_json({"data_directory": str(folder), **asdict(found)})
        return
    console.print(
        f"restored {found.collection_count:,} collections with {found.document_count:,} documents to {folder}; "
        "start the server and it builds their indexes",
        soft_wrap=True,
    )


def _folder(data_directory: Path | None, config: Path | None) -> Path:
    if data_directory is not None:
        return data_directory
    loaded = configured(config, None)
    if loaded.journal.url is not None:
        raise FailedPrecondition("the journal is in PostgreSQL; its own tools (pg_dump, pg_restore) back it up")
    return loaded.server.data_directory


@contextmanager
def _progress(doing: str) -> Generator[Told, None, None]:
    columns = (TextColumn(doing), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=notices, transient=True, disable=not notices.is_terminal) as shown:
        task = shown.add_task(doing, total=None)
        yield lambda done, pages: shown.update(task, completed=done * _PAGE_BYTES, total=pages * _PAGE_BYTES)
