"""What the caller sees of a ranking is a pure function of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tamis.filters import Compare, Exists, Operator, order_key
from tamis.model import Hit, Passage, ScoreKind, StageScore, Value
from tamis.presentation import Boost, Condition, Presentation, Recency, SortKey
from tamis.ranking import Ranking

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def _hit(number: int, document: int, score: float | None = None, **metadata: Value) -> Hit:
    passage = Passage(f"p{number}", f"d{document}", 1, "text", metadata=metadata)
    kind = ScoreKind.NONE if score is None else ScoreKind.BM25
    return Hit(passage, score, kind, (StageScore("bm25", number + 1, score, kind),))


def _ranking(documents: Sequence[int]) -> Ranking:
    return tuple(_hit(place, each, 100.0 - place) for place, each in enumerate(documents))


def _ids(ranking: Ranking) -> list[str]:
    return [hit.passage.id for hit in ranking]


rankings = st.lists(st.integers(0, 5), max_size=30).map(_ranking)
scores = st.lists(st.floats(-1e300, 1e300), max_size=12)


@given(rankings, st.integers(1, 7), st.booleans(), st.integers(0, 3))
def test_pages_one_after_another_give_every_hit_once_in_order(
    ranking: Ranking, limit: int, grouped: bool, document_limit: int
) -> None:
    whole = Presentation(document_limit=document_limit, grouped=grouped).page(ranking)
    seen: list[str] = []
    offset: int | None = 0
    while offset is not None:
        page = Presentation(limit, offset, document_limit, grouped)
        seen += _ids(page.page(ranking))
        offset = page.next_offset(ranking)
    assert seen == _ids(whole)


@given(rankings, st.integers(1, 7))
def test_in_groups_a_document_stands_where_its_best_hit_stood_and_counts_as_one(ranking: Ranking, limit: int) -> None:
    page = Presentation(limit, grouped=True).page(ranking)
    firsts = list(dict.fromkeys(hit.passage.document_id for hit in ranking))
    assert list(dict.fromkeys(hit.passage.document_id for hit in page)) == firsts[:limit]
    for document in firsts[:limit]:
        own = [hit for hit in ranking if hit.passage.document_id == document]
        place = page.index(own[0])
        assert list(page[place : place + len(own)]) == own


@given(rankings, st.integers(1, 3))
def test_no_document_has_more_hits_than_allowed(ranking: Ranking, document_limit: int) -> None:
    page = Presentation(document_limit=document_limit).page(ranking)
    counts = Counter(hit.passage.document_id for hit in page)
    assert all(count <= document_limit for count in counts.values())
    assert set(counts) == {hit.passage.document_id for hit in ranking}


def test_a_threshold_drops_low_scores_of_its_kind_and_keeps_hits_without_one() -> None:
    late = StageScore("late", 1, 3.0, ScoreKind.MAX_SIM)
    low = _hit(0, 0, 1.0)
    scored = Hit(low.passage, 3.0, ScoreKind.MAX_SIM, (*low.stage_scores, late))
    ranking = (scored, _hit(1, 1, 9.0), _hit(2, 2))
    assert _ids(Presentation(thresholds={ScoreKind.BM25: 2.0}).page(ranking)) == ["p1", "p2"]
    assert _ids(Presentation(thresholds={ScoreKind.MAX_SIM: 3.5}).page(ranking)) == ["p1", "p2"]
    assert _ids(Presentation(thresholds={ScoreKind.MAX_SIM: 3.0}).page(ranking)) == ["p0", "p1", "p2"]


@given(scores, st.floats(0.1, 10))
def test_boosts_keep_every_hit_and_their_contributions_add_up(values: list[float], weight: float) -> None:
    ranking = tuple(_hit(place, place, value, n=place) for place, value in enumerate(sorted(values, reverse=True)))
    boost = Boost(weight, Condition(Compare(("n",), Operator.GREATER, 3)))
    page = Presentation(boosts=(boost,), now=NOW).page(ranking)
    assert sorted(_ids(page)) == sorted(_ids(ranking))
    assert [hit.stage_scores[-1].rank for hit in page] == list(range(1, len(page) + 1))
    for hit in page:
        entry = hit.stage_scores[-1]
        assert entry.stage == "boosts"
        assert hit.kind is ScoreKind.NORMALIZED
        assert hit.score == entry.score == pytest.approx(sum(each.value for each in entry.contributions))
        assert 0 <= entry.contributions[0].value <= 1 + 1e-9
    totals = [hit.score for hit in page]
    assert totals == sorted(totals, key=lambda each: -(each or 0))


def test_a_strong_boost_lifts_what_it_holds_for_and_a_negative_one_sinks_it() -> None:
    ranking = (_hit(0, 0, 9.0), _hit(1, 1, 8.0, official=True), _hit(2, 2, 7.0))
    condition = Condition(Exists(("official",)))
    assert _ids(Presentation(boosts=(Boost(2.0, condition),)).page(ranking)) == ["p1", "p0", "p2"]
    assert _ids(Presentation(boosts=(Boost(-2.0, condition),)).page(ranking)) == ["p0", "p2", "p1"]


class _Counted(Condition):
    """Counts how often it is asked."""

    asked: ClassVar[Counter[str]] = Counter()

    def value(self, metadata: Mapping[str, Value], now: datetime) -> float:
        self.asked[str(metadata["n"])] += 1
        return super().value(metadata, now)


def test_a_boost_looks_at_each_document_once_however_many_revisions_there_are() -> None:
    ranking = tuple(_hit(place, place // 2, 9.0 - place, n=place // 2) for place in range(6))
    presentation = Presentation(2, boosts=(Boost(1.0, _Counted(Exists(("n",)))),))
    for revision in (ranking, ranking[::-1], ranking[1:]):
        presentation.page(revision)
        presentation.next_offset(revision)
    assert _Counted.asked == {"0": 1, "1": 1, "2": 1}


def test_boosts_keep_what_a_stage_left_unranked_behind_what_it_ranked() -> None:
    """Two stages may give one kind of score; their scores are comparable no more for that."""
    first = [_hit(place, place, 100.0 - place, n=place) for place in range(3)]
    second = StageScore("late", 1, 0.5, ScoreKind.BM25)
    best = replace(first[2], score=0.5, stage_scores=(*first[2].stage_scores, second))
    page = Presentation(boosts=(Boost(0.1, Condition(Exists(("nothing",)))),)).page((best, first[0], first[1]))
    assert _ids(page) == ["p2", "p0", "p1"]


def test_recency_halves_with_every_half_life() -> None:
    recency = Recency(("day",), 10 * DAY)
    for age, value in ((-5 * DAY, 1.0), (0 * DAY, 1.0), (10 * DAY, 0.5), (20 * DAY, 0.25)):
        assert recency.value({"day": NOW - age}, NOW) == pytest.approx(value)
    assert recency.value({"day": [NOW - 20 * DAY, NOW - 10 * DAY]}, NOW) == pytest.approx(0.5)
    assert recency.value({"day": "yesterday"}, NOW) == recency.value({}, NOW) == 0.0
    assert recency.value({"day": datetime(1, 1, 1, tzinfo=UTC)}, NOW) < 1e-6


def test_without_scores_boosts_work_on_ranks() -> None:
    ranking = (_hit(0, 0), _hit(1, 1), _hit(2, 2, new=True))
    page = Presentation(boosts=(Boost(0.5, Condition(Exists(("new",)))),)).page(ranking)
    assert _ids(page) == ["p0", "p2", "p1"]


values = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.floats(-3, 3), st.sampled_from("ab"), st.just(NOW), st.just([2, 1])
)


@given(st.lists(values, max_size=15), st.booleans())
def test_sorting_is_stable_and_puts_what_has_no_value_last(found: list[Value], descending: bool) -> None:
    ranking = tuple(_hit(place, place, -float(place), f=value) for place, value in enumerate(found))
    page = Presentation(sort_keys=(SortKey(("f",), descending),)).page(ranking)
    keys = [_key(hit, descending) for hit in page]
    valued = [key for key in keys if key is not None]
    assert valued == sorted(valued, reverse=descending)
    assert keys == valued + [None] * (len(keys) - len(valued))
    for key in set(keys):
        same = [int(hit.passage.id[1:]) for hit in page if _key(hit, descending) == key]
        assert same == sorted(same)


def _key(hit: Hit, descending: bool) -> tuple[int, object] | None:
    value = hit.passage.metadata["f"]
    if isinstance(value, list):
        value = max(value) if descending else min(value)  # type: ignore[type-var]
    return None if value is None else order_key(value)  # type: ignore[arg-type]


def test_the_first_sort_key_counts_most() -> None:
    rows = [("b", 2), ("a", 1), ("b", 1), ("a", 2)]
    ranking = tuple(_hit(place, place, 1.0, x=x, y=y) for place, (x, y) in enumerate(rows))
    page = Presentation(sort_keys=(SortKey(("x",)), SortKey(("y",), True))).page(ranking)
    assert _ids(page) == ["p3", "p1", "p0", "p2"]
