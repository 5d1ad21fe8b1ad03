"""What stands below the hits: indexes that were behind, a better spelling, counts of fields, the next page."""

from __future__ import annotations

from collections.abc import Iterator

from rich.bar import Bar
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from tamis.v1 import search_service_pb2 as pb
from tamis.v1 import value_pb2

__all__ = ["below"]

_BAR_WIDTH = 24


def below(completed: pb.Completed, *, is_paged: bool) -> Iterator[RenderableType]:
    """Nothing at all where there is nothing to say; `is_paged` says that whoever looks can ask for the next page."""
    for each in completed.index_progress:
        if each.lag_count:
            changes = "change" if each.lag_count == 1 else "changes"
            yield Text(f"\nthe index of {each.stage} was {each.lag_count:,} {changes} behind", "yellow")
    if completed.suggested_query:
        yield Text.assemble("\nDid you mean: ", (completed.suggested_query, "bold cyan"))
    for facet in completed.facets:
        yield Text.assemble(
            (f"\n{facet.field}", "bold"),
            (f"  {facet.value_count:,} values in {facet.document_count:,} documents", "dim"),
        )
        yield _counts(facet)
    if is_paged and completed.next_page_token:
        yield Text(f"\nnext page: --page {completed.next_page_token}", "dim")


def _counts(facet: pb.Facet) -> Table:
    table = Table.grid(padding=(0, 1))
    table.add_column(justify="right", max_width=40, no_wrap=True, overflow="ellipsis")
    table.add_column(width=_BAR_WIDTH)
    table.add_column(justify="right")
    most = max((each.document_count for each in facet.counts), default=1)
    for each in facet.counts:
        bar = Bar(most, 0, each.document_count, width=_BAR_WIDTH, color="cyan")
        table.add_row(Text(_text(each.value)), bar, f"{each.document_count:,}")
    return table


def _text(value: value_pb2.Value) -> str:
    kind = value.WhichOneof("kind")
    if kind == "timestamp_value":
        return value.timestamp_value.ToJsonString()
    return str(getattr(value, kind)) if kind else ""
