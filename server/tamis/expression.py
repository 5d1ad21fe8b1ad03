"""The one-line pipeline language: parse, print, validate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias, Union

from tamis.events import StageRole

__all__ = ["Chain", "Cut", "Expression", "Join", "Leaf", "Prior", "parse", "validate"]


@dataclass(frozen=True, slots=True)
class Leaf:
    """A configured stage by name."""

    name: str


@dataclass(frozen=True, slots=True)
class Prior:
    """The order that came in."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Keeps the first `limit` hits of `operand`; never relaxes a stricter limit inside it."""

    operand: Expression
    limit: int


@dataclass(frozen=True, slots=True)
class Join:
    """Runs its operands side by side and fuses what they give."""

    operands: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Chain:
    """Hands each operand what the one before it gave."""

    operands: tuple[Expression, ...]


Expression: TypeAlias = Union[Leaf, Prior, Cut, Join, Chain]
