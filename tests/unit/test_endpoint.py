"""Refusals of other servers as errors, and further tries within the deadline."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tamis.context import Call, CallEnded
from tamis.deadline import Deadline
from tamis.endpoint import EndpointSettings, Failure, Pacing, asked, failure, told_count, while_active
from tamis.errors import ConfigurationError, Overloaded, Unavailable


class _Refused(Exception):
    """What an SDK might raise."""

    def __init__(self, status: int, pause: str = "0") -> None:
        super().__init__("the endpoint's own words")
        self.failure = failure(status, {"retry-after": pause})


def _judged(error: Exception) -> Failure | None:
    return error.failure if isinstance(error, _Refused) else None


class _Endpoint:
    """Raises what it is given, one after the other, then answers."""

    def __init__(self, *errors: Exception) -> None:
        self.errors, self.asked_count = list(errors), 0

    async def __call__(self) -> str:
        self.asked_count += 1
        if self.errors:
            raise self.errors.pop(0)
        return "answer"


async def test_a_failure_that_may_pass_is_tried_again() -> None:
    endpoint = _Endpoint(_Refused(503), _Refused(429))
    assert await asked(endpoint, judged=_judged, retries=2, call=Call()) == "answer"
    assert endpoint.asked_count == 3


async def test_the_last_failure_is_the_one_that_is_told_without_the_endpoints_words() -> None:
    endpoint = _Endpoint(_Refused(503), _Refused(529))
    with pytest.raises(Overloaded) as caught:
        await asked(endpoint, judged=_judged, retries=1, call=Call())
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422])
async def test_a_failure_that_cannot_pass_is_told_at_once(status: int) -> None:
    endpoint = _Endpoint(_Refused(status))
    with pytest.raises(Unavailable, match=str(status)):
        await asked(endpoint, judged=_judged, retries=9, call=Call())
    assert endpoint.asked_count == 1


@pytest.mark.parametrize(("pause", "seconds"), [("30", 20), ("61", None), ("1e9", None)])
async def test_a_pause_longer_than_the_deadline_or_than_a_minute_is_not_begun(
    pause: str, seconds: float | None
) -> None:
    call = Call(Deadline.after(seconds)) if seconds else Call()
    with pytest.raises(Overloaded) as caught:
        await asked(_Endpoint(_Refused(429, pause)), judged=_judged, retries=9, call=call)
    assert caught.value.retry_after == float(pause)


async def test_what_is_none_of_the_endpoints_failures_passes_as_it_is() -> None:
    with pytest.raises(ZeroDivisionError):
        await asked(_Endpoint(ZeroDivisionError()), judged=_judged, retries=9, call=Call())


async def test_nothing_is_tried_on_a_call_that_is_over() -> None:
    endpoint, call = _Endpoint(), Call()
    call.end()
    with pytest.raises(CallEnded):
        await asked(endpoint, judged=_judged, retries=9, call=call)
    assert endpoint.asked_count == 0


async def test_a_call_that_ends_in_an_attempt_is_no_failure_of_the_endpoint() -> None:
    call, left = Call(), asyncio.Event()

    async def hanging() -> None:
        asyncio.get_running_loop().call_soon(call.end)
        try:
            await asyncio.Event().wait()
        finally:
            left.set()

    with pytest.raises(CallEnded):
        await asked(hanging, judged=lambda _error: Failure(Unavailable("judged")), retries=9, call=call)
    assert left.is_set()


async def test_those_who_are_refused_together_do_not_come_back_together(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        pacing._free_at = 0.0

    pacing = Pacing()
    monkeypatch.setattr("tamis.endpoint.asyncio.sleep", sleep)
    for _ in range(8):
        endpoint = _Endpoint(_Refused(429, "5"))
        assert await asked(endpoint, judged=_judged, retries=1, call=Call(), pacing=pacing) == "answer"
    assert len(slept) == len(set(slept)) == 8
    assert max(slept) - min(slept) > 0.01
    assert all(4.9 < each < 5.6 for each in slept)


@pytest.mark.parametrize("said", ["", "soon", "nan", "inf", "-1", "Wed, 21 Oct 2026 07:28:00 GMT"])
def test_a_pause_that_cannot_be_read_counts_as_none_said(said: str) -> None:
    found = failure(429, {"retry-after": said})
    assert found.pause is None
    assert found.error.retry_after == 1.0
    assert found.may_pass


def test_pauses_grow_up_to_eight_seconds_where_the_endpoint_says_nothing() -> None:
    pauses = [failure(500, {}).pause_before(attempt) for attempt in range(12)]
    assert 0.375 <= pauses[0] <= 0.5
    assert all(pause <= 8 for pause in pauses)
    assert pauses[-1] >= 6


async def test_items_come_until_the_call_is_over() -> None:
    async def numbers():  # type: ignore[no-untyped-def]
        for number in range(5):
            yield number

    assert [each async for each in while_active(numbers(), Call())] == [0, 1, 2, 3, 4]
    call, seen = Call(), []
    with pytest.raises(CallEnded):
        async for each in while_active(numbers(), call):
            seen.append(each)
            if each == 2:
                call.end()
    assert seen == [0, 1, 2]


async def test_a_pause_that_the_endpoint_asks_for_holds_for_everybody_who_asks_it() -> None:
    pacing, other = Pacing(), _Endpoint()
    with pytest.raises(Overloaded):
        await asked(_Endpoint(_Refused(429, "30")), judged=_judged, retries=0, call=Call(), pacing=pacing)
    with pytest.raises(Overloaded) as caught:
        await asked(other, judged=_judged, retries=9, call=Call(Deadline.after(20)), pacing=pacing)
    assert 20 < (caught.value.retry_after or 0) <= 30
    assert other.asked_count == 0


async def test_who_has_the_time_waits_until_the_pause_is_over() -> None:
    pacing, endpoint = Pacing(), _Endpoint()
    pacing.hold(0.05)
    assert await asked(endpoint, judged=_judged, retries=0, call=Call(Deadline.after(20)), pacing=pacing) == "answer"
    assert pacing.pause == 0


async def test_a_pause_is_never_shortened_and_never_longer_than_a_minute() -> None:
    pacing = Pacing()
    pacing.hold(1e9)
    pacing.hold(1)
    assert 50 < pacing.pause <= 60


async def test_who_waits_for_the_pause_to_end_stops_when_the_call_does() -> None:
    pacing, call = Pacing(), Call()
    pacing.hold(60)
    asyncio.get_running_loop().call_soon(call.end)
    with pytest.raises(CallEnded):
        await pacing.turn(call)


async def test_the_time_of_every_attempt_and_of_every_item_counts_as_the_models() -> None:
    call = Call()
    await asked(_Endpoint(_Refused(503)), judged=_judged, retries=1, call=call)
    spent = call.usage.model_seconds
    assert spent > 0
    with pytest.raises(Unavailable):
        await asked(_Endpoint(_Refused(401)), judged=_judged, retries=1, call=call)
    assert call.usage.model_seconds > spent

    async def pieces() -> AsyncIterator[str]:
        yield "a piece"

    spent = call.usage.model_seconds
    assert [each async for each in while_active(pieces(), call)] == ["a piece"]
    assert call.usage.model_seconds > spent


def test_a_key_stands_in_the_settings_or_in_a_file() -> None:
    assert EndpointSettings(base_url="http://x").key() == ""
    assert EndpointSettings(base_url="http://x", api_key="sk-1").key() == "sk-1"


def test_a_key_file_goes_before_a_key_and_must_be_readable(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(" sk-2\n")
    (tmp_path / "bytes").write_bytes(b"\xff")
    assert EndpointSettings(base_url="http://x", api_key="sk-1", api_key_file=tmp_path / "key").key() == "sk-2"
    for name in ("none", "bytes"):
        with pytest.raises(ConfigurationError, match="api_key_file"):
            EndpointSettings(base_url="http://x", api_key_file=tmp_path / name).key()


def test_a_vendors_product_is_charged_at_its_own_address_and_a_named_one_everywhere() -> None:
    def product(base_url: str, **settings: str) -> str:
        return EndpointSettings(base_url=base_url, **settings).billed_as("v/m", "https://v.com/v1")

    assert product("https://v.com/v1/") == "v/m"
    assert product("http://127.0.0.1:8000/v1") == ""
    assert product("http://127.0.0.1:8000/v1", product="house/m") == "house/m"
    assert product("https://v.com/v1", product="") == ""


def test_a_count_that_cannot_be_true_is_none() -> None:
    assert [told_count(each) for each in (0, 7, 1.5, 10**9)] == [0, 7, 1.5, 10**9]
    for told in (None, -1, True, "7", float("nan"), float("inf"), 2**63, 10**400, [1]):
        assert told_count(told) is None
