"""Runs work side by side, a bounded number at once, and leaves nothing running."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from typing import Any, TypeVar

__all__ = ["as_they_come", "together"]

T = TypeVar("T")
S = TypeVar("S")


async def together(first: Awaitable[T], second: Awaitable[S]) -> tuple[T, S]:
    """What both give. When one fails the other ends first, then the failure is raised."""
    one: Any
    other: Any
    one, other = await asyncio.gather(first, second, return_exceptions=True)
    for each in (one, other):
        if isinstance(each, BaseException):
            raise each
    return one, other


async def as_they_come(works: Iterable[Callable[[], Awaitable[T]]], at_once: int) -> AsyncGenerator[T, None]:
    """What each gives, as it comes; begun in order, at most `at_once` at a time.

    After a failure none is begun any more; it is raised when those under way have been waited for and given. Closing
    cancels them.
    """
    waiting = iter(works)
    running: list[asyncio.Future[T]] = []
    failure: BaseException | None = None
    try:
        while True:
            while failure is None and len(running) < at_once and (work := next(waiting, None)) is not None:
                running.append(asyncio.ensure_future(work()))
            if not running:
                break
            await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            done = [each for each in running if each.done()]
            running = [each for each in running if not each.done()]
            failures = [each.exception() for each in done]
            failure = failure or next((each for each in failures if each is not None), None)
            for each, failed in zip(done, failures, strict=True):
                if failed is None:
                    yield each.result()
        if failure is not None:
            raise failure
    finally:
        for each in running:
            each.cancel()
        await asyncio.gather(*running, return_exceptions=True)
