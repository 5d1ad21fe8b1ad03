"""Broken generators and context builders."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from my_context import MyContext
from my_generate import MyGenerate
from rejection import rejected_by

from tamis.generator import AnswerDelta
from tamis.model import Citation, FinishReason, Span


class _Picky(MyGenerate):
    """Fails for what it does not like."""

    def dislikes(self, question: str, texts: list[str]) -> bool:
        return False

    async def answer(self, query: Any, context: Any, *, call: Any) -> Any:
        if self.dislikes(query.text, [each.passage.text for each in context]):
            raise ValueError("no")
        async for each in super().answer(query, context, call=call):
            yield each


@rejected_by("test_no_question_and_no_passage_does_harm")
class WantsAQuestion(_Picky):
    def dislikes(self, question: str, texts: list[str]) -> bool:
        return not question.split()


@rejected_by("test_an_empty_context_is_no_failure")
class WantsAPassage(_Picky):
    def dislikes(self, question: str, texts: list[str]) -> bool:
        return not texts


@rejected_by("test_any_context_is_answered_in_order")
class WantsAscii(_Picky):
    def dislikes(self, question: str, texts: list[str]) -> bool:
        return not "".join(texts).isascii()


@rejected_by("test_a_huge_passage_and_a_huge_question_do_no_harm")
class WantsShortTexts(_Picky):
    def dislikes(self, question: str, texts: list[str]) -> bool:
        return max(map(len, [question, *texts])) > 20_000


@rejected_by("test_an_answer_ends_with_exactly_one_reason_and_its_citations_resolve")
class NeverFinishes(MyGenerate):
    async def answer(self, query: Any, context: Any, *, call: Any) -> Any:
        async for each in super().answer(query, context, call=call):
            if each.finish_reason is None:
                yield each


@rejected_by("test_a_context_that_says_nothing_of_it_is_no_failure")
class GivesUp(MyGenerate):
    async def answer(self, query: Any, context: Any, *, call: Any) -> Any:
        yield AnswerDelta(finish_reason=FinishReason.SKIPPED)


@rejected_by("test_spans_do_not_cut_characters")
class CountsCharacters(MyGenerate):
    async def answer(self, query: Any, context: Any, *, call: Any) -> Any:
        passage, quote = context[0].passage, context[0].passage.text[:30]
        spans = Span(0, len(quote)), Span(passage.span.start, passage.span.start + len(quote))
        cited = Citation(spans[0], passage.id, passage.document_id, passage.document_version, spans[1])
        yield AnswerDelta(quote, (cited,), FinishReason.ANSWERED)


@rejected_by("test_who_stops_listening_does_not_disturb_the_next")
class TalksOn(MyGenerate):
    async def answer(self, query: Any, context: Any, *, call: Any) -> Any:
        try:
            yield AnswerDelta("So ")
        except GeneratorExit:
            yield AnswerDelta("on.")


@rejected_by("test_a_call_that_ends_on_the_way_gets_no_whole_answer")
class AsksOnce(MyGenerate):
    async def answer(self, query: Any, context: Any, *, call: Any) -> Any:
        call.check()
        yield AnswerDelta(context[0].passage.text)
        yield AnswerDelta(finish_reason=FinishReason.ANSWERED)


@rejected_by("test_a_call_that_is_over_ends")
class BreaksWithItsCall(MyGenerate):
    is_broken = False

    async def answer(self, query: Any, context: Any, *, call: Any) -> Any:
        self.is_broken = self.is_broken or not call.active
        assert not self.is_broken or not call.active
        async for each in super().answer(query, context, call=call):
            yield each


@rejected_by("test_calls_at_the_same_time_do_not_mix")
class CountsInOnePlace(MyGenerate):
    async def answer(self, query: Any, context: Any, *, call: Any) -> Any:
        self.written = 0
        for hit in context:
            await asyncio.sleep(0)
            passage, size = hit.passage, len(hit.passage.text.encode())
            span = Span(self.written, self.written + size)
            self.written += size
            cited = Citation(span, passage.id, passage.document_id, passage.document_version, passage.span)
            yield AnswerDelta(passage.text, (cited,))
        yield AnswerDelta(finish_reason=FinishReason.ANSWERED)


@rejected_by("test_it_chooses_among_what_it_got_each_once")
class ChoosesTwice(MyContext):
    async def build(self, query: Any, hits: Any, *, call: Any) -> Any:
        return [*hits, *hits[:1]]


@rejected_by("test_neighbours_come_as_they_are_or_as_one_with_all_of_their_text")
class GluesNeighbours(MyContext):
    async def build(self, query: Any, hits: Any, *, call: Any) -> Any:
        whole = " ".join(each.passage.text for each in hits)
        return [replace(each, passage=replace(each.passage, text=whole)) for each in hits[:1]]


@rejected_by("test_a_call_that_is_over_does_no_harm")
class FailsWithItsCall(MyContext):
    async def build(self, query: Any, hits: Any, *, call: Any) -> Any:
        if not call.active:
            raise RuntimeError("nobody waits")
        return await super().build(query, hits, call=call)
