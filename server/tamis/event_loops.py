"""Which event loops the server runs on: uvloop's where it is installed, whose turns and wake-ups cost about half."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Literal, TypeAlias

from tamis.errors import ConfigurationError

__all__ = ["EventLoopKind", "maker"]

EventLoopKind: TypeAlias = Literal["auto", "asyncio", "uvloop"]


def maker(kind: EventLoopKind) -> Callable[[], asyncio.AbstractEventLoop]:
    """What makes new loops. Raises `ConfigurationError` for uvloop where it is not installed."""
    if kind == "asyncio":
        return asyncio.new_event_loop
    try:
        import uvloop
    except ImportError:
        if kind == "auto":
            return asyncio.new_event_loop
        raise ConfigurationError('[server] event_loop: uvloop is not installed; pip install "tamis[uvloop]"') from None
    made: Callable[[], Any] = uvloop.new_event_loop
    return made
