"""One model computes on a device at a time, whichever queue it belongs to."""

from __future__ import annotations

import threading
from typing import Protocol

from tamis_transformers.checkpoint import device as device_of
from tamis_transformers.line import Line

__all__ = ["Slot", "Worker", "slot_of"]


class Worker(Protocol):
    """A thread that computes for those who wait for it."""

    @property
    def urgency(self) -> float:
        """The earliest deadline of what waits, on the monotonic clock. Asked from any thread."""
        ...


class Slot:
    """What workers take for each batch or token, and give back after it: the most urgent one next, none starved."""

    def __init__(self) -> None:
        self._line: Line[Worker] = Line()
        self._holder: Worker | None = None
        self._changed = threading.Condition()

    def take(self, worker: Worker) -> None:
        """Returns when it is this worker's turn."""
        with self._changed:
            self._line.join(worker)
            self._assign()
            while self._holder is not worker:
                self._changed.wait()

    def give(self, worker: Worker, *, has_more: bool) -> None:
        """Ends the turn. A worker that has more is in line for the next one already, and must take it."""
        with self._changed:
            self._holder = None
            if not has_more:
                self._line.leave(worker)
            self._assign()
            self._changed.notify_all()

    def _assign(self) -> None:
        if self._holder is None:
            self._holder = self._line.next(lambda each: each.urgency)


_SLOTS: dict[str, Slot] = {}
_LOCK = threading.Lock()


def slot_of(device: str) -> Slot:
    """The slot of a device of this process, named as the settings do: the same for all who ask, since what they share
    is the device itself. Blocks. Raises `ConfigurationError` for a device that is not here."""
    found = device_of(device)
    name = str(found) if found.index is not None or found.type == "cpu" else f"{found.type}:0"
    with _LOCK:
        return _SLOTS.setdefault(name, Slot())
