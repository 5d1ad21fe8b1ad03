"""`tamis index --watch`: one pass after another, each over what has changed since the one before."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

import grpc

from tamis.cli.output import console
from tamis.client import CallError
from tamis.ingest.files import Root

__all__ = ["stoppable", "watch"]

_QUIET_MILLISECONDS = 400  # a pass begins once nothing has changed for that long
_LONGEST_PAUSE = 30.0
_PASSING = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.CANCELLED)


@contextmanager
def stoppable() -> Generator[threading.Event, None, None]:
    """An event that SIGTERM sets, and that interrupts the main thread as Ctrl-C does."""
    stop = threading.Event()

    def interrupt(*_: object) -> None:
        stop.set()
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def watch(roots: Sequence[Root], run: Callable[[Sequence[Path] | None], None], stop: threading.Event) -> None:
    """Calls `run` for everything, then for each set of paths that have changed, until `stop` is set or interrupted.

    A run that finds no server, or a full one, is tried again, later and later up to half a minute.
    """
    from watchfiles import watch as changes_below

    folders = [each.path for each in roots]
    # Watching begins before the first pass, so that nothing that changes during it is missed.
    changes = changes_below(
        *folders, debounce=_QUIET_MILLISECONDS, stop_event=stop, yield_on_timeout=True, rust_timeout=200,
        raise_interrupt=True, ignore_permission_denied=True,
    )  # fmt: skip
    next(changes, None)
    _tried(run, None, stop)
    console.print("watching; stop with Ctrl-C", style="dim")
    for found in changes:
        if found:
            _tried(run, sorted({Path(path) for _, path in found}), stop)


def _tried(run: Callable[[Sequence[Path] | None], None], paths: Sequence[Path] | None, stop: threading.Event) -> None:
    pause = 0.5
    while not stop.is_set():
        try:
            run(paths)
            return
        except CallError as error:
            if error.code not in _PASSING:
                raise
            console.print(f"the server does not answer; trying again in {pause:g} s", style="yellow")
        stop.wait(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)
