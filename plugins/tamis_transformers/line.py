"""Who waits, and whose turn it is: the most urgent one's, but now and then that of whoever was passed over longest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

__all__ = ["SHARE", "Line"]

Member = TypeVar("Member")
SHARE = 8
"""Of so many turns in a row one, at least, is had by whoever has waited longest since it came or had one."""


class Line(Generic[Member]):
    """Members by urgency, with ageing: urgent ones lose at most one turn in `SHARE`, and of n members each has one
    within n times `SHARE`. Among the equally urgent turns go round. Not locked."""

    def __init__(self) -> None:
        self._members: dict[Member, None] = {}  # whoever was passed over longest comes first
        self._passed = 0

    def __len__(self) -> int:
        return len(self._members)

    def __iter__(self) -> Iterator[Member]:
        return iter(self._members)

    def __contains__(self, member: Member) -> bool:
        return member in self._members

    def join(self, member: Member) -> None:
        """Lets it wait, behind the others. Does nothing when it waits already."""
        self._members.setdefault(member)

    def leave(self, member: Member) -> None:
        """Lets it wait no longer. Does nothing when it does not."""
        self._members.pop(member, None)

    def next(self, urgency: Callable[[Member], Any], may: Callable[[Member], bool] | None = None) -> Member | None:
        """Whose turn it is; the smallest urgency is the most urgent. It waits on, behind the others, until it leaves.

        None when nobody waits who `may`.
        """
        able = [*self._members] if may is None else [each for each in self._members if may(each)]
        if not able:
            return None
        chosen = able[0] if self._passed >= SHARE - 1 else min(able, key=urgency)
        self._passed = 0 if chosen is able[0] else self._passed + 1
        del self._members[chosen]
        self._members[chosen] = None
        return chosen
