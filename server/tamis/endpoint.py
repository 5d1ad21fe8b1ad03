"""For plugins that ask another server: its settings, refusals as errors, further tries within the call's deadline."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import Field, SecretStr

from tamis.component import Settings
from tamis.context import Call, CallEnded
from tamis.errors import ConfigurationError, Overloaded, TamisError, Unavailable

__all__ = ["EndpointSettings", "Failure", "Pacing", "asked", "failure", "told_count", "while_active"]

T = TypeVar("T")
_LONGEST_PAUSE = 60.0
_FIRST_PAUSE, _SLOWEST_PAUSE = 0.5, 8.0
_JITTER = 1.1  # those who wait for the same moment do not all come at it
_MOST_COUNTED = 1e9  # far more than one request can come to
_BUSY = "the endpoint takes no more requests now"
_REFUSALS = {401: "does not accept the key", 403: "does not accept the key", 404: "knows no such model or address"}


class EndpointSettings(Settings):
    """What there is to say of an endpoint. The key stands in `api_key_file`, or in `api_key`; an endpoint without keys
    needs neither. `patience` is how many seconds it may be silent. `product` is what the price table calls what it
    bills, empty where it bills nothing; unset, it is the vendor's product at the vendor's own address."""

    base_url: str
    api_key: SecretStr = SecretStr("")
    api_key_file: Path | None = None
    product: str | None = None
    max_retries: Annotated[int, Field(ge=0, le=10)] = 2
    patience: Annotated[float, Field(gt=0)] = 60.0

    def key(self) -> str:
        """The key, empty where there is none. Raises `ConfigurationError` for a file that cannot be read."""
        if self.api_key_file is None:
            return self.api_key.get_secret_value()
        try:
            return self.api_key_file.expanduser().read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"api_key_file: {self.api_key_file} cannot be read: {_why(error)}") from error

    def billed_as(self, product: str, *addresses: str) -> str:
        """The product to charge, empty for none: `product` stands for what the vendor bills at its own `addresses`."""
        if self.product is not None:
            return self.product
        return product if self.base_url.rstrip("/") in addresses else ""


def _why(error: OSError | UnicodeDecodeError) -> str:
    return "not UTF-8" if isinstance(error, UnicodeDecodeError) else error.strerror or type(error).__name__


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
        return Failure(Overloaded(_BUSY, retry_after=pause or 1.0), True, pause)
    what = _REFUSALS.get(status, "fails" if status >= 500 else "does not accept the request")
    may_pass = status in (408, 409) or status >= 500
    return Failure(Unavailable(f"the endpoint {what}: HTTP {status}"), may_pass, pause)


def told_count(told: Any) -> float | None:
    """What an endpoint says that it read, wrote or bills; None for what is no count, or none that can be true."""
    is_number = isinstance(told, (int, float)) and not isinstance(told, bool)
    return told if is_number and 0 <= told <= _MOST_COUNTED else None


class Pacing:
    """Until when an endpoint wants to be left alone, by all the calls that share this object."""

    def __init__(self) -> None:
        self._free_at = -math.inf

    @property
    def pause(self) -> float:
        """Seconds until the endpoint takes requests again, 0 where it does."""
        return max(0.0, self._free_at - time.monotonic())

    def hold(self, seconds: float) -> None:
        """Notes that the endpoint wants `seconds` of pause, a minute at most. Never shortens one that it wanted."""
        self._free_at = max(self._free_at, time.monotonic() + min(seconds, _LONGEST_PAUSE))

    async def turn(self, call: Call) -> None:
        """Waits until the endpoint takes requests again. Raises `Overloaded` at once where that is past the deadline,
        and `CallEnded` once the call is over."""
        while (pause := self.pause) > 0:
            if pause > call.deadline.remaining:
                raise Overloaded(_BUSY, retry_after=pause)
            await call.wait(asyncio.sleep(pause * random.uniform(1, _JITTER)))


async def asked(
    attempt: Callable[[], Awaitable[T]],
    *,
    judged: Callable[[Exception], Failure | None],
    retries: int,
    call: Call,
    pacing: Pacing | None = None,
) -> T:
    """What `attempt` gives, tried at most `retries` times more, never past the call's deadline.

    `judged` says what an exception means, None where it is none of the endpoint's. A pause that would outlast the
    deadline is not begun; one that the endpoint asks for is kept by all who share `pacing`. The time of the attempts
    is added to the call's `model_seconds`. Raises the failure's error, and `CallEnded` once the call is over.
    """
    pacing = pacing or Pacing()
    for attempt_count in range(retries + 1):
        await pacing.turn(call)
        started = time.monotonic()
        try:
            return await call.wait(attempt())
        except CallEnded:
            raise
        except Exception as error:
            found = judged(error)
            if found is None:
                raise
            if found.pause is not None:
                pacing.hold(found.pause)
            pause = found.pause_before(attempt_count)
            is_last = attempt_count == retries or not found.may_pass
            if is_last or pause > min(_LONGEST_PAUSE, call.deadline.remaining):
                raise found.error from None  # the endpoint's own words stand in the other one
        finally:
            call.usage.model_seconds += time.monotonic() - started
        if found.pause is None:  # else the pacing keeps it, with jitter
            await call.wait(asyncio.sleep(pause))
    raise RuntimeError("unreachable")


async def while_active(source: AsyncIterator[T], call: Call) -> AsyncGenerator[T, None]:
    """The items of `source`, the time they take added to the call's `model_seconds`.

    Raises `CallEnded`, also between two items, once the call is over.
    """
    nothing = object()
    while True:
        started = time.monotonic()
        try:
            item = await call.wait(anext(source, nothing))
        finally:
            call.usage.model_seconds += time.monotonic() - started
        if item is nothing:
            return
        yield item  # type: ignore[misc]


def _pause(headers: Mapping[str, str]) -> float | None:
    """Retry-After in seconds. A date, which hardly any endpoint sends, counts as nothing said."""
    try:
        seconds = float(headers.get("retry-after", ""))
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None
