"""Samples a stream of which only the newest item counts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TypeVar

__all__ = ["newest"]

T = TypeVar("T")


async def newest(source: AsyncGenerator[T, None], *, pause: float) -> AsyncGenerator[T, None]:
    """Items of `source` at most every `pause` seconds, each the newest by then. The last one is always among them,
    also where the source fails after it."""
    waiting: list[T] = []
    come = asyncio.Event()
    is_over = False

    async def take() -> None:
        nonlocal is_over
        try:
            async with aclosing(source) as items:
                async for item in items:
                    waiting[:] = [item]
                    come.set()
        finally:
            is_over = True
            come.set()

    taking = asyncio.ensure_future(take())
    try:
        while True:
            await come.wait()
            come.clear()
            ends = is_over
            if waiting:
                yield waiting.pop()
            if ends:
                break
            await asyncio.wait((taking,), timeout=pause)
        await taking
    finally:
        taking.cancel()
        await asyncio.gather(taking, return_exceptions=True)
