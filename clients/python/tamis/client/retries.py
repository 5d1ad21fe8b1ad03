"""When a call is sent again: only after UNAVAILABLE, within its deadline and the budget of its channel."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import grpc

from tamis.client.errors import CallError

__all__ = ["Attempts", "RetryBudget", "RetryPolicy"]

_JITTER = 0.2


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often, and after how many seconds. `most_attempts=1` never sends anything again.

    The budget is gRPC's `retryThrottling` (gRFC A6): a bucket of `budget_tokens`, from which every UNAVAILABLE takes
    one and to which every success returns `budget_refill`. While it is not more than half full nothing is sent again,
    so that clients do not hold down a server that is on its knees.
    """

    most_attempts: int = 5
    first_pause: float = 0.2
    longest_pause: float = 5.0
    pause_growth: float = 2.0
    budget_tokens: float = 20.0
    budget_refill: float = 0.1

    def __post_init__(self) -> None:
        if self.most_attempts < 1 or self.budget_tokens <= 0:
            raise ValueError("most_attempts must be at least 1, and budget_tokens above 0")
        if min(self.first_pause, self.longest_pause, self.budget_refill) < 0 or self.pause_growth < 1:
            raise ValueError("pauses and budget_refill must not be negative, and pause_growth at least 1")

    def pause_after(self, failures: int, retry_after: float | None) -> float:
        """Seconds to wait after so many failures in a row; never less than the server asks for."""
        pause = min(self.longest_pause, self.first_pause * self.pause_growth ** (failures - 1))
        if retry_after is not None and retry_after >= pause:
            return retry_after * random.uniform(1, 1 + _JITTER)
        return pause * random.uniform(1 - _JITTER, 1 + _JITTER)


class RetryBudget:
    """What the calls of one channel may spend together on being sent again. Thread-safe."""

    def __init__(self, policy: RetryPolicy) -> None:
        self._most, self._refill = policy.budget_tokens, policy.budget_refill
        self._tokens = self._most
        self._guard = threading.Lock()

    @property
    def tokens(self) -> float:
        """What is left of it."""
        return self._tokens

    def succeeded(self) -> None:
        """A call was answered with OK."""
        with self._guard:
            self._tokens = min(self._most, self._tokens + self._refill)

    def failed(self) -> bool:
        """A call met no server. Whether one may be sent again."""
        with self._guard:
            self._tokens = max(0.0, self._tokens - 1)
            return self._tokens > self._most / 2


class Attempts:
    """The attempts of one call, which share its deadline."""

    def __init__(
        self,
        policy: RetryPolicy,
        budget: RetryBudget,
        timeout: float,
        *,
        is_repeatable: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._policy, self._budget, self._clock = policy, budget, clock
        self._most = policy.most_attempts if is_repeatable else 1
        self._end = clock() + timeout
        self._failures = 0

    @property
    def remaining(self) -> float:
        """Seconds until the deadline of the call; 0 once it has passed."""
        return max(0.0, self._end - self._clock())

    def succeeded(self) -> None:
        """It was answered with OK."""
        self._budget.succeeded()

    def pause_after(self, error: CallError, *, has_begun: bool = False) -> float | None:
        """Seconds after which to send it again; None to leave it at the error.

        A stream that `has_begun` to be answered is never sent again, as its first events would come twice.
        """
        if error.code is not grpc.StatusCode.UNAVAILABLE:
            return None
        self._failures += 1
        is_within_budget = self._budget.failed()
        if has_begun or not is_within_budget or self._failures >= self._most:
            return None
        pause = self._policy.pause_after(self._failures, error.retry_after)
        return pause if pause < self.remaining else None
