"""The minimal pairs: what makes them fair, and the arithmetic of what is measured with them."""

from __future__ import annotations

from collections import Counter

import pytest
from pairs import KINDS, MinimalPair, Share, balanced_orders, read_pairs, word_overlap, words, words_alone

PAIRS = read_pairs()


@pytest.mark.parametrize("kind", KINDS)
def test_there_are_a_hundred_of_each_kind_and_each_side_is_marked_equally_often(kind: str) -> None:
    marked = Counter(each.marked for each in PAIRS if each.kind == kind)
    assert marked == {"right": 50, "wrong": 50}


def test_no_id_question_or_passage_comes_twice() -> None:
    assert len({each.id for each in PAIRS}) == len(PAIRS)
    assert len({each.query for each in PAIRS}) == len(PAIRS)
    assert len({side for each in PAIRS for side in (each.right, each.wrong)}) == 2 * len(PAIRS)


@pytest.mark.parametrize("pair", PAIRS, ids=lambda each: each.id)
def test_a_pair_is_short_clean_and_differs_in_little(pair: MinimalPair) -> None:
    for text in (pair.query, pair.right, pair.wrong):
        assert text == " ".join(text.split())
        assert not set("[]~|") & set(text)
        assert 3 <= len(words(text)) <= 30
    assert pair.right.endswith((".", "?"))
    assert pair.wrong.endswith((".", "?"))
    assert words(pair.right) != words(pair.wrong)
    assert word_overlap(pair.right, pair.wrong) > 0.25


@pytest.mark.parametrize("kind", KINDS)
def test_counting_words_and_preferring_the_longer_or_the_shorter_are_chance(kind: str) -> None:
    some = [each for each in PAIRS if each.kind == kind]
    assert not words_alone(PAIRS)[kind].is_beyond_chance
    longer = Share(sum(_preferred(len(each.right), len(each.wrong)) for each in some), len(some))
    assert 0.35 <= longer.value <= 0.65


def _preferred(right: int, wrong: int) -> float:
    return 1.0 if right > wrong else 0.5 if right == wrong else 0.0


@pytest.mark.parametrize("count", [None, 10])
def test_what_leaves_the_order_alone_or_always_takes_the_marked_side_reaches_one_half(count: int | None) -> None:
    some = read_pairs(count)
    assert sum(balanced_orders(some)) == pytest.approx(len(some) / 2, abs=len(KINDS))
    assert 2 * sum(each.marked == "right" for each in some) == len(some)


def test_the_interval_is_wilsons() -> None:
    assert Share(50, 100).interval == pytest.approx((0.4038, 0.5962), abs=1e-4)
    assert Share(10, 10).interval == pytest.approx((0.7225, 1.0), abs=1e-4)
    assert Share(0, 0).interval == (0.0, 1.0)
    assert Share(62, 100).is_beyond_chance
    assert not Share(59, 100).is_beyond_chance


def test_words_tell_apart_what_differs_in_words() -> None:
    told = MinimalPair("n-1", "negation", "red barn", "The red barn.", "The blue barn.", "right")
    tied = MinimalPair("n-2", "negation", "red barn", "The barn is red.", "Red is the barn.", "wrong")
    assert words_alone([told])["negation"].value == 1.0
    assert words_alone([tied])["negation"].value == 0.5
