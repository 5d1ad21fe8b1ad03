"""The pipeline language."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tamis.errors import InvalidExpression
from tamis.events import StageRole
from tamis.expression import (
    DEEPEST,
    MOST_CUTS,
    Chain,
    Cut,
    Expression,
    Join,
    Leaf,
    Prior,
    leaves,
    parse,
    to_text,
    validate,
)
from tamis.testing.strategies import expressions

ROLES = {
    "bm25": StageRole.RETRIEVER,
    "dense": StageRole.RETRIEVER,
    "late": StageRole.RERANKER,
    "cross": StageRole.RERANKER,
    "pick": StageRole.CONTEXT_BUILDER,
    "answer": StageRole.GENERATOR,
}
STAGES = tuple(ROLES)


@given(expressions(STAGES))
def test_what_is_printed_reads_back_as_the_same_expression(expression: Expression) -> None:
    assert parse(to_text(expression)) == expression


@given(expressions(STAGES), expressions(STAGES), expressions(STAGES))
def test_chaining_is_associative(a: Expression, b: Expression, c: Expression) -> None:
    first, second, third = (f"({to_text(each)})" for each in (a, b, c))
    assert parse(f"({first} >> {second}) >> {third}") == parse(f"{first} >> ({second} >> {third})")


@given(st.text(st.sampled_from("ab1_-()%|> \t\n\\é"), max_size=30))
def test_any_text_is_an_expression_or_is_refused_inside_it(text: str) -> None:
    try:
        parse(text)
    except InvalidExpression as error:
        assert 1 <= error.column <= len(text) + 1


def test_limits_bind_tightest_then_joins_then_chains() -> None:
    parsed = parse("(bm25 % 50 | dense % 20) % 60 >> (prior | late) % 10 >> answer")
    retrieval = Cut(Join((Cut(Leaf("bm25"), 50), Cut(Leaf("dense"), 20))), 60)
    assert parsed == Chain((retrieval, Cut(Join((Prior(), Leaf("late"))), 10), Leaf("answer")))


def test_a_join_inside_a_join_stays_a_fusion_of_its_own() -> None:
    assert parse("bm25 | dense | late") != parse("(bm25 | dense) | late")


def test_leaves_come_in_the_order_of_the_text_with_their_columns() -> None:
    found = list(leaves(parse("bm25 | dense >> prior")))
    assert [each.column for each in found] == [1, 8, 17]


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("", 1, "empty"),
        ("   ", 4, "empty"),
        ("bm25 >>", 8, "too early"),
        ("bm25 > late", 6, "unexpected character '>'"),
        ("bm25 %", 7, "too early"),
        ("bm25 % x", 8, "a number"),
        ("bm25 % 0", 8, "from 1 to 100,000"),
        ("bm25 % 100001", 8, "from 1 to 100,000"),
        ("(bm25", 6, "too early"),
        ("bm25)", 5, "not ')'"),
        ("BM25", 1, "unexpected character 'B'"),
        ("bm25 dense", 6, "not 'dense'"),
    ],
)
def test_a_mistake_is_told_with_its_column(text: str, column: int, message: str) -> None:
    with pytest.raises(InvalidExpression) as caught:
        parse(text)
    assert caught.value.column == column
    assert message in caught.value.message


def test_the_error_shows_the_place_under_the_expression() -> None:
    with pytest.raises(InvalidExpression) as caught:
        parse("bm25 % x")
    assert str(caught.value).splitlines()[1:] == ["  bm25 % x", "         ^"]


def test_the_deepest_expression_that_is_read_can_be_printed_and_checked() -> None:
    text = "(" * DEEPEST + "bm25" + " % 1)" * DEEPEST + " % 1" * (MOST_CUTS - DEEPEST)
    parsed = parse(text)
    validate(parsed, ROLES, text=text)
    assert to_text(parsed).count("%") == MOST_CUTS
    with pytest.raises(InvalidExpression) as caught:
        parse(f"{text} % 1")
    assert caught.value.column == len(text) + 2


@pytest.mark.parametrize("text", ["(" * 40 + "a" + ")" * 40, "a" * 5_000, " % 1" * 1_000, "a" + " | a" * 2_000])
def test_what_is_too_long_or_too_deep_is_refused(text: str) -> None:
    with pytest.raises(InvalidExpression):
        parse(text)


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("prior", 1, "nothing stands before"),
        ("late", 1, "nothing to rank"),
        ("bm25 >> dense", 9, "cannot stand after"),
        ("bm25 | late", 8, "nothing to rank"),
        ("bm25 >> answer >> late", 9, "belongs at the end"),
        ("bm25 >> (late | answer)", 17, "belongs at the end"),
        ("bm25 >> answer % 3", 9, "belongs at the end"),
        ("bm25 >> answer >> pick", 9, "belongs at the end"),
        ("bm25 | bm25", 8, "twice"),
        ("bm25 >> lat", 9, "did you mean 'late'"),
        ("bm25 >> zzz", 9, "there are: answer, bm25"),
        ("answer", 1, "nothing to read"),
    ],
)
def test_a_stage_in_the_wrong_place_is_refused(text: str, column: int, message: str) -> None:
    with pytest.raises(InvalidExpression) as caught:
        validate(parse(text), ROLES, text=text)
    assert caught.value.column == column
    assert message in caught.value.message


@pytest.mark.parametrize(
    "text",
    [
        "bm25",
        "bm25 | dense",
        "bm25 >> late >> cross >> pick >> answer",
        "((bm25 >> late) | dense) % 5 >> (prior | cross)",
        "bm25 >> answer",
    ],
)
def test_a_pipeline_that_makes_sense_is_accepted(text: str) -> None:
    validate(parse(text), ROLES, text=text)


def test_with_an_order_coming_in_rerankers_stand_alone() -> None:
    for text in ("late", "prior | late", "late >> cross", "answer"):
        validate(parse(text), ROLES, text=text, has_input=True)
    with pytest.raises(InvalidExpression):
        validate(parse("bm25"), ROLES, text="bm25", has_input=True)
