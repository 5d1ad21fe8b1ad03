"""Long work on an event loop that others wait for."""

from __future__ import annotations

import asyncio

from tamis.deadline import Deadline

__all__ = ["Pauses"]

_TURN = 0.005  # seconds


class Pauses:
    """Lets others have their turn every few milliseconds, and a time limit or a cancellation take effect."""

    def __init__(self, turn: float = _TURN) -> None:
        self._turn = turn
        self._over = Deadline.after(turn)

    async def take(self) -> None:
        """Call between the steps of the work; returns at once unless a pause is due."""
        if self._over.passed:
            await asyncio.sleep(0)
            self._over = Deadline.after(self._turn)
