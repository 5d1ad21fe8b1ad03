"""What a search looks like in a terminal."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from tamis.cli.view import SearchView
from tamis.v1 import passage_pb2, search_service_pb2

BOLD, END = "\x1b[1m", "\x1b[0m"


def _shown(hit: passage_pb2.Hit) -> str:
    view = SearchView("moon")
    revised = search_service_pb2.HitsRevised(revision=1, hits=[hit])
    view.add(search_service_pb2.StreamSearchResponse(hits_revised=revised))
    console = Console(file=StringIO(), force_terminal=True, color_system="standard", width=80)
    console.print(view)
    written = console.file
    assert isinstance(written, StringIO)
    return written.getvalue().replace(" ", "·")


def test_what_was_asked_for_is_bold_in_the_excerpt() -> None:
    snippet = "Über === dem Mond 🎹 und Monde"
    spans = [(snippet.encode().index(b"Mond "), 4), (snippet.encode().index(b"Monde"), 5)]
    marked = [passage_pb2.ByteSpan(start=start, end=start + size) for start, size in spans]
    shown = _shown(passage_pb2.Hit(passage=passage_pb2.Passage(id="a"), snippet=snippet, snippet_highlights=marked))
    assert f"{BOLD}Mond{END}" in shown
    assert f"{BOLD}Monde{END}" in shown
    assert "Über·dem·" in shown


def test_without_a_snippet_the_passage_is_shown_on_one_line() -> None:
    passage = passage_pb2.Passage(id="a", text="Title\n=====\n\nThe   [bold]moon[/bold]\n")
    assert "Title·The·[bold]moon[/bold]" in _shown(passage_pb2.Hit(passage=passage))


def test_an_index_that_was_behind_is_named_below_the_hits() -> None:
    view = SearchView("moon")
    progress = [
        search_service_pb2.IndexProgress(stage="dense", applied_sequence=1, lag_count=39),
        search_service_pb2.IndexProgress(stage="bm25", applied_sequence=40),
    ]
    completed = search_service_pb2.Completed(index_progress=progress)
    view.add(search_service_pb2.StreamSearchResponse(completed=completed))
    console = Console(file=StringIO(), width=80)
    with console.capture() as shown:
        console.print(view)
    assert "the index of dense was 39 changes behind" in shown.get()
    assert "bm25 was" not in shown.get()
