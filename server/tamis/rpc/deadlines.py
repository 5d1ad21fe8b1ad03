"""The budget of a call: its gRPC deadline, less what the response needs to arrive."""

from __future__ import annotations

import time
from typing import Any

from tamis.config import ServerConfig
from tamis.deadline import Deadline
from tamis.errors import DeadlineExceeded

__all__ = ["Margin", "deadline_of"]

_WAY_SHARE = 0.2  # of a short deadline, kept back for the network
_MOST_SHARE = 0.5  # kept back in all
_MOST_SECONDS = 0.5
_CLIP, _STEP = 2.0, 0.01  # a call counts as no later than that: one that hung says nothing of the next
_RISE, _FALL = 0.5, 0.02  # of the distance: about one call in thirty is later than what is kept back


def deadline_of(context: Any, config: ServerConfig) -> Deadline:
    """By when a call that waits must be answered; the configured default without a deadline. Raises
    `DeadlineExceeded`."""
    remaining = context.time_remaining()
    if remaining is None:
        return Deadline.after(config.default_deadline)
    if remaining <= config.deadline_margin:
        raise DeadlineExceeded("the deadline leaves no time to answer")
    return Deadline.after(remaining - config.deadline_margin)


class Margin:
    """What is kept back of each deadline: for the way, and for what still happens once the budget has ended, which is
    learnt from the calls that used all of theirs. That is fusing, writing, and waiting for a busy processor."""

    def __init__(self, config: ServerConfig) -> None:
        self._config = config
        self.lateness = 0.002
        """Seconds after the end of its budget until nearly every call has ended, as far as has been seen."""

    def deadline_of(self, context: Any) -> Deadline:
        """By when the call must be answered; the configured default without a deadline. Raises `DeadlineExceeded` only
        when the caller has stopped waiting."""
        remaining = context.time_remaining()
        if remaining is None:
            return Deadline.after(self._config.default_deadline)
        if remaining <= 0:
            raise DeadlineExceeded("the deadline leaves no time to answer")
        deadline = Deadline.after(remaining - self.kept(remaining))
        context.add_done_callback(lambda _: self.ended(deadline))
        return deadline

    def kept(self, remaining: float) -> float:
        """What is kept back of so many seconds."""
        way = min(self._config.deadline_margin, _WAY_SHARE * remaining)
        return min(way + self.lateness, _MOST_SHARE * remaining)

    def ended(self, deadline: Deadline) -> None:
        """Learns from a call that has ended just now. One that did not use all of its budget tells nothing."""
        late = time.monotonic() - deadline.at
        if late >= 0:
            late = min(late, _CLIP * self.lateness + _STEP)
            share = _RISE if late > self.lateness else _FALL
            self.lateness = min(_MOST_SECONDS, self.lateness + share * (late - self.lateness))
