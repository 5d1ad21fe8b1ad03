"""What a plugin is told about the request it serves, and where it reports what it used."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import TypeAlias, TypeVar

from tamis.deadline import Deadline

__all__ = ["BillingUnit", "Call", "CallEnded", "Companions", "Options", "Principal", "Usage"]

Options: TypeAlias = Mapping[str, Mapping[str, object]]
"""For each stage the settings that a request changes for itself, valid and of the setting's own type."""


T = TypeVar("T")


class CallEnded(Exception):
    """The caller is gone or its deadline has passed; whatever it asked for must not go on."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is calling, and for which tenant; both empty until authentication is configured."""

    subject: str = ""
    tenant: str = ""


class BillingUnit(Enum):
    """What a provider counts."""

    SEARCH = "search"
    INPUT_TOKEN = "input_token"
    OUTPUT_TOKEN = "output_token"


@dataclass(slots=True)
class Usage:
    """What a stage consumed. Counts only ever grow.

    `pair_count` query-passage pairs scored; `input_token_count` and `output_token_count` model tokens;
    `model_call_count` forward passes or remote calls; `cache_hit_count` answers that needed none; `model_seconds` how
    long models worked, work in a shared batch by its share. `charges` are what a provider bills, by product and unit.
    """

    pair_count: int = 0
    input_token_count: int = 0
    output_token_count: int = 0
    model_call_count: int = 0
    cache_hit_count: int = 0
    model_seconds: float = 0.0
    charges: dict[tuple[str, BillingUnit], float] = field(default_factory=dict)

    def charge(self, product: str, unit: BillingUnit, count: float) -> None:
        """Notes what a provider bills: `usage.charge("cohere/rerank-v3.5", BillingUnit.SEARCH, 1)`. The price table
        turns it into money."""
        self.charges[product, unit] = self.charges.get((product, unit), 0.0) + count

    def add(self, other: Usage) -> None:
        """Adds every count of `other` to this one."""
        self.pair_count += other.pair_count
        self.input_token_count += other.input_token_count
        self.output_token_count += other.output_token_count
        self.model_call_count += other.model_call_count
        self.cache_hit_count += other.cache_hit_count
        self.model_seconds += other.model_seconds
        for (product, unit), count in other.charges.items():
            self.charge(product, unit, count)


class Companions:
    """The retrievers that one request runs side by side: the same object in the `Call` of each.

    They start at the same time, so those that ask one server may wait for each other and ask it once. Hashable by
    identity, and weakly referable: what a plugin keeps for a request can be keyed by it.
    """

    __slots__ = ("__weakref__", "components")

    def __init__(self, components: Iterable[object] = ()) -> None:
        self.components = tuple(components)


@dataclass(slots=True)
class _Ending:
    """Shared by a call and those that stages derive from it."""

    has_come: bool = False


@dataclass(slots=True)
class Call:
    """One request in one stage.

    Safe to read from any thread. `options` are the per-request settings that the plugin declared overridable.
    `notes` are short constant phrases about what had to be repaired; never query or passage text.
    `companions` are the retrievers that run at the same time, this stage among them when it is one.
    """

    deadline: Deadline = Deadline()
    request_id: str = ""
    principal: Principal = Principal()
    options: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    usage: Usage = field(default_factory=Usage)
    notes: list[str] = field(default_factory=list)
    companions: Companions = field(default_factory=Companions)
    _ending: _Ending = field(default_factory=_Ending, repr=False)
    _listeners: list[Callable[[], None]] = field(default_factory=list, repr=False)

    @property
    def active(self) -> bool:
        """Whether somebody still waits for the result: neither ended nor past its deadline."""
        return not (self._ending.has_come or self.deadline.passed)

    def check(self) -> None:
        """Raises `CallEnded` unless the call is active. Ask before every batch and every token."""
        if not self.active:
            raise CallEnded

    def note(self, note: str) -> None:
        """Adds a note, once."""
        if note not in self.notes:
            self.notes.append(note)

    def end(self) -> None:
        """Tells every holder that nobody waits any more. Idempotent."""
        self._ending.has_come = True
        for tell in tuple(self._listeners):
            tell()

    async def wait(self, awaited: Awaitable[T]) -> T:
        """What `awaited` gives, if it comes while the call is active.

        Raises `CallEnded` as soon as it is not; `awaited` is then cancelled, and has ended when this returns.
        """
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[None] = loop.create_future()

        def tell() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(ended.cancel)

        work = asyncio.ensure_future(awaited)
        self._listeners.append(tell)
        try:
            self.check()  # after the listener is there, so that an end in between is not missed
            timeout = None if math.isinf(self.deadline.at) else self.deadline.remaining
            await asyncio.wait((work, ended), timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                raise CallEnded
            return work.result()
        finally:
            self._listeners.remove(tell)
            ended.cancel()
            if not work.done():
                work.cancel()
                await asyncio.gather(work, return_exceptions=True)
