"""Lists that come page by page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

__all__ = ["pages"]

Page = TypeVar("Page")


def pages(call: Callable[[Any], Page], request: Any) -> Iterator[Page]:
    """Every page that a list call gives, from the one that `request` asks for; its `page_token` changes on the way."""
    while True:
        page: Any = call(request)
        yield page
        if not page.next_page_token:
            return
        request.page_token = page.next_page_token
