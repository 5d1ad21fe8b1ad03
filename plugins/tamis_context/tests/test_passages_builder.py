"""Which hits become the context: the best that are new and fit, neighbours as one, the best ones at the ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tamis.context import Call
from tamis.errors import ConfigurationError
from tamis.generator import is_given, merged
from tamis.model import Hit, Locator, Passage, Query, ScoreKind, Span, StageScore
from tamis.testing.contract import ContextBuilderContract, opened
from tamis.testing.llms import ScriptedLlm, ScriptedLlmSettings
from tamis_context import PassagesContextBuilder
from tamis_context.questions import is_research
from tamis_context.shingles import resemblance, shingles

WORDS = [f"word{number}" for number in range(200)]
DOCUMENTS = {name: " ".join(WORDS[start : start + 60]) for name, start in (("a", 0), ("b", 70), ("c", 0))}


class TestPassages(ContextBuilderContract):
    def component(self) -> PassagesContextBuilder:
        return PassagesContextBuilder(PassagesContextBuilder.Settings())


def _passage(document: str, start: int, end: int, **fields: Any) -> Passage:
    """Words `start` to `end` of a document."""
    words = DOCUMENTS[document].split(" ")
    text = " ".join(words[start:end])
    begin = len(" ".join(words[:start])) + (start > 0)
    span = Span(begin, begin + len(text))
    return Passage(f"{document}#{start}-{end}", document, 1, text, span=span, **fields)


def _hits(*passages: Passage) -> list[Hit]:
    return [Hit(each, 1 / rank, ScoreKind.NORMALIZED) for rank, each in enumerate(passages, 1)]


def _texts(*texts: str) -> list[Hit]:
    spans = [Span(0, len(each.encode())) for each in texts]
    return _hits(*(Passage(f"{n}#0", str(n), 1, each, span=spans[n]) for n, each in enumerate(texts)))


async def _built(
    hits: Sequence[Hit], question: str = "when?", options: dict[str, object] | None = None, **settings: Any
) -> tuple[list[Hit], list[str]]:
    call = Call(options=options or {})
    async with opened(PassagesContextBuilder(PassagesContextBuilder.Settings(**settings))) as builder:
        return list(await builder.build(Query(question), hits, call=call)), call.notes


def _id(hit: Hit) -> str:
    return hit.passage.id


def _ids(hits: Sequence[Hit]) -> list[str]:
    return [each.passage.id for each in hits]


DISTINCT = _texts(*(" ".join(WORDS[start : start + 12]) for start in range(0, 180, 15)))


async def test_a_question_after_a_fact_gets_five_passages_and_one_for_a_survey_ten() -> None:
    assert len((await _built(DISTINCT, "When was it built?"))[0]) == 5
    assert len((await _built(DISTINCT, "Compare both bridges."))[0]) == 10
    assert len((await _built(DISTINCT, "When was it built?", kind="research"))[0]) == 10


async def test_a_request_overrides_what_is_declared_overridable() -> None:
    assert len((await _built(DISTINCT, options={"passages_factual": 3}))[0]) == 3
    assert len((await _built(DISTINCT, options={"kind": "research", "passages_research": 7}))[0]) == 7
    assert len((await _built(DISTINCT, options={"max_tokens": 140}))[0]) == 2
    assert _ids((await _built(DISTINCT, options={"order": "rank"}))[0]) == [f"{n}#0" for n in range(5)]


async def test_the_best_stands_first_and_the_second_best_last() -> None:
    assert _ids((await _built(DISTINCT))[0]) == ["0#0", "2#0", "4#0", "3#0", "1#0"]


async def test_of_near_duplicates_the_better_ranked_one_stays() -> None:
    text = " ".join(WORDS[:40])
    hits = _texts(text, text.replace("word20", "other"), text.upper(), " ".join(WORDS[50:90]))
    chosen, notes = await _built(hits)
    assert _ids(chosen) == ["0#0", "3#0"]
    assert notes == ["passages left out: near-duplicates"]


async def test_what_is_repeated_in_a_script_without_spaces_is_seen_too() -> None:
    chosen, _ = await _built(
        _texts("東京は日本の首都であり世界最大の都市です。", "東京は日本の首都であり世界最大の都市だ。")
    )
    assert _ids(chosen) == ["0#0"]


async def test_neighbours_become_one_passage_with_the_best_ones_id() -> None:
    first, second = _passage("a", 0, 20), _passage("a", 15, 40)
    other = _passage("b", 0, 20)
    hits = _hits(second, other, first)
    chosen, _ = await _built(hits)
    assert _ids(chosen) == [second.id, other.id]
    whole = chosen[0].passage
    assert whole.span == Span(0, second.span.end)
    assert whole.text == whole.span.of(DOCUMENTS["a"])
    assert chosen[0] == replace(hits[0], passage=whole)


async def test_a_passage_between_two_joins_them() -> None:
    hits = _hits(_passage("a", 0, 20), _passage("a", 30, 50), _passage("a", 18, 32))
    chosen, _ = await _built(hits)
    assert [each.passage.span for each in chosen] == [_passage("a", 0, 50).span]


async def test_neighbours_that_contradict_each_other_stand_apart() -> None:
    one, other = _passage("a", 0, 20), _passage("a", 15, 40)
    changed = replace(other, text=other.text.replace("word16", "wordxx"))
    chosen, _ = await _built(_hits(one, changed))
    assert sorted(_ids(chosen)) == sorted([one.id, other.id])


async def test_a_merged_passage_counts_for_as_many_as_it_was_made_of() -> None:
    hits = _hits(*(_passage("a", start, start + 12) for start in range(0, 48, 10)), _passage("b", 0, 20))
    chosen, _ = await _built(hits, passages_factual=3)
    assert [each.passage.span for each in chosen] == [_passage("a", 0, 32).span]


async def test_what_does_not_fit_is_passed_over_for_what_does() -> None:
    hits = _texts(" ".join(WORDS[:10]), " ".join(WORDS[10:190]), " ".join(WORDS[190:199]))
    chosen, notes = await _built(hits, max_tokens=200)
    assert _ids(chosen) == ["0#0", "2#0"]
    assert notes == ["passages left out: over the token budget"]


async def test_the_budget_is_no_more_than_the_model_reads() -> None:
    llm = ScriptedLlm(ScriptedLlmSettings(context_size=300))
    chosen, _ = await _built(DISTINCT, llm=llm, reserved_tokens=150)
    assert len(chosen) == 2
    with pytest.raises(ConfigurationError):
        await _built(DISTINCT, llm=llm, reserved_tokens=300)


async def test_scores_below_the_floor_of_their_kind_are_left_out() -> None:
    one, two, three, four = DISTINCT[:4]
    scored = (StageScore("dense", 1, 0.1, ScoreKind.COSINE), StageScore("dense", 1, 0.6, ScoreKind.COSINE))
    hits = [
        replace(one, score=0.2, kind=ScoreKind.COSINE),
        replace(two, stage_scores=scored[:1]),
        replace(three, stage_scores=scored),
        four,
    ]
    chosen, notes = await _built(hits, min_scores={"cosine": 0.3})
    assert _ids(chosen) == [three.passage.id, four.passage.id]
    assert notes == ["passages left out: score too low"]


@pytest.mark.parametrize(
    "question",
    [
        "Compare Raft and Paxos.",
        "What are the differences between them?",
        "Pros and cons of nuclear power",
        "Give me an overview of vaccines",
        "When? And why?",
        "Was ist der Unterschied zwischen beiden?",
        "Quels sont les avantages ?",
        "Ventajas del cobre",
    ],
)
def test_questions_that_want_much_are_told_by_their_words(question: str) -> None:
    assert is_research(question)


@pytest.mark.parametrize("question", ["", "?", "When was it built?", "Why?!", "何年に建てられましたか？", "a" * 9_999])
def test_every_other_question_is_after_a_fact(question: str) -> None:
    assert not is_research(question)


_RANGES = st.tuples(st.sampled_from(sorted(DOCUMENTS)), st.integers(0, 59), st.integers(1, 30))
_CONTEXTS = st.lists(_RANGES, max_size=12, unique=True).map(
    lambda ranges: _hits(*(_passage(*each) for each in dict.fromkeys((d, n, min(60, n + k)) for d, n, k in ranges)))
)


@given(_CONTEXTS, st.integers(64, 400), st.integers(1, 10), st.sampled_from(["ends", "rank"]))
async def test_the_laws_of_a_context(hits: list[Hit], tokens: int, count: int, order: Any) -> None:
    settings = PassagesContextBuilder.Settings(max_tokens=tokens, passages_factual=count, order=order, same=0.5)
    builder = PassagesContextBuilder(settings)
    chosen = await builder.build(Query("q"), hits, call=Call())
    assert list(chosen) == list(await builder.build(Query("q"), hits, call=Call()))
    assert all(is_given(each, hits) for each in chosen)
    assert len(set(_ids(chosen))) == len(chosen) <= count
    costs = [builder._count(each.passage) for each in chosen]
    assert sum(costs) <= tokens
    if hits and builder._count(hits[0].passage) <= tokens:
        assert any(each.passage.span.start <= hits[0].passage.span.start for each in chosen)
        assert hits[0].passage.id in _ids(chosen)
    found = [shingles(each.passage) for each in chosen]
    assert all(resemblance(one, two) < 0.5 for place, one in enumerate(found) for two in found[:place])
    again = await builder.build(Query("q"), chosen, call=Call())
    assert sorted(again, key=_id) == sorted(chosen, key=_id)
    await builder.close()


@given(_CONTEXTS)
def test_merging_takes_any_order_and_is_the_documents_own_text(hits: list[Hit]) -> None:
    passages = [each.passage for each in hits if each.passage.document_id == "a"]
    if not passages:
        return
    try:
        whole = merged(passages)
    except ValueError:
        return
    assert whole.text == whole.span.of(DOCUMENTS["a"])
    assert whole.id == passages[0].id
    assert replace(merged(passages[::-1]), id=whole.id) == whole


def test_merging_keeps_all_pages_and_refuses_gaps_and_other_documents() -> None:
    one = _passage("a", 0, 10, locator=Locator(first_page=3, last_page=3, first_line=5, last_line=9))
    two = _passage("a", 9, 20, locator=Locator(first_page=3, last_page=4))
    assert merged([two, one]).locator == Locator(3, 4, 5, 9)
    for others in ([_passage("a", 10, 20)], [_passage("c", 9, 20)], [replace(two, document_version=2)]):
        with pytest.raises(ValueError, match="passages"):
            merged([one, *others])
