"""What waits for a model, so kept that choosing a batch looks at little more than what it takes."""

from __future__ import annotations

import asyncio
from bisect import bisect_right, insort
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Generic, TypeAlias, TypeVar

from tamis.context import Call, Usage
from tamis.deadline import Deadline
from tamis_transformers.line import Line

__all__ = ["Job", "Request", "Told", "Waiting", "expected"]

Item = TypeVar("Item")
Told: TypeAlias = tuple[Sequence[tuple[int, Any]], Usage]
"""Positions with their outcomes, and what they took."""
_NEVER = Deadline()
_WINDOW = 32
_LIKE = 16  # by so much a longer item costs those beside it less than a batch of its own


@dataclass(eq=False, slots=True)
class Job(Generic[Item]):
    """One item of a request."""

    item: Item
    cost: int
    position: int
    request: Request[Item] = field(repr=False)
    window: dict[Job[Item], None] = field(default_factory=dict, repr=False)


class Request(Generic[Item]):
    """The items of one call that belong together, and how to tell whoever waits for them.

    Who has a deadline sends the most important items first, and gets them back so, by the window; work without one is
    free to be sorted by length, as far as it is there. `work` is what they have taken since the last that was told;
    `expected_count` of them are announced, and not here yet.
    """

    def __init__(self, call: Call, expected_count: int = 0) -> None:
        """On the loop that waits."""
        self.call, self.expected_count = call, expected_count
        self.loop = asyncio.get_running_loop()
        self.results: asyncio.Queue[Told] = asyncio.Queue()
        self.work = Usage()
        self.is_wanted = True
        self.windows: deque[dict[Job[Item], None]] = deque()
        self._count = 0

    @property
    def is_active(self) -> bool:
        """Whether somebody waits for what comes of it."""
        return self.is_wanted and self.call.active

    def jobs(self, items: Sequence[Item], costs: Sequence[int]) -> list[Job[Item]]:
        """Makes jobs of further items. Raises `ValueError` unless there is a cost for each."""
        made = [
            Job(item, cost, at, self) for at, (item, cost) in enumerate(zip(items, costs, strict=True), self._count)
        ]
        self._count += len(made)
        if self.call.deadline == _NEVER:
            waiting = [*self.windows.pop()] if self.windows else []
            self._open([*waiting, *made])
        else:
            for start in range(0, len(made), _WINDOW):
                self._open(made[start : start + _WINDOW])
        return made

    def tell(self, outcomes: Sequence[tuple[int, Any]]) -> None:
        """Delivers outcomes, and what they took, to the loop that waits, which may be gone. From any thread."""
        work, self.work = self.work, Usage()
        with suppress(RuntimeError):
            self.loop.call_soon_threadsafe(self.results.put_nowait, (outcomes, work))

    def _open(self, jobs: Sequence[Job[Item]]) -> None:
        if not jobs:
            return
        window = dict.fromkeys(sorted(jobs, key=lambda job: -job.cost))
        for job in window:
            job.window = window
        self.windows.append(window)


class Waiting(Generic[Item]):
    """The requests that wait for one model. Not locked.

    Its length is how many items wait, which cost `cost` together without padding; `expected_count` more are announced.
    """

    def __init__(self) -> None:
        self._line: Line[Request[Item]] = Line()
        self._costs: list[int] = []
        self._by_cost: dict[int, dict[Job[Item], None]] = {}
        self._expecting: dict[Request[Item], None] = {}
        self._count, self.expected_count, self.cost = 0, 0, 0

    def __len__(self) -> int:
        return self._count

    @property
    def count(self) -> int:
        """How many items wait or are announced."""
        return self._count + self.expected_count

    @property
    def mean_cost(self) -> float:
        """Of an item that waits, if any does."""
        return self.cost / max(1, self._count)

    @property
    def urgency(self) -> float:
        """The earliest deadline there is."""
        return min((each.call.deadline.at for each in self._line), default=_NEVER.at)

    def expect(self, request: Request[Item]) -> None:
        """Counts what is announced of a request."""
        self.expected_count += request.expected_count
        self._expecting[request] = None

    def add(self, request: Request[Item], items: Sequence[Item], costs: Sequence[int]) -> None:
        """Lets further items of a request wait."""
        jobs = request.jobs(items, costs)
        came = min(request.expected_count, len(jobs))
        request.expected_count -= came
        self.expected_count -= came
        self._count += len(jobs)
        for job in jobs:
            self.cost += job.cost
            if job.cost not in self._by_cost:
                insort(self._costs, job.cost)
                self._by_cost[job.cost] = {}
            self._by_cost[job.cost][job] = None
        if request.windows:
            self._line.join(request)

    def expect_no_more(self, request: Request[Item]) -> None:
        """What was announced of a request, and has not come, will not."""
        if request in self._expecting:
            del self._expecting[request]
            self.expected_count -= request.expected_count
            request.expected_count = 0

    def withdraw(self, request: Request[Item]) -> None:
        """Forgets a request, whatever of it waits still. Does nothing when it is forgotten."""
        request.is_wanted = False
        self.expect_no_more(request)
        self._take([job for window in request.windows for job in window])

    def ended(self, *, all_of_them: bool = False) -> list[Request[Item]]:
        """Takes out the requests whose call is over, or all."""
        known = dict.fromkeys((*self._line, *self._expecting))
        gone = [each for each in known if all_of_them or not each.is_active]
        for each in gone:
            self.withdraw(each)
        return gone

    def batch(self, most_cost: int) -> list[Job[Item]]:
        """Takes out the longest of the jobs whose turn it is, then those nearest to it in cost of the same window, then
        of all that are no longer, then of those that are little longer: as many as the cost holds when all are padded
        to the longest; at least one, if any waits."""
        request = self._line.next(lambda each: each.call.deadline.at)
        if request is None:
            return []
        window = request.windows[0]
        longest = next(iter(window)).cost
        size = max(1, most_cost // max(1, longest))
        taken = [*islice(window, size)]
        self._take(taken)
        others = [*islice(self._nearest(longest), size - len(taken))]
        self._take(others)
        longer = [*self._longer(longest, most_cost, len(taken) + len(others))]
        self._take(longer)
        return taken + others + longer

    def _nearest(self, longest: int) -> Iterator[Job[Item]]:
        """Jobs that are no longer than that, the longest first."""
        for place in range(bisect_right(self._costs, longest) - 1, -1, -1):
            yield from self._by_cost[self._costs[place]]

    def _longer(self, longest: int, most_cost: int, count: int) -> Iterator[Job[Item]]:
        """Jobs that are a little longer, the shortest first, while they fit with so many others."""
        for place in range(bisect_right(self._costs, longest), len(self._costs)):
            cost = self._costs[place]
            for job in self._by_cost[cost]:
                count += 1
                if cost > longest + _LIKE or cost * count > most_cost:
                    return
                yield job

    def _take(self, jobs: Iterable[Job[Item]]) -> None:
        requests: dict[Request[Item], None] = {}
        for job in jobs:
            del job.window[job]
            same = self._by_cost[job.cost]
            del same[job]
            if not same:
                del self._by_cost[job.cost]
                self._costs.remove(job.cost)
            self._count -= 1
            self.cost -= job.cost
            requests[job.request] = None
        for request in requests:
            while request.windows and not request.windows[0]:
                request.windows.popleft()
            if not request.windows:
                self._line.leave(request)


def expected(error: BaseException) -> Exception:
    """What a model raised, as one that may pass through an event loop."""
    if isinstance(error, Exception):
        return error
    told = RuntimeError(f"the model raised {type(error).__name__}")
    told.__cause__ = error
    return told
