"""For plugins that ask another server: its refusals as errors, and further tries within the call's deadline."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from tamis.context import Call
from tamis.errors import Overloaded, TamisError, Unavailable

__all__ = ["Failure", "asked", "failure", "while_active"]

T = TypeVar("T")
_LONGEST_PAUSE = 60.0
_FIRST_PAUSE, _SLOWEST_PAUSE = 0.5, 8.0
_REFUSALS = {401: "does not accept the key", 403: "does not accept the key", 404: "knows no such model or address"}


@dataclass(frozen=True, slots=True)
class Failure:
    """What an endpoint did wrong: what to raise, and whether the same request may succeed later.

    `pause` is how many seconds the endpoint asks to be left alone, None where it does not say.
    """

    error: TamisError
    may_pass: bool = False
    pause: float | None = None

    def pause_before(self, attempt: int) -> float:
        """Seconds to wait before the given further attempt, from 0."""
        if self.pause is not None:
            return self.pause
        return min(_FIRST_PAUSE * 2.0**attempt, _SLOWEST_PAUSE) * random.uniform(0.75, 1)


def failure(status: int, headers: Mapping[str, str]) -> Failure:
    """What an HTTP status that is no success means. Nothing of what the endpoint writes gets into the error."""
    pause = _pause(headers)
    if status in (429, 529):
        return Failure(Overloaded("the endpoint takes no more requests now", retry_after=pause or 1.0), True, pause)
    what = _REFUSALS.get(status, "fails" if status >= 500 else "does not accept the request")
    may_pass = status in (408, 409) or status >= 500
    return Failure(Unavailable(f"the endpoint {what}: HTTP {status}"), may_pass, pause)


async def asked(
    attempt: Callable[[], Awaitable[T]], *, judged: Callable[[Exception], Failure | None], retries: int, call: Call
) -> T:
    """What `attempt` gives, tried at most `retries` times more, never past the call's deadline.

    `judged` says what an exception means, None where it is none of the endpoint's. A pause that would outlast the
    deadline is not begun. Raises the failure's error, and `CallEnded` once the call is over.
    """
    for attempt_count in range(retries + 1):
        try:
            return await call.wait(attempt())
        except Exception as error:
            found = judged(error)
            if found is None:
                raise
            pause = found.pause_before(attempt_count)
            is_last = attempt_count == retries or not found.may_pass
            if is_last or pause > min(_LONGEST_PAUSE, call.deadline.remaining):
                raise found.error from None  # the endpoint's own words stand in the other one
        await call.wait(asyncio.sleep(pause))
    raise RuntimeError("unreachable")


async def while_active(source: AsyncIterator[T], call: Call) -> AsyncGenerator[T, None]:
    """The items of `source`. Raises `CallEnded`, also between two items, once the call is over."""
    nothing = object()
    while (item := await call.wait(anext(source, nothing))) is not nothing:
        yield item  # type: ignore[misc]


def _pause(headers: Mapping[str, str]) -> float | None:
    """Retry-After in seconds. A date, which hardly any endpoint sends, counts as nothing said."""
    try:
        seconds = float(headers.get("retry-after", ""))
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None
