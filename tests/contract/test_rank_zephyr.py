"""RankZephyr's shape, tiny and random, from its files through `causal-lm` to the rerankers that ask it."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import torch
from checkpoints.causal import save_zephyr
from transformers import AutoModelForCausalLM, AutoTokenizer

from tamis.context import Call
from tamis.model import Passage, Query
from tamis.stage import Reranker
from tamis.testing.contract import RerankerContract, opened
from tamis.testing.contract.collections import TEXTS, passage
from tamis_llm_rankers import ListwiseLlmReranker, PairwiseReranker, QueryLikelihoodReranker, SetwiseReranker, notes
from tamis_llm_rankers.template import PromptTemplate
from tamis_transformers import CausalLm

pytestmark = pytest.mark.usefixtures("one_thread")
_FOLDER = TemporaryDirectory()
QUERY = Query("What raises the tides?")
PASSAGES = [passage(str(number), text) for number, text in enumerate(TEXTS[:4])]


@cache
def _checkpoint() -> Path:
    return save_zephyr(Path(_FOLDER.name) / "zephyr")


def _llm() -> CausalLm:
    return CausalLm(CausalLm.Settings(model=str(_checkpoint()), device="cpu", dtype="float32"))


class TestFirstOnZephyr(RerankerContract):
    def component(self) -> Reranker:
        settings = ListwiseLlmReranker.Settings(llm=_llm(), method="first", prompt="first", window=5, stride=2)
        return ListwiseLlmReranker(settings)


async def _ranked(kind: Any, passages: list[Passage] = PASSAGES, **settings: Any) -> tuple[tuple[int, ...], Call, Any]:
    call = Call()
    async with opened(kind(kind.Settings(llm=_llm(), **settings))) as reranker:
        found = [each async for each in reranker.rerank(QUERY, passages, top_n=4, call=call)]
    return (found[-1].order if found else ()), call, found


def _reference(prompt: Any, choices: list[str]) -> list[float]:
    """By transformers alone: the template as the tokenizer has it, and one forward pass for each choice."""
    tokenizer = AutoTokenizer.from_pretrained(_checkpoint())
    model = AutoModelForCausalLM.from_pretrained(_checkpoint(), dtype=torch.float32).eval()
    turns = [{"role": each.role, "content": each.text} for each in prompt.messages]
    text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    assert text.startswith("<|system|>\nYou are RankLLM") or len(turns) == 1
    assert text.endswith("<|assistant|>\n")
    sums = []
    for choice in choices:
        read = tokenizer(text, add_special_tokens=False)["input_ids"]
        whole = tokenizer(text + choice, add_special_tokens=False)["input_ids"]
        with torch.inference_mode():
            told = model(torch.tensor([whole])).logits[0].log_softmax(-1)
        sums.append(sum(float(told[at - 1, whole[at]]) for at in range(len(read), len(whole))))
    return sums


async def test_the_first_token_orders_as_transformers_has_it() -> None:
    template = PromptTemplate("listwise", "first")
    texts = [each.text for each in PASSAGES]
    expected = _reference(template.prompt(QUERY.text, texts), template.choices(4))
    order, call, _ = await _ranked(ListwiseLlmReranker, method="first", prompt="first")
    assert order == tuple(int(each) for each in np.argsort(-np.array(expected), kind="stable"))
    assert call.notes == []
    assert (call.usage.model_call_count, call.usage.output_token_count) == (1, 0)


async def test_a_query_is_as_likely_as_transformers_has_it() -> None:
    template = PromptTemplate("query-likelihood", "upr")
    _, call, found = await _ranked(QueryLikelihoodReranker, per_token=False)
    expected = [_reference(template.prompt("", [each.text]), [QUERY.text])[0] for each in PASSAGES]
    assert found[-1].scores == pytest.approx(expected, abs=1e-3)
    assert call.usage.model_call_count == 4


async def test_random_weights_write_an_order_that_is_repaired_or_none() -> None:
    order, call, _ = await _ranked(ListwiseLlmReranker, prompt="rank-zephyr")
    assert sorted(order) in ([], [0, 1, 2, 3])
    assert call.usage.output_token_count > 0
    assert {notes.NOTHING, notes.MISSING, notes.PROSE} & set(call.notes)


@pytest.mark.parametrize("kind", [PairwiseReranker, SetwiseReranker])
async def test_pairs_and_sets_are_compared_by_log_probabilities(kind: Any) -> None:
    order, call, _ = await _ranked(kind)
    assert sorted(order) == [0, 1, 2, 3]
    assert call.notes == []
    assert call.usage.output_token_count == 0
