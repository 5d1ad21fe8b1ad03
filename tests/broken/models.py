"""Broken embedders and language models."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import numpy as np
from my_embed import MyEmbed
from my_llm import MyLlm
from rejection import rejected_by

from tamis.models import SparseVector
from tamis.testing.embedders import HashEmbedder


@rejected_by("test_it_says_what_it_makes")
class HasNoFingerprint(MyEmbed):
    fingerprint = ""  # type: ignore[assignment]


@rejected_by("test_vectors_have_unit_length_for_any_text")
class DoesNotNormalise(MyEmbed):
    async def embed(self, texts: Any, *, kind: Any, call: Any) -> Any:
        return 2 * await super().embed(texts, kind=kind, call=call)


@rejected_by("test_vectors_have_unit_length_for_generated_texts")
class HasNothingForNoWords(MyEmbed):
    async def embed(self, texts: Any, *, kind: Any, call: Any) -> Any:
        has_words = np.array([[float(bool(text.split()))] for text in texts], np.float32)
        return await super().embed(texts, kind=kind, call=call) * has_words


@rejected_by("test_no_texts_make_no_vectors")
class WantsTexts(MyEmbed):
    async def embed(self, texts: Any, *, kind: Any, call: Any) -> Any:
        found = await super().embed(texts, kind=kind, call=call)
        return np.stack(list(found))


@rejected_by("test_a_vector_depends_on_its_text_and_not_on_its_neighbours")
class Centres(MyEmbed):
    async def embed(self, texts: Any, *, kind: Any, call: Any) -> Any:
        found = await super().embed(texts, kind=kind, call=call)
        moved = found - 0.5 * found.mean(axis=0)
        return moved / np.linalg.norm(moved, axis=1, keepdims=True)


@rejected_by("test_vectors_come_in_the_order_of_their_texts")
class SortsByLength(MyEmbed):
    async def embed(self, texts: Any, *, kind: Any, call: Any) -> Any:
        return await super().embed(sorted(texts, key=len), kind=kind, call=call)


@rejected_by("test_calls_at_the_same_time_do_not_mix")
class RemembersTheTexts(MyEmbed):
    async def embed(self, texts: Any, *, kind: Any, call: Any) -> Any:
        self.texts = texts
        await asyncio.sleep(0)
        return await super().embed(self.texts, kind=kind, call=call)


@rejected_by("test_a_very_long_text_is_cut")
class WantsShortTexts(MyEmbed):
    async def embed(self, texts: Any, *, kind: Any, call: Any) -> Any:
        assert max(map(len, texts), default=0) < 100_000
        return await super().embed(texts, kind=kind, call=call)


@rejected_by("test_a_call_that_is_over_is_told_so")
class NeverAsks(MyEmbed):
    async def embed(self, texts: Any, *, kind: Any, call: Any) -> Any:
        return np.eye(len(texts), self.dimensions, dtype=np.float32)


@rejected_by("test_the_same_settings_have_the_same_fingerprint_and_the_same_vectors")
class IsOneOfAKind(MyEmbed):
    @property
    def fingerprint(self) -> str:
        return f"{id(self)}"


@rejected_by("test_token_vectors_have_unit_length")
class DoesNotNormaliseTokens(HashEmbedder):
    async def embed_tokens(self, texts: Any, *, kind: Any, call: Any) -> Any:
        return [2 * each for each in await super().embed_tokens(texts, kind=kind, call=call)]


@rejected_by("test_sparse_vectors_have_rising_terms_and_finite_weights")
class TermsFall(HashEmbedder):
    async def embed_sparse(self, texts: Any, *, kind: Any, call: Any) -> Any:
        found = await super().embed_sparse(texts, kind=kind, call=call)
        return [SparseVector(each.indices[::-1], each.values[::-1]) for each in found]


@rejected_by("test_tokens_stand_in_the_text_in_order_and_all_are_counted")
class CountsWhatItReads(HashEmbedder):
    def token_offsets(self, text: str) -> Any:
        return super().token_offsets(text)[: self.max_tokens]


@rejected_by("test_tokens_are_found_on_many_threads_while_texts_are_read")
class BelongsToItsThread(HashEmbedder):
    def token_offsets(self, text: str) -> Any:
        assert threading.current_thread() is threading.main_thread()
        return super().token_offsets(text)


@rejected_by("test_it_says_how_much_it_reads")
class ReadsNothing(MyLlm):
    context_token_count = 0  # type: ignore[assignment]


@rejected_by("test_an_answer_comes_in_pieces_of_whole_characters")
class CutsCharacters(MyLlm):
    async def generate(self, prompt: Any, *, limit: int, call: Any) -> Any:
        async for piece in super().generate(prompt, limit=limit, call=call):
            yield f"{piece}\ud83c"


@rejected_by("test_the_limit_is_kept")
class IgnoresTheLimit(MyLlm):
    async def generate(self, prompt: Any, *, limit: int, call: Any) -> Any:
        async for piece in super().generate(prompt, limit=limit + 5, call=call):
            yield piece


class _Picky(MyLlm):
    """Fails for what it does not like."""

    def dislikes(self, prompt: Any) -> bool:
        return False

    async def generate(self, prompt: Any, *, limit: int, call: Any) -> Any:
        if self.dislikes(prompt):
            raise ValueError("no")
        async for piece in super().generate(prompt, limit=limit, call=call):
            yield piece


@rejected_by("test_no_text_does_harm")
class WantsText(_Picky):
    def dislikes(self, prompt: Any) -> bool:
        return not prompt.messages[-1].text


@rejected_by("test_any_text_is_answered")
class WantsAscii(_Picky):
    def dislikes(self, prompt: Any) -> bool:
        return not prompt.messages[-1].text.isascii()


@rejected_by("test_a_conversation_of_several_turns_is_continued")
class WantsOneTurn(_Picky):
    def dislikes(self, prompt: Any) -> bool:
        return len(prompt.messages) > 2


class _Speaks(MyLlm):
    """Says a long sentence, and asks for nothing."""

    async def generate(self, prompt: Any, *, limit: int, call: Any) -> Any:
        for _ in range(limit):
            call.usage.output_token_count += 1
            yield "word "


@rejected_by("test_nothing_is_said_on_a_call_that_is_over")
class SpeaksToNobody(_Speaks):
    pass


@rejected_by("test_a_call_that_ends_on_the_way_gets_nothing_more")
class AsksOnce(_Speaks):
    async def generate(self, prompt: Any, *, limit: int, call: Any) -> Any:
        call.check()
        async for piece in super().generate(prompt, limit=limit, call=call):
            yield piece


@rejected_by("test_who_stops_listening_does_not_disturb_the_next")
class TalksOn(MyLlm):
    async def generate(self, prompt: Any, *, limit: int, call: Any) -> Any:
        try:
            yield "So "
        except GeneratorExit:
            yield "on."


@rejected_by("test_calls_at_the_same_time_are_all_answered_and_counted_apart")
class CountsForTheFirst(MyLlm):
    first: Any = None

    async def generate(self, prompt: Any, *, limit: int, call: Any) -> Any:
        self.first = self.first or call
        async for piece in super().generate(prompt, limit=limit, call=self.first):
            yield piece


@rejected_by("test_tokens_are_counted")
class CountsNothing(MyLlm):
    def count_tokens(self, text: str) -> int:
        return 0


@rejected_by("test_log_probabilities_are_told_of_each_choice_or_not_at_all")
class TellsProbabilities(MyLlm):
    async def log_probabilities(self, prompt: Any, choices: Any, *, call: Any) -> Any:
        return np.ones(len(choices))
