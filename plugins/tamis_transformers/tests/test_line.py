"""Whose turn it is: by urgency, with ageing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tamis_transformers.line import SHARE, Line

urgencies = st.lists(st.integers(0, 5), min_size=1, max_size=6)


@given(urgencies, st.integers(1, 4))
def test_of_n_members_each_has_a_turn_within_n_times_the_share(members: list[int], rounds: int) -> None:
    line: Line[int] = Line()
    for each in range(len(members)):
        line.join(each)
    within = len(members) * SHARE
    turns = [line.next(members.__getitem__) for _ in range(within * rounds)]
    for start in range(len(turns) - within + 1):
        assert set(turns[start : start + within]) == set(range(len(members)))


@given(urgencies)
def test_the_most_urgent_lose_no_more_than_one_turn_in_so_many(members: list[int]) -> None:
    line: Line[int] = Line()
    for each in range(len(members)):
        line.join(each)
    turns = [line.next(members.__getitem__) for _ in range(SHARE * 5)]
    for start in range(len(turns) - SHARE + 1):
        others = [each for each in turns[start : start + SHARE] if each is None or members[each] != min(members)]
        assert len(others) <= 1


def test_among_the_equally_urgent_turns_go_round() -> None:
    line: Line[str] = Line()
    for each in "abc":
        line.join(each)
    assert [line.next(lambda _: 0) for _ in range(5)] == ["a", "b", "c", "a", "b"]


def test_who_leaves_has_no_turn_and_who_joins_twice_has_one_place() -> None:
    line: Line[str] = Line()
    for each in "aab":
        line.join(each)
    line.leave("a")
    line.leave("a")
    assert ([*line], line.next(lambda _: 0), "a" in line) == (["b"], "b", False)


def test_a_turn_is_had_only_by_who_may() -> None:
    line: Line[int] = Line()
    line.join(1)
    line.join(2)
    assert line.next(lambda each: each, lambda each: each > 1) == 2
    assert line.next(lambda each: each, lambda each: each > 2) is None
