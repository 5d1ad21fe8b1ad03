"""`tamis demo`: everything at once, on the documentation that every Python carries."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path
from typing import Annotated

import platformdirs
import typer
from rich.rule import Rule
from rich.text import Text

from tamis.cli.output import ExitCode, console, fail, failures
from tamis.cli.search import show
from tamis.cli.writing import Outcome, bars, wait, write
from tamis.client import Client
from tamis.ingest.pydocs import python_documentation
from tamis.wire.passages import from_document

__all__ = ["demo"]

_COLLECTION = "python-docs"
_QUESTIONS = (
    "How does a with statement make sure that __exit__ is called?",
    "How do I sort a list in descending order?",
    "What does the else clause of a loop do?",
)


def demo(
    question: Annotated[list[str] | None, typer.Argument(help="Your own questions instead of the three.")] = None,
    data_directory: Annotated[Path | None, typer.Option(help="Where the demo keeps its index.")] = None,
) -> None:
    """Starts a server, indexes the Python documentation on this machine, asks questions over gRPC.

    The first run embeds about 4,000 passages; later runs find them again.
    """
    directory = data_directory or Path(platformdirs.user_cache_dir("tamis")) / "demo"
    started = time.monotonic()
    with failures(), _server(directory) as address, Client(address) as client:
        console.print(f"A server listens on [bold]{address}[/bold].", highlight=False)
        outcome = Outcome()
        with bars(quiet=False) as progress:
            write(client, _COLLECTION, map(from_document, python_documentation()), outcome, progress)
            wait(client, _COLLECTION, outcome.sequence, progress)
        count = outcome.written_count + outcome.unchanged_count
        console.print(
            f"{count:,} documents: {outcome.written_count:,} indexed, {outcome.unchanged_count:,} already known.",
            highlight=False,
        )
        for each in question or _QUESTIONS:
            console.print()
            console.print(Rule(style="dim"))
            show(client, each, _COLLECTION, hits_shown=3, deadline=10)
    console.print()
    console.print(Rule(style="dim"))
    console.print(
        Text(f"Done in {time.monotonic() - started:.0f} s. Try your own: "), Text('make demo Q="…"', "bold"), end="\n"
    )


@contextlib.contextmanager
def _server(directory: Path) -> Generator[str, None, None]:
    """A server of its own in a process of its own, with its log beside its data."""
    directory.mkdir(parents=True, exist_ok=True)
    log = directory / "server.log"
    command = [sys.executable, "-m", "tamis.cli.app", "serve", "--listen", "127.0.0.1:0"]
    with log.open("w") as log_file:
        process = subprocess.Popen(
            [*command, "--data-directory", str(directory), "--log-format", "json"],
            stdout=subprocess.PIPE,
            stderr=log_file,
            text=True,
        )
        try:
            with console.status("starting the server, which loads the models …"):
                line = process.stdout.readline() if process.stdout else ""
            if not line.startswith("listening on "):
                tail = log.read_text().strip().splitlines()[-3:]
                fail("the server did not start", ExitCode.FAILED, *tail, f"its log: {log}")
            yield line.removeprefix("listening on ").strip()
        finally:
            process.terminate()
            process.wait(timeout=30)
