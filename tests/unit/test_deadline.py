"""Deadlines on the monotonic clock."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from tamis.deadline import Deadline

SECONDS = st.floats(-1e6, 1e6)


@given(SECONDS, st.floats(0, 1e6))
def test_within_never_comes_later(seconds: float, more: float) -> None:
    deadline = Deadline.after(seconds)
    assert deadline.within(more) <= deadline


def test_a_negative_duration_has_passed() -> None:
    deadline = Deadline.after(-1)
    assert deadline.passed
    assert deadline.remaining == 0


def test_without_a_limit_there_is_always_time() -> None:
    assert math.isinf(Deadline().remaining)
    assert not Deadline().passed
    assert Deadline().earlier(5) == Deadline()
    assert Deadline().within(1) < Deadline()
