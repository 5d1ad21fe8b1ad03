"""Measures all rows in turns, in the time there is: A B C, A B C, so that whatever drifts hits all of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from peers.pairs import CANDIDATES
from peers.processes import Failed, Runner
from peers.rows import OURS, REFERENCE, Row

__all__ = ["FULL", "QUICK", "Plan", "Turns", "measure"]

_LEAST = 1
"""Queries of a pass, however slow a row is."""
_WARMING = 10
"""Candidates of the query that warms a row."""
_OPENING = 0.6
"""Of the time there is, until when rows are started: what is not measured by then says so."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured. `seconds` is for all of it from the start on; None takes as long as it takes.

    Queries are divided among the passes when there is little time, and repeated in every pass when there is enough.
    """

    name: str
    passes: int
    seconds: float | None
    concurrencies: tuple[int, ...] = (8, 32)
    repeats: bool = False


QUICK = Plan("bench", passes=2, seconds=560.0)
FULL = Plan("bench-full", passes=3, seconds=None, repeats=True)


class Turns:
    """Which queries which row gets in a pass. A pure function of what is known, so that it can be tested.

    The reference and ours get twice the time of any other, so that what is compared with them has been asked of them.
    """

    def __init__(self, plan: Plan, query_count: int, left: float | None, seconds_each: Mapping[str, float]) -> None:
        """`left` are the seconds for passes at concurrency 1, `seconds_each` what a query takes in each row."""
        self._plan, self._count = plan, query_count
        self._each = seconds_each
        self._first = {REFERENCE, OURS} & seconds_each.keys()
        self._share = None if left is None else left / max(1, len(seconds_each) + len(self._first))

    def queries(self, row: str, number: int) -> list[int]:
        """Of pass `number`, spread over all of them; those of a row with fewer are among those of one with more."""
        plan = self._plan
        part = list(range(self._count)) if plan.repeats else list(range(number, self._count, plan.passes))
        if self._share is None:
            return part
        share = self._share * (2 if row in self._first else 1)
        affordable = int(share / plan.passes / max(self._each[row], 1e-9))
        return spread(part)[: max(_LEAST, affordable)]


def spread(numbers: Sequence[int]) -> list[int]:
    """In an order in which the first few of them, however many, lie far apart: by halves of halves."""
    bits = max(1, (len(numbers) - 1).bit_length())
    order = (int(f"{place:0{bits}b}"[::-1], 2) for place in range(1 << bits))
    return [numbers[place] for place in order if place < len(numbers)]


def measure(
    rows: Sequence[Row],
    started: Callable[[Row], Runner],
    plan: Plan,
    query_count: int,
    until: float | None,
    told: Callable[[str], None],
) -> dict[str, dict[str, Any]]:
    """For each row either `failed`, or `ready`, `load_seconds`, `loaded_bytes` and its `passes` at each concurrency.

    `until`, on the monotonic clock, is when the measuring must have ended.
    """
    found: dict[str, dict[str, Any]] = {}
    runners: dict[str, Runner] = {}
    try:
        each = _opened(rows, started, found, runners, until, told)
        _alone(runners, Turns(plan, query_count, _share(until), each), plan, found, until, told)
        _together(runners, plan, query_count, found, until, told)
    finally:
        for runner in runners.values():
            runner.close()
    return found


def _share(until: float | None) -> float | None:
    """Half of what is left; the rest is for queries side by side."""
    return None if until is None else max(0.0, until - time.monotonic()) / 2


def _opened(
    rows: Sequence[Row],
    started: Callable[[Row], Runner],
    found: dict[str, dict[str, Any]],
    runners: dict[str, Runner],
    until: float | None,
    told: Callable[[str], None],
) -> dict[str, float]:
    """Starts and warms every row by a short query; from it the seconds of a whole one, rather too many."""
    seconds = {}
    begun = time.monotonic()
    for row in rows:
        if until is not None and time.monotonic() > begun + _OPENING * (until - begun):
            _drop(row.name, "no time left; make bench-full measures it", found, runners)
            continue
        told(f"{row.name}: starting")
        try:
            runner = started(row)
            runners[row.name] = runner
            seconds[row.name] = runner.ask([0], 1, _WARMING)["seconds"] * CANDIDATES / _WARMING
        except Failed as error:
            _drop(row.name, str(error), found, runners)
            continue
        found[row.name] = {
            "ready": runner.ready,
            "load_seconds": runner.load_seconds,
            "loaded_bytes": runner.loaded_bytes,
            "passes": [],
        }
    return seconds


def _alone(
    runners: dict[str, Runner],
    turns: Turns,
    plan: Plan,
    found: dict[str, Any],
    until: float | None,
    told: Callable[[str], None],
) -> None:
    for number in range(plan.passes):
        if number and until is not None and time.monotonic() > until:
            return
        for name in list(runners):
            told(f"{name}: pass {number + 1} of {plan.passes}")
            _pass(name, turns.queries(name, number), 1, found, runners)


def _together(
    runners: dict[str, Runner],
    plan: Plan,
    query_count: int,
    found: dict[str, Any],
    until: float | None,
    told: Callable[[str], None],
) -> None:
    """As many queries as are asked at a time, three times as many with enough time; what does not fit is left out."""
    for name in _by_importance(runners, until):
        for concurrency in plan.concurrencies:
            count = concurrency * (3 if plan.repeats else 1)
            expected = count * _seconds_each(found[name])
            if until is None or time.monotonic() + expected < until:
                told(f"{name}: {concurrency} at a time")
                _pass(name, [number % query_count for number in range(count)], concurrency, found, runners)


def _by_importance(runners: Mapping[str, Runner], until: float | None) -> list[str]:
    """What takes requests side by side, in the order of the table; with enough time then the rest."""
    served = [name for name, runner in runners.items() if runner.row.served]
    return served if until is not None else [*served, *(name for name in runners if name not in served)]


def _pass(name: str, queries: list[int], concurrency: int, found: dict[str, Any], runners: dict[str, Runner]) -> None:
    try:
        answer = runners[name].ask(queries, concurrency)
    except Failed as error:
        if concurrency == 1:
            _drop(name, str(error), found, runners)
        else:
            found[name].setdefault("failed_at", {})[str(concurrency)] = str(error)
        return
    found[name]["passes"].append({"concurrency": concurrency, **answer})


def _drop(name: str, reason: str, found: dict[str, Any], runners: dict[str, Runner]) -> None:
    found[name] = {"failed": reason}
    if name in runners:
        runners.pop(name).close()


def _seconds_each(row: Mapping[str, Any]) -> float:
    passes = [each for each in row["passes"] if each["concurrency"] == 1]
    return float(sum(each["seconds"] for each in passes) / max(1, sum(len(each["latencies"]) for each in passes)))
