"""A point in time by which something must be finished, on the monotonic clock."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

__all__ = ["Deadline"]


@dataclass(frozen=True, slots=True, order=True)
class Deadline:
    """A fixed instant of `time.monotonic()`, in seconds; `math.inf` never passes.

    Deadlines are comparable: the smaller one passes first.
    """

    at: float = math.inf

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """The deadline `seconds` from now. A negative duration has already passed."""
        return cls(time.monotonic() + seconds)

    @property
    def remaining(self) -> float:
        """Seconds left, never negative; `math.inf` when there is no limit."""
        return max(0.0, self.at - time.monotonic())

    @property
    def passed(self) -> bool:
        """Whether no time is left."""
        return time.monotonic() >= self.at

    def earlier(self, seconds: float) -> Deadline:
        """The deadline `seconds` before this one."""
        return Deadline(self.at - seconds)

    def within(self, seconds: float) -> Deadline:
        """The sooner of this deadline and `seconds` from now; never later than this one."""
        return min(self, Deadline.after(seconds))
