"""How much a batch may hold: what it learns from the batches before."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tamis_transformers.pace import Pace, is_shortage


def _settled(pace: Pace, overhead: float, rate: float, batches: int = 40) -> int:
    for _ in range(batches):
        cost = pace.batch_cost
        pace.took(cost, cost, overhead + cost / rate)
    return pace.batch_cost


@given(st.floats(0, 0.05), st.floats(10, 1e6))
def test_batches_come_to_take_as_long_as_they_may_or_cost_as_much_as_they_may(overhead: float, rate: float) -> None:
    cost = _settled(Pace(4_096, 0.1), overhead, rate)
    takes = overhead + cost / rate
    assert cost in (1, 4_096) or takes <= 0.11
    assert cost == 4_096 or overhead + (cost + 2) / rate >= 0.08


def test_a_few_short_ones_that_took_their_time_do_not_make_batches_smaller() -> None:
    pace = Pace(4_096, 0.1)
    before = _settled(pace, 0.01, 10_000)
    for _ in range(50):
        pace.took(10, 10, 0.05)
    assert pace.batch_cost == before


def test_without_a_limit_of_time_a_batch_costs_what_it_may_from_the_first_on() -> None:
    assert Pace(100).batch_cost == _settled(Pace(100), 9.0, 1.0) == 100


def test_where_memory_ran_out_the_next_batches_cost_little_more_than_half_of_that_one() -> None:
    pace = Pace(4_096, 0.1)
    pace.ran_out(1_000)
    assert 500 <= _settled(pace, 0.0, 1e9) < 550
    pace.ran_out(1)
    assert pace.batch_cost == 1


def test_one_shortage_of_memory_does_not_make_batches_small_for_good() -> None:
    pace = Pace(4_096, 0.1)
    _settled(pace, 0.0, 1e9)
    for cost in (4_096, 2_048, 1_024, 512, 256, 128):
        pace.ran_out(cost)
    assert _settled(pace, 0.0, 1e9, batches=5_000) == 4_096


def test_how_long_work_takes_is_told_by_the_latest_batches() -> None:
    pace = Pace(100)
    assert pace.seconds(10) is None
    pace.took(20, 10, 1.0)
    assert pace.seconds(10) == pytest.approx(1.0)
    for _ in range(100):
        pace.took(20, 10, 2.0)
    assert pace.seconds(10) == pytest.approx(2.0, rel=1e-3)


class OutOfMemoryError(RuntimeError):
    """As torch has it."""


def test_a_shortage_of_memory_is_known_on_every_device() -> None:
    cpu = RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 4 bytes.")
    assert all(map(is_shortage, (MemoryError(), OutOfMemoryError("CUDA"), cpu)))
    assert not any(map(is_shortage, (ValueError("memory"), RuntimeError("shape"))))
