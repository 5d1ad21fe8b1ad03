"""Draws a real search as a terminal shows it, at two moments: the first hits, and the end.

`PYTHONPATH=docs python -m website.terminal ADDRESS COLLECTION QUESTION PICTURE`
"""

from __future__ import annotations

import io
import re
import sys
import time
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.rule import Rule
from rich.text import Text

from tamis.cli.view import SearchView
from tamis.client import Client

WIDTH = 100
# rich's own picture loads its font from another host.
FORMAT = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL).replace(
    "Fira Code", "ui-monospace, SFMono-Regular, Menlo, Consolas, DejaVu Sans Mono"
)


def main(address: str, collection: str, question: str, picture: Path) -> None:
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, legacy_windows=False)
    console.print(Text.assemble(("$ ", "dim"), f'tamis search -C {collection} "{question}"'))
    with Client(address) as client:
        view = SearchView(question, hits_shown=3)
        for event in client.stream_search(collection, question, timeout=10):
            view.add(event)
            if event.HasField("hits_revised") and view.revision == 1:
                console.print(_moment(f"after {(time.monotonic() - view.started) * 1000:.0f} ms"))
                console.print(view)
        console.print()
        console.print(_moment(f"after {time.monotonic() - view.started:.1f} s"))
        console.print(view)
    picture.write_text(console.export_svg(title="tamis search", code_format=FORMAT, unique_id="search"))


def _moment(words: str) -> Rule:
    return Rule(Text(words, "bold cyan"), align="left", style="cyan")


if __name__ == "__main__":
    main(*sys.argv[1:4], Path(sys.argv[4]))
