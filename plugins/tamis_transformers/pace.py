"""How much a batch may hold, and how long work takes, learnt from the batches before."""

from __future__ import annotations

import math

__all__ = ["Pace", "is_shortage"]

_FIRST = 8  # what the first batch holds of the most, while nothing is known of how long it takes
_MORE = 1.002  # by what a batch for which there was memory raises the most again, so that it doubles in some 350
_MEMORY = 0.9  # how much an earlier batch counts beside a later one
_NO_MEMORY = "can't allocate memory"  # PyTorch has no type of its own for a processor's memory


class Pace:
    """A batch costs `most_cost` at most, padded, and where that takes longer than `batch_seconds`, as much as takes
    about so long; both at least one item. Where memory runs out it is half as much, and little by little more again:
    what took the memory may have gone. Not locked."""

    def __init__(self, most_cost: int, batch_seconds: float = math.inf) -> None:
        self._most: float = most_cost
        self._most_ever, self._seconds = most_cost, batch_seconds
        self._fitting = most_cost / (1 if math.isinf(batch_seconds) else _FIRST)
        self._done, self._took = 0.0, 0.0

    @property
    def batch_cost(self) -> int:
        """What the next batch may cost."""
        return max(1, int(min(self._most, self._fitting)))

    def took(self, padded: int, cost: int, seconds: float) -> None:
        """Learns from a batch: its cost with padding and without."""
        self._done = _MEMORY * self._done + cost
        self._took = _MEMORY * self._took + seconds
        if 2 * padded >= self._most:  # a smaller one says nothing of a larger one
            self._most = min(self._most_ever, _MORE * self._most)
        if math.isinf(self._seconds):
            return
        target = padded * self._seconds / max(seconds, 1e-9)
        if target > self._fitting:  # it may hold more, whatever a batch costs by itself
            self._fitting = min(self._most_ever, target, 2 * self._fitting)
        elif 2 * padded >= self._fitting:  # a smaller one would be no measure
            self._fitting = (self._fitting + target) / 2

    def ran_out(self, padded: int) -> None:
        """The next batches cost no more than half of one for which there was no memory."""
        self._most = max(1, min(self._most, padded // 2))

    def seconds(self, cost: float) -> float | None:
        """How long that much takes, by the latest batches; None before there were any."""
        return cost * self._took / self._done if self._done else None


def is_shortage(error: BaseException) -> bool:
    """Whether memory ran out, a device's or the machine's, so that half the work may fit. Imports no torch."""
    kinds = {each.__name__ for each in type(error).__mro__}
    return bool(kinds & {"MemoryError", "OutOfMemoryError"}) or _NO_MEMORY in str(error)
