"""Says by which test of the contract a broken plugin is rejected."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

__all__ = ["REJECTED", "rejected_by"]

_Kind = TypeVar("_Kind", bound=type)

REJECTED: list[tuple[type, str]] = []
"""Every broken plugin with the name of the test."""


def rejected_by(test: str) -> Callable[[_Kind], _Kind]:
    def mark(kind: _Kind) -> _Kind:
        REJECTED.append((kind, test))
        return kind

    return mark
