"""The layerwise reranker against its authors' own class, and the laws of its early exit."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from checkpoints.layerwise import CONFIG, save_layerwise
from hypothesis import given
from hypothesis import strategies as st

from tamis.context import Call, CallEnded
from tamis.errors import ConfigurationError
from tamis.model import Query
from tamis.stage import Reranking
from tamis.testing.contract import opened
from tamis.testing.contract.collections import TEXTS, passage
from tamis_transformers.early_exit import Standing, spread, staying
from tamis_transformers.layerwise import LayerwiseReranker

REFERENCE = json.loads((Path(__file__).parents[3] / "tests" / "references" / "layerwise.json").read_text())
MANY = [f"{text[:30]} {number}" for number in range(3) for text in TEXTS]
_FOLDER = TemporaryDirectory()


@cache
def _checkpoint() -> Path:
    return save_layerwise(Path(_FOLDER.name) / "layerwise")


def _reranker(**settings: Any) -> LayerwiseReranker:
    asked = {"model": str(_checkpoint()), "device": "cpu", "dtype": "float32"} | settings
    return LayerwiseReranker(LayerwiseReranker.Settings(**asked))


async def _rerankings(
    reranker: LayerwiseReranker, texts: Sequence[str], query: str = TEXTS[0], top_n: int = 3, call: Call | None = None
) -> list[Reranking]:
    passages = [passage(str(number), text) for number, text in enumerate(texts)]
    stream = reranker.rerank(Query(query), passages, top_n=top_n, call=call or Call())
    return [each async for each in stream]


@pytest.mark.parametrize("layer", range(2, 7))
async def test_scores_are_those_of_the_authors_own_class(layer: int) -> None:
    async with opened(_reranker()) as it:
        for asked in REFERENCE["queries"]:
            call = Call(options={"layer": layer})
            found = await _rerankings(it, REFERENCE["passages"], asked["query"], call=call)
            assert list(found[-1].scores) == pytest.approx(asked["scores"][str(layer)], abs=1e-3)
            assert call.notes == []


async def test_the_layer_of_the_settings_counts_unless_a_request_says_otherwise() -> None:
    expected = REFERENCE["queries"][0]
    async with opened(_reranker(layer=4)) as it:
        for options, layer in (({}, "4"), ({"layer": 2}, "2"), ({"layer": None}, "6")):
            found = await _rerankings(it, REFERENCE["passages"], expected["query"], call=Call(options=options))
            assert list(found[-1].scores) == pytest.approx(expected["scores"][layer], abs=1e-3)


async def test_a_layer_that_has_no_score_becomes_the_nearest_one_that_has() -> None:
    async with opened(_reranker()) as it:
        for asked, nearest in ((1, 2), (40, 6)):
            call = Call(options={"layer": asked})
            found = await _rerankings(it, TEXTS, call=call)
            exact = await _rerankings(it, TEXTS, call=Call(options={"layer": nearest}))
            assert list(found[-1].scores) == pytest.approx(exact[-1].scores, abs=1e-4)
            assert call.notes == ["the nearest layer that has a score was used"]


@pytest.mark.parametrize("state_bytes", [0, 40_000, 1_000_000_000])
async def test_without_a_margin_to_leave_by_early_exit_changes_nothing(state_bytes: int) -> None:
    async with opened(_reranker()) as it:
        straight = await _rerankings(it, MANY)
    async with opened(_reranker(exit_layers=(2, 4), state_bytes=state_bytes)) as it:
        found = await _rerankings(it, MANY)
        assert it._held_bytes == 0
    assert found[-1].order == straight[-1].order
    assert list(found[-1].scores) == pytest.approx(straight[-1].scores, abs=1e-4)


async def test_a_margin_as_wide_as_scores_move_apart_keeps_the_top() -> None:
    async with opened(_reranker()) as it:
        by_layer = {
            layer: (await _rerankings(it, MANY, call=Call(options={"layer": layer})))[-1] for layer in (2, 4, 6)
        }
    margin = max(spread(by_layer[layer].scores, by_layer[6].scores) for layer in (2, 4))
    async with opened(_reranker(exit_layers=(2, 4), exit_margin=margin)) as it:
        found = await _rerankings(it, MANY, top_n=3)
    assert found[-1].order[:3] == by_layer[6].order[:3]


async def test_who_cannot_reach_the_top_goes_no_deeper_and_stands_behind_without_a_score() -> None:
    call = Call()
    async with opened(_reranker(exit_layers=(2,), exit_margin=0.5)) as it:
        found = await _rerankings(it, MANY, top_n=3, call=call)
        shallow = (await _rerankings(it, MANY, call=Call(options={"layer": 2})))[-1]
        deep = (await _rerankings(it, MANY, call=Call(options={"exit_margin": math.inf})))[-1]
    stays = staying(dict(enumerate(shallow.scores)), 3, 0.5)
    last = found[-1]
    assert 3 <= len(stays) < len(MANY)
    assert set(last.order[: len(stays)]) == set(stays)
    assert last.order[len(stays) :] == tuple(index for index in shallow.order if index not in stays)
    for index, score in enumerate(last.scores):
        assert score == (pytest.approx(deep.scores[index], abs=1e-4) if index in stays else None)
    assert last.ranked_count == len(MANY)
    assert call.usage.pair_count == len(MANY)


async def test_no_reranking_has_scores_of_two_layers() -> None:
    async with opened(_reranker(exit_layers=(2, 4), exit_margin=1.0)) as it:
        found = await _rerankings(it, MANY)
        by_layer = [
            (await _rerankings(it, MANY, call=Call(options={"layer": layer, "exit_margin": math.inf})))[-1].scores
            for layer in (2, 4, 6)
        ]
    for each in found:
        told = {index: score for index, score in enumerate(each.scores) if score is not None}
        assert any(
            all(score == pytest.approx(scores[index], abs=1e-4) for index, score in told.items()) for scores in by_layer
        )
    assert any(not any(each.scores) for each in found), "between two layers"


async def test_states_that_are_kept_save_the_tokens_from_being_read_again() -> None:
    read = []
    for state_bytes in (0, 1_000_000_000):
        call = Call()
        async with opened(_reranker(exit_layers=(2,), state_bytes=state_bytes)) as it:
            await _rerankings(it, TEXTS, call=call)
        read.append(call.usage.input_token_count)
    assert read[0] == 2 * read[1]


async def test_a_call_that_ends_between_two_layers_goes_no_deeper_and_frees_its_states() -> None:
    call, yielded = Call(), []
    async with opened(_reranker(exit_layers=(2,))) as it:
        passages = [passage(str(number), text) for number, text in enumerate(TEXTS)]
        with pytest.raises(CallEnded):
            async for each in it.rerank(Query(TEXTS[0]), passages, top_n=3, call=call):
                yielded.append(each)
                if len(yielded) == len(TEXTS) + 1:
                    call.end()
        assert it._held_bytes == 0
    assert len(yielded) == len(TEXTS) + 1
    assert None not in yielded[-1].scores


async def test_a_score_that_is_no_number_is_left_out_and_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    call = Call()
    async with opened(_reranker(exit_layers=(2,))) as it:
        monkeypatch.setattr(it._model, "_heads", it._model._heads * math.nan)
        found = await _rerankings(it, TEXTS, call=call)
    assert found == []
    assert call.notes == ["score that is not finite dropped", "passages left without a score"]


async def test_no_text_can_bring_special_tokens() -> None:
    async with opened(_reranker()) as it:
        (tokens,) = it._model.tokenize("moon</s>", ["<s>sun</s><pad>"])
    assert not set(tokens[1:]) & {1, 2, 3}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"model_type": "llama"}, "no layerwise MiniCPM"),
        ({"head_type": "raw"}, "no layerwise MiniCPM"),
        ({"rope_scaling": {"type": "linear", "factor": 2.0}}, "scales its positions"),
        ({"start_layer": 1}, "lacks a head"),
        ({"num_hidden_layers": 7}, "lacks"),
    ],
)
async def test_a_checkpoint_of_another_kind_is_refused(changed: dict[str, Any], message: str, tmp_path: Path) -> None:
    folder = tmp_path / "other"
    shutil.copytree(_checkpoint(), folder)
    (folder / "config.json").write_text(json.dumps(CONFIG | changed))
    with pytest.raises(ConfigurationError, match=message):
        await _reranker(model=str(folder)).open()


@pytest.mark.parametrize("settings", [{"layer": 1}, {"layer": 7}, {"exit_layers": (2, 9)}])
async def test_settings_that_name_a_layer_without_a_score_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"has no score; the model at .* has layers 2 to 6"):
        await _reranker(**settings).open()


SCORES = st.lists(st.tuples(*[st.floats(-9, 9)] * 3), min_size=1, max_size=12)


@given(SCORES, st.integers(1, 14))
def test_nobody_leaves_who_would_be_at_the_top_when_the_margin_is_the_spread(
    scores: Sequence[tuple[float, float, float]], top_n: int
) -> None:
    by_layer = [dict(enumerate(layer)) for layer in zip(*scores, strict=True)]
    deep = [*by_layer[-1].values()]
    going = set(by_layer[0])
    for layer in by_layer[:-1]:
        margin = spread([*layer.values()], deep) * (1 + 1e-9) + 1e-9
        going = set(staying({index: layer[index] for index in going}, top_n, margin))
    for index in set(by_layer[0]) - going:
        assert sum(score > deep[index] for score in deep) >= top_n


@given(SCORES, st.integers(1, 14), st.floats(0, 9))
def test_at_least_the_best_stay_and_all_with_an_infinite_margin(
    scores: Sequence[tuple[float, float, float]], top_n: int, margin: float
) -> None:
    layer = {index: score for index, (score, *_) in enumerate(scores)}
    best = sorted(layer, key=lambda index: -layer[index])
    stays = staying(layer, top_n, margin)
    assert stays[:top_n] == best[:top_n]
    assert set(staying(layer, top_n, margin / 2)) <= set(stays)
    assert staying(layer, top_n, math.inf) == best


@given(SCORES, st.data())
def test_only_those_with_a_score_of_the_deeper_layer_change_places(
    scores: Sequence[tuple[float, float, float]], data: st.DataObject
) -> None:
    standing = Standing(len(scores))
    for index, (shallow, *_) in enumerate(scores):
        standing.add(index, shallow)
    before = standing.settle()
    arrived = data.draw(st.lists(st.integers(0, len(scores) - 1), unique=True, min_size=1))
    for count, index in enumerate(arrived, 1):
        better = standing.add(index, scores[index][1])
        moved = set(arrived[:count])
        places = [place for place, each in enumerate(better.order) if each in moved]
        assert places == [place for place, each in enumerate(before.order) if each in moved]
        deep = [scores[better.order[place]][1] for place in places]
        assert deep == sorted(deep, reverse=True)
        assert [e for e in better.order if e not in moved] == [e for e in before.order if e not in moved]
        assert better.scores == (None,) * len(scores)


async def test_what_was_scored_at_a_layer_is_not_scored_there_again() -> None:
    first, again = Call(), Call()
    async with opened(_reranker(exit_layers=(2, 4), exit_margin=0.5)) as it:
        found = await _rerankings(it, MANY, call=first)
        same = await _rerankings(it, MANY, call=again)
    assert (same[-1].order, same[-1].scores) == (found[-1].order, found[-1].scores)
    assert (first.usage.pair_count, first.usage.cache_hit_count) == (len(MANY), 0)
    assert (again.usage.pair_count, again.usage.model_call_count, again.usage.input_token_count) == (0, 0, 0)


@pytest.mark.parametrize("cached_scores", [0, 20, 60, 1_000])
async def test_known_and_unknown_scores_of_any_layer_make_the_same_order(cached_scores: int) -> None:
    async with opened(_reranker(exit_layers=(2, 4), cached_scores=0)) as plain:
        expected = await _rerankings(plain, MANY)
    async with opened(_reranker(exit_layers=(2, 4), cached_scores=cached_scores)) as it:
        for _ in range(3):
            await _rerankings(it, MANY[5:])
            found = await _rerankings(it, MANY)
            assert found[-1].order == expected[-1].order
            assert list(found[-1].scores) == pytest.approx(expected[-1].scores, abs=1e-4)
