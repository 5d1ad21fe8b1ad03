"""Exact points at which a process kills itself: functions of engines, wrapped from outside before the server starts."""

from __future__ import annotations

import inspect
import json
import os
import signal
import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

__all__ = ["WHEN", "Death", "check", "encoded", "install", "install_in_worker"]

When = Literal["before", "during", "after"]
WHEN: tuple[When, ...] = get_args(When)
_COMMITS = ("journal.commit", "tantivy.commit", "tokens.commit")


@dataclass(frozen=True)
class Death:
    """Dies at the `count`-th call of `point`: `before` it, `after` it, or `during`: `delay` seconds after it began.

    A point is a call of an engine's, a method of ours, or how a statement to SQLite begins; behind the word COMMIT, the
    end of that statement's transaction. Those of the embedded Qdrant are counted in each of its processes; `whole` has
    one take its server with it.
    """

    point: str
    when: When = "before"
    count: int = 1
    delay: float = 0.0005
    whole: bool = True

    def __str__(self) -> str:
        return f"{self.when} {self.point}"


class _Countdown:
    def __init__(self, death: Death) -> None:
        self._death, self._left = death, death.count
        self._process, self._server = os.getpid(), os.getppid()

    def around(self, work: Callable[[], Any]) -> Any:
        self._left -= 1
        if self._left:
            return work()
        match self._death.when:
            case "before":
                self._die()
            case "during":  # not of its own doing, whatever holds the interpreter's lock
                self._die_later()
                work()
                signal.pause()
            case "after":
                work()
                self._die()
        raise AssertionError("died")

    def _die(self) -> None:
        if self._takes_server:
            os.kill(self._server, signal.SIGKILL)
        os.kill(self._process, signal.SIGKILL)

    def _die_later(self) -> None:
        """An alarm ends this process alone."""
        if not self._takes_server:
            signal.setitimer(signal.ITIMER_REAL, self._death.delay)
        elif os.fork() == 0:
            time.sleep(self._death.delay)
            os.kill(self._server, signal.SIGKILL)
            os.kill(self._process, signal.SIGKILL)
            os._exit(0)

    @property
    def _takes_server(self) -> bool:
        return self._death.point.startswith("worker.") and self._death.whole


def encoded(deaths: Sequence[Death]) -> str:
    """For the environment of a worker."""
    return json.dumps([asdict(each) for each in deaths])


def install(deaths: Sequence[Death]) -> None:
    """In the server's process, before it starts. Raises `LookupError` for a point that is no place of today's code."""
    check(deaths)
    counted = {each.point: _Countdown(each) for each in deaths if not each.point.startswith("worker.")}
    if counted:
        _wrap_sqlite(counted)
        _wrap_tantivy(counted)
        _wrap_methods(counted)


def check(deaths: Sequence[Death]) -> None:
    """Raises `LookupError` for a point that is no place of today's code. Statements are not looked up."""
    import qdrant_edge

    known = {*_COMMITS, *(f"worker.{each}" for each in vars(qdrant_edge.EdgeShard))}
    known |= {f"{kind.__name__}.{each}" for kind in _kinds() for each in vars(kind)}
    if unknown := [each.point for each in deaths if " " not in each.point and each.point not in known]:
        raise LookupError(f"no such points: {unknown}")


def install_in_worker(text: str) -> None:
    """In a process of the embedded Qdrant: wraps its engine."""
    counted = {each.point: _Countdown(each) for each in (Death(**it) for it in json.loads(text))}
    counted = {point: each for point, each in counted.items() if point.startswith("worker.")}
    if not counted:
        return
    import qdrant_edge

    real = qdrant_edge.EdgeShard

    class Shard:
        """The engine's shard, with the calls counted."""

        def __init__(self, shard: Any) -> None:
            self._shard = shard

        @staticmethod
        def load(*given: Any) -> Shard:
            return Shard(_around(counted.get("worker.load"), real.load)(*given))

        @staticmethod
        def create(*given: Any) -> Shard:
            return Shard(_around(counted.get("worker.create"), real.create)(*given))

        def __getattr__(self, name: str) -> Any:
            return _around(counted.get(f"worker.{name}"), getattr(self._shard, name))

    qdrant_edge.EdgeShard = Shard


def _wrap_sqlite(counted: dict[str, _Countdown]) -> None:
    """`journal.commit` and `tokens.commit`, a transaction of that file's end; and statements."""
    real = sqlite3.connect
    statements = {point: each for point, each in counted.items() if " " in point}

    def connect(path: Any, *given: Any, **named: Any) -> sqlite3.Connection:
        commits = counted.get(f"{os.path.basename(path).partition('.')[0]}.commit")
        if commits is None and not statements:
            return real(path, *given, **named)

        class Counted(sqlite3.Connection):
            _at_commit = commits

            def execute(self, statement: str, *values: Any) -> Any:  # type: ignore[override]
                run, countdown = super().execute, self._at_commit if statement == "COMMIT" else None
                for point, each in statements.items():
                    if statement.startswith(point):
                        countdown = each
                    elif statement.startswith(point.removeprefix("COMMIT ")):
                        self._at_commit = each
                return (
                    run(statement, *values) if countdown is None else countdown.around(lambda: run(statement, *values))
                )

            def __exit__(self, *error: Any) -> Any:
                leave = super().__exit__
                return leave(*error) if commits is None else commits.around(lambda: leave(*error))

        return real(path, *given, factory=Counted, **named)

    sqlite3.connect = connect  # type: ignore[assignment]


def _wrap_tantivy(counted: dict[str, _Countdown]) -> None:
    """`tantivy.commit`: the engine's own."""
    countdown = counted.get("tantivy.commit")
    if countdown is None:
        return
    import tantivy

    real = tantivy.Index

    class Writer:
        def __init__(self, writer: Any) -> None:
            self._writer = writer

        def commit(self) -> Any:
            return countdown.around(self._writer.commit)

        def __getattr__(self, name: str) -> Any:
            return getattr(self._writer, name)

    class Index:
        def __init__(self, *given: Any, **named: Any) -> None:
            self._index = real(*given, **named)

        def writer(self, *given: Any) -> Writer:
            return Writer(self._index.writer(*given))

        def __getattr__(self, name: str) -> Any:
            return getattr(self._index, name)

    tantivy.Index = Index


def _around(countdown: _Countdown | None, work: Callable[..., Any]) -> Callable[..., Any]:
    return work if countdown is None else lambda *given: countdown.around(lambda: work(*given))


def _kinds() -> Sequence[type]:
    from tamis.indexes import Indexes
    from tamis_qdrant.embedded.index import EmbeddedIndex
    from tamis_qdrant.embedded.missed import Missed
    from tamis_qdrant.server.collection import ServerCollection
    from tamis_qdrant.server.index import ServerIndex
    from tamis_tantivy.index import TantivyIndex
    from tamis_transformers.late_interaction.index import TokenIndex

    return (Indexes, EmbeddedIndex, Missed, ServerCollection, ServerIndex, TantivyIndex, TokenIndex)


def _wrap_methods(counted: dict[str, _Countdown]) -> None:
    """`POINT` is `Class.method`; coroutines know no `during`."""
    for kind in _kinds():
        for name in [each for each in vars(kind) if f"{kind.__name__}.{each}" in counted]:
            setattr(kind, name, _counted(getattr(kind, name), counted[f"{kind.__name__}.{name}"]))


def _counted(method: Callable[..., Any], countdown: _Countdown) -> Callable[..., Any]:
    if not inspect.iscoroutinefunction(method):
        return lambda *given, **named: countdown.around(lambda: method(*given, **named))

    async def wrapped(*given: Any, **named: Any) -> Any:
        countdown._left -= 1
        if countdown._left:
            return await method(*given, **named)
        if countdown._death.when == "after":
            await method(*given, **named)
        return countdown._die()

    return wrapped
