"""What is kept back of a deadline."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tamis.config import ServerConfig
from tamis.deadline import Deadline
from tamis.errors import DeadlineExceeded
from tamis.rpc.deadlines import Margin


@given(st.floats(0.0001, 100.0))
def test_at_least_half_of_a_deadline_is_for_the_search(remaining: float) -> None:
    margin = Margin(ServerConfig())
    for lateness in (0.0, 0.002, 0.4):
        margin.lateness = lateness
        assert 0 < margin.kept(remaining) <= remaining / 2


def test_a_long_deadline_keeps_the_configured_margin_and_what_was_learnt() -> None:
    margin = Margin(ServerConfig(deadline_margin=0.02))
    assert margin.kept(10.0) == pytest.approx(0.02 + margin.lateness)


def test_calls_that_end_late_raise_what_is_kept_and_punctual_ones_lower_it(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(monotonic=lambda: 100.0)
    monkeypatch.setattr("tamis.rpc.deadlines.time", clock)
    margin = Margin(ServerConfig())
    before = margin.lateness
    margin.ended(Deadline(200.0))
    assert margin.lateness == before
    margin.ended(Deadline(0.0))
    assert margin.lateness < 0.02
    for _ in range(20):
        margin.ended(Deadline(99.95))
    assert margin.lateness == pytest.approx(0.05, rel=0.01)
    for _ in range(1_000):
        margin.ended(Deadline(99.999))
    assert margin.lateness == pytest.approx(0.001, rel=0.01)


def test_a_caller_that_has_stopped_waiting_is_told() -> None:
    with pytest.raises(DeadlineExceeded):
        Margin(ServerConfig()).deadline_of(SimpleNamespace(time_remaining=lambda: 0.0))
