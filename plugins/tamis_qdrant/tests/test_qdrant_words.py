"""Words as sparse vectors: stems, pairs of characters, BM25's weights."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tamis.models import SparseVector
from tamis_qdrant.words import MOST_QUERY_TERMS, Analyzer, sparse


@pytest.mark.parametrize(
    ("language", "text", "terms"),
    [
        ("en", "The Cats' running-shoes, 2nd pair", ["the", "cat", "run", "shoe", "2nd", "pair"]),
        ("de", "Häuser, Straßen", ["haus", "strass"]),
        ("xx", "Running snake_case", ["running", "snake", "case"]),
        ("en", "東京は 日 ﾄｳｷｮｳ", ["東京", "京は", "日", "トウ", "ウキ", "キョ", "ョウ"]),
        ("en", "東京tower", ["東京", "tower"]),
        ("en", "?! -- \x00 🎹", []),
    ],
)
def test_terms_are_stems_and_pairs_of_characters(language: str, text: str, terms: list[str]) -> None:
    assert Analyzer(language).terms(text) == terms


@given(text=st.text(max_size=200), language=st.sampled_from(["en", "de", "ja", "tr"]))
def test_any_text_makes_a_vector_that_a_server_takes(text: str, language: str) -> None:
    analyzer = Analyzer(language)
    for vector in (analyzer.query(text), analyzer.passage(text, k1=1.2, b=0.75, average_length=150)):
        indices = vector.indices.tolist()
        assert indices == sorted(set(indices))
        assert len(indices) == len(vector.values)
        assert (vector.values > 0).all()


def test_a_passage_has_the_saturated_frequencies_of_bm25() -> None:
    text = "sieve sieve pan"
    weights = _by_index(Analyzer("en").passage(text, k1=1.2, b=0.5, average_length=6))
    length = 1.2 * (1 - 0.5 + 0.5 * 3 / 6)
    for term, count in (("siev", 2), ("pan", 1)):
        (index,) = sparse({term: 1.0}).indices.tolist()
        assert math.isclose(weights[index], count * 2.2 / (count + length), rel_tol=1e-6)


def test_a_query_weighs_each_term_once_and_has_a_limit() -> None:
    analyzer = Analyzer("en")
    assert set(analyzer.query("sauce sauce pan").values.tolist()) == {1.0}
    assert len(analyzer.query(" ".join(f"w{n}" for n in range(5_000))).indices) <= MOST_QUERY_TERMS


def _by_index(vector: SparseVector) -> dict[int, float]:
    return dict(zip(vector.indices.tolist(), vector.values.tolist(), strict=True))
