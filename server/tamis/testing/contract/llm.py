"""What a language model must do."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tamis.context import Call, CallEnded
from tamis.models import Llm, Message, Prompt
from tamis.testing.contract.collections import ODD_TEXTS, TEXTS
from tamis.testing.contract.component import ServingContract, law, on_its_loop, over, written_in

__all__ = ["LlmContract"]


class LlmContract(ServingContract):
    """Of a language model. It need not say anything sensible, but it must say something to most prompts; `limit` is how
    many tokens it is allowed, which must be fewer than it would say."""

    limit: ClassVar[int] = 12
    places = (Llm.generate,)

    def component(self) -> Llm:
        raise NotImplementedError(f"{type(self).__name__} does not say how its plugin is built")

    async def use(self, plugin: Llm, call: Call) -> None:
        async with aclosing(plugin.generate(_prompt(TEXTS[0]), limit=4, call=call)) as stream:  # type: ignore[type-var]
            async for _ in stream:
                await asyncio.sleep(0)

    async def said(self, *texts: str, limit: int | None = None, call: Call | None = None) -> list[str]:
        """The pieces that follow a system message and these messages, checked for what holds of all answers."""
        limit = limit or self.limit
        call = call or Call()
        before = call.usage.output_token_count
        async with aclosing(self.plugin.generate(_prompt(*texts), limit=limit, call=call)) as stream:
            pieces = [piece async for piece in stream]
        for piece in pieces:
            assert piece, "an empty piece tells nothing"
            piece.encode()  # fails where a piece holds half of a character
        assert call.usage.output_token_count - before <= limit
        assert call.usage.output_token_count > before or not pieces, "what was written is counted"
        return pieces

    @written_in(Llm.context_token_count)
    def test_it_says_how_much_it_reads(self) -> None:
        assert self.plugin.context_token_count > 0

    @on_its_loop
    async def test_an_answer_comes_in_pieces_of_whole_characters(self) -> None:
        assert "".join(await self.said(TEXTS[0])).strip()

    @on_its_loop
    async def test_the_limit_is_kept(self) -> None:
        for limit in (1, 2, 5):
            call = Call()
            await self.said(TEXTS[0], limit=limit, call=call)
            assert call.usage.model_call_count > 0

    @on_its_loop
    async def test_no_text_does_harm(self) -> None:
        for text in ("", *TEXTS, *ODD_TEXTS):
            if self.plugin.count_tokens(text) < self.plugin.context_token_count // 2:
                await self.said(text, limit=2)

    @law(10)
    @given(text=st.text(max_size=60))
    @on_its_loop
    async def test_any_text_is_answered(self, text: str) -> None:
        await self.said(text, limit=2)

    @on_its_loop
    async def test_a_conversation_of_several_turns_is_continued(self) -> None:
        assert await self.said(TEXTS[0], "Yes.", TEXTS[1])

    @on_its_loop
    async def test_nothing_is_said_on_a_call_that_is_over(self) -> None:
        for call in over():
            yielded = []
            with pytest.raises(CallEnded):
                async with aclosing(self.plugin.generate(_prompt(TEXTS[0]), limit=5, call=call)) as stream:
                    yielded = [piece async for piece in stream]
            assert not yielded
            assert call.usage.output_token_count == 0
        assert await self.said(TEXTS[0])

    @on_its_loop
    async def test_a_call_that_ends_on_the_way_gets_nothing_more(self) -> None:
        call = Call()
        yielded = []
        with suppress(CallEnded):
            async with aclosing(self.plugin.generate(_prompt(TEXTS[0]), limit=self.limit, call=call)) as stream:
                async for piece in stream:
                    call.end()
                    yielded.append(piece)
        assert len(yielded) == 1
        assert await self.said(TEXTS[0])

    @on_its_loop
    async def test_who_stops_listening_does_not_disturb_the_next(self) -> None:
        async with aclosing(self.plugin.generate(_prompt(TEXTS[0]), limit=self.limit, call=Call())) as stream:
            await anext(stream)
        assert await self.said(TEXTS[0])

    @on_its_loop
    async def test_calls_at_the_same_time_are_all_answered_and_counted_apart(self) -> None:
        calls = [Call() for _ in TEXTS]
        answers = await asyncio.gather(*(self.said(text, call=call) for text, call in zip(TEXTS, calls, strict=True)))
        assert all(answers)
        assert all(0 < call.usage.output_token_count <= self.limit for call in calls)

    @written_in(Llm.count_tokens)
    def test_tokens_are_counted(self) -> None:
        assert self.plugin.count_tokens("") == 0
        counts = [self.plugin.count_tokens(text) for text in TEXTS]
        assert min(counts) > 0
        for text in TEXTS:
            assert self.plugin.count_tokens(f"{TEXTS[0]} {text}") >= max(counts[0], self.plugin.count_tokens(text))
        for text in ODD_TEXTS:
            assert self.plugin.count_tokens(text) >= 0

    @written_in(Llm.log_probabilities)
    @on_its_loop
    async def test_log_probabilities_are_told_of_each_choice_or_not_at_all(self) -> None:
        try:
            found = await self.plugin.log_probabilities(_prompt(TEXTS[0]), ["yes", "no", "東京"], call=Call())
        except NotImplementedError:
            pytest.skip("gives no log-probabilities")
        assert found.shape == (3,)
        assert not np.isnan(found).any()
        assert (found <= 0).all()
        assert (await self.plugin.log_probabilities(_prompt(TEXTS[0]), [], call=Call())).shape == (0,)
        for call in over():
            with pytest.raises(CallEnded):
                await self.plugin.log_probabilities(_prompt(TEXTS[0]), ["yes"], call=call)


def _prompt(*texts: str) -> Prompt:
    """A system message, then turns of the user and the assistant."""
    roles = ("user", "assistant") * len(texts)
    turns = (Message(role, text) for role, text in zip(roles, texts, strict=False))
    return Prompt((Message("system", "Continue."), *turns))
