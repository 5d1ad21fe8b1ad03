"""The arithmetic of the benchmarks."""

from __future__ import annotations

import math

import numpy as np
import pytest
import runtimes
from fusions import DEFAULT, Variant, variants
from judged import Judgement, ndcg
from leaves import Leaves
from significance import chosen_elsewhere, p_value

RELEVANT, OTHER = Judgement("a", "relevant a"), Judgement("b", None)
LEAVES = Leaves(
    1,
    {
        "bm25": [("x", 9.0), ("y", 4.0), ("z", 1.0)],
        "dense": [("y", 0.7), ("w", 0.5), ("x", 0.1)],
        "late": [("w", 8.0), ("y", 6.0), ("x", 5.0), ("z", 1.0)],
    },
    {id: Judgement(id, "right" if id == "y" else None) for id in "wxyz"},
)


@pytest.mark.parametrize(
    ("order", "relevant_count", "expected"),
    [
        ([RELEVANT], 1, 1.0),
        ([OTHER, RELEVANT], 1, 1 / math.log2(3)),
        ([OTHER] * 10 + [RELEVANT], 1, 0.0),
        ([RELEVANT, RELEVANT], 2, 1 / (1 + 1 / math.log2(3))),
        ([RELEVANT, Judgement("c", "relevant c")], 2, 1.0),
        ([], 3, 0.0),
    ],
)
def test_ndcg_counts_each_relevant_thing_once(order: list[Judgement], relevant_count: int, expected: float) -> None:
    assert ndcg(order, relevant_count) == pytest.approx(expected)


@pytest.mark.parametrize("variant", [*variants()], ids=lambda each: each.name)
def test_every_fusion_orders_every_passage_it_is_given_once(variant: Variant) -> None:
    found = variant.order(LEAVES)
    expected = set(LEAVES.judgements) if variant.family != "alone" else {id for id, _ in LEAVES.scores[variant.name]}
    assert sorted(found) == sorted(expected)
    assert 0.0 <= LEAVES.ndcg(found) <= 1.0


def test_a_question_that_found_nothing_is_worth_nothing() -> None:
    nothing = Leaves(1, {}, {})
    for variant in variants():
        assert nothing.ndcg(variant.order(nothing)) == 0.0


def test_the_default_is_among_the_variants() -> None:
    assert [each.name for each in variants()].count(DEFAULT) == 1


def test_the_same_scores_differ_by_chance_and_a_steady_gain_does_not() -> None:
    assert p_value([np.zeros(20)]) == 1.0
    assert p_value([np.full(20, 0.1)]) < 0.01
    assert p_value([np.array([0.1, -0.1] * 10)]) == pytest.approx(1.0, abs=0.01)


def test_collections_weigh_the_same_whatever_their_size() -> None:
    assert p_value([np.full(400, 0.01), np.full(12, -0.01)]) == pytest.approx(1.0, abs=0.02)


def test_what_is_chosen_elsewhere_does_not_look_at_what_is_held_out() -> None:
    family = {"a": [0.9, 0.1, 0.1], "b": [0.1, 0.5, 0.5]}
    assert chosen_elsewhere(family, 0) == "b"
    assert chosen_elsewhere(family, 1) == "a"


def test_batches_of_documents_hold_each_once_and_stay_within_their_size() -> None:
    documents = [tuple(range(length)) for length in (3, 90, 41, 7, 200, 41)]
    found = runtimes.batches(documents, 128)
    assert sorted(row for batch in found for row in batch.tokens) == sorted(documents)
    assert all(len(batch.tokens) == 1 or max(map(len, batch.tokens)) * len(batch.tokens) <= 128 for batch in found)


def test_operations_are_two_for_each_weight_and_token_and_attentions_by_length_squared() -> None:
    weights = 6 * (4 * 384 * 384 + 2 * 384 * 1_536)
    assert runtimes.operations([tuple(range(10))]) == 2 * 10 * weights + 6 * 2 * 2 * 384 * 100
