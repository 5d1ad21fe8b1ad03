"""Fusion."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tamis.fusion import Fusion, FusionSettings, NormalizedFusion, ReciprocalRankFusion, Side

IDS = st.sampled_from([f"p{number}" for number in range(12)])
SCORES = st.one_of(st.none(), st.floats(-100, 100, allow_nan=False))
RANKINGS = st.lists(IDS, unique=True, max_size=8).flatmap(
    lambda ids: st.lists(SCORES, min_size=len(ids), max_size=len(ids)).map(
        lambda scores: [
            *zip(ids, sorted(scores, key=lambda each: -math.inf if each is None else each, reverse=True), strict=True)
        ]
    )
)
SIDES = st.lists(RANKINGS, min_size=1, max_size=4).map(
    lambda rankings: [Side(f"s{number}", ranking) for number, ranking in enumerate(rankings)]
)
FUSIONS: st.SearchStrategy[Fusion] = st.one_of(
    st.builds(ReciprocalRankFusion, st.just({"s0": 0.5}), st.floats(1, 100)),
    st.builds(NormalizedFusion, st.just({"s1": 2.0}), st.sampled_from(["min_max", "z_score"])),
)


@given(FUSIONS, SIDES)
def test_contributions_add_up_to_the_score(fusion: Fusion, sides: list[Side]) -> None:
    for each in fusion.fuse(sides):
        assert math.fsum(part.value for part in each.contributions) == each.score


@given(FUSIONS, SIDES)
def test_every_passage_of_every_side_comes_once_by_falling_score(fusion: Fusion, sides: list[Side]) -> None:
    fused = fusion.fuse(sides)
    found = [each.passage_id for each in fused]
    assert sorted(found) == sorted({passage_id for side in sides for passage_id, _ in side.ranking})
    assert [each.score for each in fused] == sorted((each.score for each in fused), reverse=True)


@given(FUSIONS, SIDES, st.randoms())
def test_the_order_of_the_sides_does_not_matter(fusion: Fusion, sides: list[Side], random: st.DrawFn) -> None:
    shuffled = list(sides)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert fusion.fuse(shuffled) == fusion.fuse(sides)


@given(FUSIONS, SIDES)
def test_nothing_contributes_less_than_nothing(fusion: Fusion, sides: list[Side]) -> None:
    assert all(part.value >= 0 for each in fusion.fuse(sides) for part in each.contributions)


def test_reciprocal_ranks_are_those_of_the_paper() -> None:
    fused = ReciprocalRankFusion().fuse([Side("a", [("x", 9.0), ("y", 1.0)]), Side("b", [("y", 0.9)])])
    assert [(each.passage_id, each.score) for each in fused] == [("y", 1 / 62 + 1 / 61), ("x", 1 / 61)]
    assert [(part.stage, part.rank) for part in fused[0].contributions] == [("a", 2), ("b", 1)]


def test_a_weight_counts_its_side_more() -> None:
    sides = [Side("a", [("x", 1.0)]), Side("b", [("y", 1.0)])]
    assert [each.passage_id for each in ReciprocalRankFusion({"b": 2.0}).fuse(sides)] == ["y", "x"]


def test_min_max_maps_each_side_to_one_scale() -> None:
    fused = NormalizedFusion().fuse(
        [Side("a", [("x", 30.0), ("y", 20.0), ("z", 10.0)]), Side("b", [("z", 0.9), ("y", 0.1)])]
    )
    assert {each.passage_id: each.score for each in fused} == {"x": 1.0, "z": 1.0, "y": 0.5}


def test_equal_scores_are_worth_the_whole() -> None:
    for method in ("min_max", "z_score"):
        for count in range(1, 12):
            equal = Side("a", [(str(number), 0.1) for number in range(count)])
            assert {each.score for each in NormalizedFusion(method=method).fuse([equal])} == {1.0}


@pytest.mark.parametrize("scores", [(1.7e308, -1.7e308), (1e200, -1e200), (2e-170, 1e-170)])
def test_scores_of_any_size_are_told_apart(scores: tuple[float, float]) -> None:
    side = Side("a", [*zip("xy", scores, strict=True)])
    assert NormalizedFusion(method="min_max").values(side) == [1.0, 0.0]
    assert NormalizedFusion(method="z_score").values(side) == [2.0, 0.0]


def test_a_side_without_scores_counts_by_rank() -> None:
    fused = NormalizedFusion().fuse([Side("a", [("x", None), ("y", None)])])
    assert [(each.passage_id, each.score) for each in fused] == [("x", 1.0), ("y", 0.5)]


def test_what_has_no_score_stands_below_what_has() -> None:
    fused = NormalizedFusion().fuse([Side("a", [("x", 2.0), ("y", 1.0), ("z", None)])])
    assert {each.passage_id: each.score for each in fused}["z"] == 0.0


def test_fusions_describe_themselves() -> None:
    assert FusionSettings().build().describe() == "rrf k=60"
    assert FusionSettings(kind="min_max", weights={"b": 2, "a": 0.5}).build().describe() == "min_max a=0.5 b=2"


@pytest.mark.parametrize("settings", [{"k": 0}, {"k": math.nan}, {"kind": "sum"}, {"weights": {"a": -1}}, {"x": 1}])
def test_settings_that_make_no_sense_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        FusionSettings.model_validate(settings)
