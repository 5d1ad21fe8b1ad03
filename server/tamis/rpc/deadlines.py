"""The budget of a call: its gRPC deadline, less what the response needs to arrive."""

from __future__ import annotations

from typing import Any

from tamis.config import ServerConfig
from tamis.deadline import Deadline
from tamis.errors import DeadlineExceeded

__all__ = ["deadline_of"]


def deadline_of(context: Any, config: ServerConfig) -> Deadline:
    """By when the call must be answered; the configured default without a deadline. Raises `DeadlineExceeded`."""
    remaining = context.time_remaining()
    if remaining is None:
        return Deadline.after(config.default_deadline)
    if remaining <= config.deadline_margin:
        raise DeadlineExceeded("the deadline leaves no time to answer")
    return Deadline.after(remaining - config.deadline_margin)
