"""What a generator and a context builder must do."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing, suppress
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from tamis.context import Call, CallEnded
from tamis.generator import AnswerDelta, ContextBuilder, Generator, is_given
from tamis.model import Citation, FinishReason, Hit, Query
from tamis.testing.contract.collections import HUGE_TEXT, ODD_TEXTS, TEXTS, hit, passage
from tamis.testing.contract.component import ServingContract, law, on_its_loop, over, written_in
from tamis.testing.contract.observing import EndsWhenRead, ending

__all__ = ["ContextBuilderContract", "GeneratorContract"]

QUESTION = "How long does the moon take to orbit the earth?"


class GeneratorContract(ServingContract):
    """Of a generator. It need not answer well; it must answer in order."""

    places = (Generator.answer, AnswerDelta)

    def component(self) -> Generator:
        raise NotImplementedError(f"{type(self).__name__} does not say how its plugin is built")

    async def use(self, plugin: Generator, call: Call) -> None:
        async with aclosing(plugin.answer(Query(QUESTION), _hits(TEXTS), call=call)) as stream:  # type: ignore[type-var]
            async for _ in stream:
                await asyncio.sleep(0)

    async def answered(self, question: str, texts: Sequence[str], call: Call | None = None) -> list[AnswerDelta]:
        """The deltas for a context of these texts, checked for what holds of all answers."""
        context = _hits(texts)
        deltas, answer = [], ""
        async for delta in self.plugin.answer(Query(question), context, call=call or Call()):
            answer += delta.text
            for citation in delta.citations:
                _check(citation, context, answer)
            deltas.append(delta)
        reasons = [delta.finish_reason is not None for delta in deltas]
        assert reasons == [False] * (len(deltas) - 1) + [True], "exactly the last delta carries a finish reason"
        assert deltas[-1].finish_reason is not FinishReason.FAILED
        if deltas[-1].finish_reason is FinishReason.ANSWERED:
            assert answer.strip(), "an answer says something"
        return deltas

    @on_its_loop
    async def test_an_answer_ends_with_exactly_one_reason_and_its_citations_resolve(self) -> None:
        for count in (1, 3, len(TEXTS)):
            await self.answered(QUESTION, TEXTS[:count])

    @on_its_loop
    async def test_a_context_that_says_nothing_of_it_is_no_failure(self) -> None:
        deltas = await self.answered("Which volcano erupted in Iceland?", TEXTS[3:7])
        assert deltas[-1].finish_reason in (FinishReason.ANSWERED, FinishReason.INSUFFICIENT_EVIDENCE)

    @on_its_loop
    async def test_an_empty_context_is_no_failure(self) -> None:
        await self.answered(QUESTION, [])

    @on_its_loop
    async def test_spans_do_not_cut_characters(self) -> None:
        for text in TEXTS:
            await self.answered(text, [text, f"🎹 {text}", f"{text} ß東👩🏽‍🚀"])

    @on_its_loop
    async def test_no_question_and_no_passage_does_harm(self) -> None:
        for text in ("", *ODD_TEXTS):
            await self.answered(text, TEXTS[:2])
            await self.answered(text, [text, *ODD_TEXTS[:3]])

    @law(20)
    @given(texts=st.lists(st.text(max_size=120), min_size=1, max_size=4), question=st.text(max_size=40))
    @on_its_loop
    async def test_any_context_is_answered_in_order(self, texts: Sequence[str], question: str) -> None:
        await self.answered(question, texts)
        await self.answered(texts[0], texts)

    @on_its_loop
    async def test_a_huge_passage_and_a_huge_question_do_no_harm(self) -> None:
        await self.answered(QUESTION, [HUGE_TEXT, TEXTS[0]])
        await self.answered(HUGE_TEXT, TEXTS[:2])

    @on_its_loop
    async def test_who_stops_listening_does_not_disturb_the_next(self) -> None:
        stream = self.plugin.answer(Query(QUESTION), _hits(TEXTS), call=Call())
        async with aclosing(stream) as deltas:
            await anext(deltas)
        await self.answered(QUESTION, TEXTS)

    @written_in(Call.check)
    @on_its_loop
    async def test_a_call_that_ends_on_the_way_gets_no_whole_answer(self) -> None:
        """Asking once at the start is not enough: ask again before every delta."""
        for call, end in ending():
            reason: FinishReason | None = None
            with suppress(CallEnded):
                async for delta in self.plugin.answer(Query(QUESTION), EndsWhenRead(_hits(TEXTS), end), call=call):
                    reason = delta.finish_reason
            assert reason is not FinishReason.ANSWERED

    @on_its_loop
    async def test_a_call_that_is_over_ends(self) -> None:
        for call in over():
            with suppress(CallEnded):
                async for _ in self.plugin.answer(Query(QUESTION), _hits(TEXTS), call=call):
                    pass
        await self.answered(QUESTION, TEXTS)

    @on_its_loop
    async def test_calls_at_the_same_time_do_not_mix(self) -> None:
        await asyncio.gather(*(self.answered(text, [text, *TEXTS]) for text in TEXTS))


class ContextBuilderContract(ServingContract):
    """Of a context builder."""

    places = (ContextBuilder.build,)

    def component(self) -> ContextBuilder:
        raise NotImplementedError(f"{type(self).__name__} does not say how its plugin is built")

    async def use(self, plugin: ContextBuilder, call: Call) -> None:
        await plugin.build(Query(QUESTION), _hits(TEXTS), call=call)

    @on_its_loop
    async def test_it_chooses_among_what_it_got_each_once(self) -> None:
        for texts in ([], TEXTS[:1], TEXTS, [TEXTS[0]] * 3, ["", *ODD_TEXTS]):
            hits = _hits(texts)
            chosen = await self.plugin.build(Query(QUESTION), hits, call=Call())
            ids = [each.passage.id for each in chosen]
            assert all(is_given(each, hits) for each in chosen)
            assert len(set(ids)) == len(ids)

    @on_its_loop
    async def test_neighbours_come_as_they_are_or_as_one_with_all_of_their_text(self) -> None:
        text = " ".join(TEXTS)
        cuts = [(0, 30), (30, 60), (50, 90), (95, 120)]
        passages = [
            replace(passage("long", text[start:end], start=len(text[:start].encode())), id=f"long/{start}")
            for start, end in cuts
        ]
        for order in (passages, passages[::-1], passages[1:3]):
            hits = [hit(each, rank) for rank, each in enumerate(order, 1)]
            chosen = await self.plugin.build(Query(QUESTION), hits, call=Call())
            assert all(is_given(each, hits) for each in chosen)
            assert all(each.passage.text == each.passage.span.of(text) for each in chosen)

    @on_its_loop
    async def test_a_call_that_is_over_does_no_harm(self) -> None:
        for call in over():
            with suppress(CallEnded):
                await self.plugin.build(Query(QUESTION), _hits(TEXTS), call=call)


def _hits(texts: Sequence[str]) -> list[Hit]:
    """Each passage begins somewhere else in its document."""
    places = enumerate(texts, 1)
    return [hit(passage(str(rank), text, start=17 * rank), rank) for rank, text in places]


def _check(citation: Citation, context: Sequence[Hit], answer: str) -> None:
    passages = {each.passage.id: each.passage for each in context}
    assert citation.passage_id in passages, "a citation names a passage that was not in the context"
    cited = passages[citation.passage_id]
    assert (citation.document_id, citation.document_version) == (cited.document_id, cited.document_version)
    assert citation.answer_span.end <= len(answer.encode())
    assert cited.span.start <= citation.document_span.start <= citation.document_span.end <= cited.span.end
    # Decoding fails where a span cuts a character.
    assert citation.answer_span.of(answer)
    assert citation.document_span.shifted(-cited.span.start).of(cited.text)
