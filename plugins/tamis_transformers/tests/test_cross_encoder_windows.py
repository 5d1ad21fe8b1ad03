"""Passages longer than the model, and what models and callers do that they should not."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from checkpoints import cross_encoders

from tamis.context import Call, CallEnded
from tamis.model import Passage, Query
from tamis.testing.contract import opened
from tamis_transformers import CrossEncoderReranker

LONG = "sun sea tide moon " * 40
_FOLDER = TemporaryDirectory()


@cache
def _checkpoint(kind: str) -> Path:
    """Made once, removed when the process ends."""
    return cross_encoders.ALL[kind](Path(_FOLDER.name) / kind)


def _reranker(kind: str = "bert", **settings: Any) -> CrossEncoderReranker:
    chosen = {"model": str(_checkpoint(kind)), "device": "cpu", "dtype": "float32", "max_tokens": 64} | settings
    return CrossEncoderReranker(CrossEncoderReranker.Settings(**chosen))


def _passages(texts: Sequence[str]) -> list[Passage]:
    return [Passage(str(place), str(place), 1, text) for place, text in enumerate(texts)]


async def _scored(it: CrossEncoderReranker, *texts: str, call: Call | None = None) -> list[float]:
    found = {place: score async for place, score in it.score(Query("moon"), _passages(texts), call=call or Call())}
    return [found[place] for place in range(len(texts))]


async def test_a_long_passage_has_the_score_of_its_best_window() -> None:
    async with opened(_reranker()) as it:
        scorer, _ = it._opened
        (windows,) = scorer.tokenize("moon", [LONG]).windows
        assert len(windows) > 3
        call = Call()
        assert await _scored(it, LONG, call=call) == pytest.approx([max(scorer.score(windows))], abs=1e-4)
    assert call.usage.pair_count == 1
    assert call.usage.input_token_count == sum(len(each.tokens) for each in windows)


@pytest.mark.parametrize("kind", ["bert", "qwen3", "monot5"])
async def test_windows_overlap_and_leave_nothing_out(kind: str) -> None:
    settings = {"bert": {}, "qwen3": {"max_tokens": 200}, "monot5": {}}[kind]
    words = " ".join(f"{first}{second}" for first in "abcdefghij" for second in "abcdefghij")
    async with opened(_reranker(kind, overlap_tokens=8, **settings)) as it:
        scorer, _ = it._opened
        frame = scorer._frame
        (read,) = frame._tokens([f"{frame._passage.lead}{words}"])
        (windows,) = scorer.tokenize("moon", [words]).windows
        (one,) = scorer.tokenize("moon", ["a"]).windows[0]
    around = len(one.tokens) - len(frame._tokens([f"{frame._passage.lead}a"])[0])
    lead, shown = len(frame._lead), list(read)
    before = next(at for at in range(len(one.tokens)) if windows[0].tokens[at : at + 4] == read[:4])
    found: list[int] = list(read[:lead])
    for window in windows:
        size = len(window.tokens) - around
        assert window.tokens[before : before + lead] == read[:lead]
        part = list(window.tokens[before + lead : before + size])
        overlap = next((n for n in range(min(len(part), len(found)), 0, -1) if found[-n:] == part[:n]), 0)
        assert overlap >= 8 or window is windows[0]
        found.extend(part[overlap:])
    assert found == shown
    assert len({len(window.tokens) for window in windows}) == 1, "the last one is full, too"


async def test_where_long_passages_are_cut_the_first_window_counts() -> None:
    call = Call()
    async with opened(_reranker(long_passages="cut")) as it, opened(_reranker()) as other:
        (windows,) = other._opened[0].tokenize("moon", [LONG]).windows
        expected = other._opened[0].score(windows[:1])
        assert await _scored(it, LONG, call=call) == pytest.approx(expected, abs=1e-4)
    assert call.notes == ["a long passage was cut"]


async def test_short_passages_come_before_long_ones_are_done() -> None:
    async with opened(_reranker(batch_token_count=64)) as it:
        order = [place async for place, _ in it.score(Query("moon"), _passages([LONG, "sun"]), call=Call())]
        assert sorted(order) == [0, 1]
        call = Call()
        yielded = [each async for each in it.rerank(Query("moon"), _passages(["sun", LONG]), top_n=2, call=call)]
    assert [each.ranked_count for each in yielded] == [1, 2]
    assert call.usage.pair_count == 2


async def test_a_megabyte_is_read_up_to_the_limit_and_says_so() -> None:
    call = Call()
    async with opened(_reranker(most_passage_tokens=500, overlap_tokens=0)) as it:
        huge = "moon tide " * 100_000
        (windows,) = it._opened[0].tokenize("moon", [huge]).windows
        assert sum(len(each.tokens) for each in windows) < 700
        assert await _scored(it, huge, "x" * 1_000_000, " " * 1_000_000, call=call)
    assert call.notes == ["a long passage was cut"]
    assert call.usage.input_token_count < 3_000


async def test_ten_thousand_passages_are_all_ranked() -> None:
    passages = _passages(["moon", "sun", "sea tide", "moon"] * 2_500)
    async with opened(_reranker(batch_token_count=65_536)) as it:
        last = [each async for each in it.rerank(Query("moon"), passages, top_n=10, call=Call())][-1]
    assert sorted(last.order) == list(range(10_000))
    assert last.ranked_count == 10_000


async def test_a_call_that_ends_while_it_is_tokenized_is_tokenized_no_further() -> None:
    call = Call()
    async with opened(_reranker()) as it:
        scorer, queue = it._opened
        read: list[int] = []

        class Counting:
            """The scorer, and a caller who leaves after its first passages."""

            def tokenize(self, query: str, texts: Sequence[str]) -> Any:
                read.append(len(texts))
                call.end()
                return scorer.tokenize(query, texts)

        it._opened = Counting(), queue  # type: ignore[assignment]
        with pytest.raises(CallEnded):
            await _scored(it, *["sun"] * 1_000, call=call)
        it._opened = scorer, queue
    assert sum(read) < 1_000


@pytest.mark.parametrize("scores", ["logit", "probability"])
async def test_what_the_model_has_no_number_for_is_left_without_a_score(scores: Any) -> None:
    call = Call()
    async with opened(_reranker(scores=scores)) as it:
        classifier = it._opened[0]._head._runtime._network.model.classifier
        hook = classifier.register_forward_hook(lambda *parts: parts[2].fill_(math.nan))
        yielded = [each async for each in it.rerank(Query("moon"), _passages(["sun"]), top_n=1, call=call)]
        hook.remove()
    assert yielded == []
    assert call.notes == ["score that is not finite dropped", "passages left without a score"]


async def test_a_window_without_a_number_does_not_spoil_the_others() -> None:
    async with opened(_reranker()) as it:
        scorer, _ = it._opened
        (windows,) = scorer.tokenize("moon", [LONG]).windows
        expected = sorted(scorer.score(windows))
        classifier = scorer._head._runtime._network.model.classifier

        def spoil(_: Any, __: Any, logits: Any) -> Any:
            logits[logits.argmin()] = math.nan
            return logits

        hook = classifier.register_forward_hook(spoil)
        (found,) = await _scored(it, LONG)
        hook.remove()
    assert found == pytest.approx(expected[-1], abs=1e-4)


async def test_queries_that_are_too_long_are_cut_and_leave_room_for_the_passage() -> None:
    call = Call()
    async with opened(_reranker()) as it:
        read = it._opened[0].tokenize("moon " * 5_000, ["sea", LONG])
        async for _ in it.score(Query("moon " * 5_000), _passages(["sea", LONG]), call=call):
            pass
    assert all(len(each.tokens) <= 64 for windows in read.windows for each in windows)
    assert "a long query was cut" in call.notes


async def test_who_stops_listening_leaves_nothing_in_the_queue() -> None:
    async with opened(_reranker(batch_token_count=64)) as it:
        stream = it.score(Query("moon"), _passages([LONG] * 50), call=Call())
        task = asyncio.ensure_future(anext(aiter(stream)))
        await task
        await stream.aclose()  # type: ignore[attr-defined]
        assert len(it._opened[1]._waiting) == 0
