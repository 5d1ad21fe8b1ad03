"""Puts the commands together."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated

import typer

from tamis.cli import (
    backup,
    batch,
    catalog,
    collections,
    compact,
    dead_letters,
    demo,
    doctor,
    documents,
    generations,
    index,
    plugin,
    plugin_serve,
    reindex,
    rerank,
    search,
    serve,
    verify,
)

__all__ = ["app", "main"]

_EXIT_CODES = """
Exit codes: 0 done · 1 failed · 2 wrong usage · 3 wrong configuration · 4 no server answers · 5 refused ·
6 done in part, some inputs could not be read · 130 interrupted.
"""

app = typer.Typer(
    name="tamis",
    help="Streamed, deadline-aware search and answers over gRPC, every part a plugin.",
    epilog=_EXIT_CODES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tamis {version('tamis')}")
        raise typer.Exit


@app.callback()
def _root(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options of the command itself."""


app.command()(serve.serve)
app.command()(index.index)
app.command()(search.search)
app.command()(search.ask)
app.command()(rerank.rerank)
app.command()(batch.batch)
plugin.app.command("serve")(plugin_serve.serve)
app.add_typer(plugin.app, name="plugin")
app.command("plugins", hidden=True)(plugin.list_plugins)
app.command()(catalog.pipelines)
app.command()(catalog.check)
app.command()(doctor.doctor)
app.add_typer(collections.app, name="collections")
app.command()(reindex.reindex)
app.add_typer(generations.app, name="generations")
app.command()(verify.verify)
app.command()(compact.compact)
app.command()(backup.backup)
app.command()(backup.restore)
app.add_typer(documents.app, name="documents")
app.add_typer(dead_letters.app, name="dead-letters")
app.command()(demo.demo)


def main() -> None:
    """The entry point."""
    app()


if __name__ == "__main__":
    main()
