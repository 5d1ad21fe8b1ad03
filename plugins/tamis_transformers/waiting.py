"""What waits for a model, so kept that choosing a batch does not look at all of it."""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from heapq import merge
from itertools import islice
from typing import Any, Generic, TypeAlias, TypeVar

from tamis.context import Call, Usage
from tamis.deadline import Deadline

__all__ = ["Job", "Request", "Told", "Waiting"]

Item = TypeVar("Item")
Told: TypeAlias = tuple[int, Any, Usage]
_NEVER = Deadline()
_WINDOW = 32


@dataclass(eq=False, slots=True)
class Job(Generic[Item]):
    """One item of a request; `work` is what it has taken so far."""

    item: Item
    cost: int
    position: int
    request: Request[Item] = field(repr=False)
    work: Usage = field(default_factory=Usage)

    def tell(self, outcome: Any) -> None:
        """Delivers the outcome, and what it took, to the loop that waits, which may be gone."""
        request = self.request
        if not request.loop.is_closed():
            request.loop.call_soon_threadsafe(request.results.put_nowait, (self.position, outcome, self.work))


class Request(Generic[Item]):
    """The items of one call that came together, and how to tell whoever waits for them.

    Who has a deadline sends the most important items first, and gets them back so, by the window; work without one is
    free to be sorted by length as a whole.
    """

    def __init__(self, items: Sequence[Item], costs: Sequence[int], call: Call) -> None:
        """On the loop that waits. Raises `ValueError` unless there is a cost for each item."""
        self.call = call
        self.loop = asyncio.get_running_loop()
        self.results: asyncio.Queue[Told] = asyncio.Queue()
        jobs = [Job(item, cost, at, self) for at, (item, cost) in enumerate(zip(items, costs, strict=True))]
        self._size = max(1, len(jobs)) if call.deadline == _NEVER else _WINDOW
        groups = (jobs[start : start + self._size] for start in range(0, len(jobs), self._size))
        self._groups = {at: sorted(group, key=_longest_first) for at, group in enumerate(groups)}

    def __len__(self) -> int:
        return sum(map(len, self._groups.values()))

    @property
    def jobs(self) -> Iterator[Job[Item]]:
        """Those that wait still."""
        for group in self._groups.values():
            yield from group

    @property
    def groups(self) -> Iterator[tuple[tuple[float, int], list[Job[Item]]]]:
        """How urgent each window is, smaller first, and what waits of it, the longest first."""
        for at, group in self._groups.items():
            yield (self.call.deadline.at, at), group

    def drop(self, jobs: Iterable[Job[Item]]) -> None:
        """Forgets these of its jobs."""
        gone = set(jobs)
        for at in {job.position // self._size for job in gone}:
            self._groups[at] = [job for job in self._groups[at] if job not in gone]
            if not self._groups[at]:
                del self._groups[at]


class Waiting(Generic[Item]):
    """The requests that wait for one model. Not locked."""

    def __init__(self) -> None:
        self._requests: list[Request[Item]] = []

    def __len__(self) -> int:
        return sum(map(len, self._requests))

    def add(self, request: Request[Item]) -> None:
        """Lets a request wait."""
        self._requests.append(request)

    def withdraw(self, request: Request[Item]) -> None:
        """Forgets a request, whatever of it waits still."""
        self._requests = [each for each in self._requests if each is not request]

    def ended(self, *, all_of_them: bool = False) -> list[Job[Item]]:
        """Takes out the jobs of the calls that are over, or all."""
        gone = [each for each in self._requests if all_of_them or not each.call.active]
        self._requests = [each for each in self._requests if each not in gone]
        return [job for each in gone for job in each.jobs]

    def batch(self, most_cost: int) -> list[Job[Item]]:
        """Takes out the longest of the most urgent jobs, then those nearest to it in cost, as many as the cost holds
        when all are padded to the longest; at least one, if any waits."""
        groups = sorted((each for request in self._requests for each in request.groups), key=lambda each: each[0])
        if not groups:
            return []
        first = groups[0][0]
        urgent = [group for urgency, group in groups if urgency == first]
        others = [group for urgency, group in groups if urgency != first]
        longest = max(group[0].cost for group in urgent)
        fitting = (group[bisect_left(group, -longest, key=_longest_first) :] for group in others)
        size = max(1, most_cost // max(1, longest))
        taken = list(islice(merge(*urgent, key=_longest_first), size))
        if len(taken) < size:
            taken.extend(islice(merge(*fitting, key=_longest_first), size - len(taken)))
        for request in {job.request for job in taken}:
            request.drop(job for job in taken if job.request is request)
        self._requests = [each for each in self._requests if len(each)]
        return taken


def _longest_first(job: Job[Any]) -> int:
    return -job.cost
