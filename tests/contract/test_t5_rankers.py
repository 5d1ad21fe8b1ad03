"""Flan-T5 and duoT5 in shape, tiny and random, from their files through `seq2seq-lm` to the rerankers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
import pytest
import torch
from checkpoints.seq2seq import save_seq2seq
from numpy.typing import NDArray
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

from tamis.context import Call
from tamis.model import Passage, Query
from tamis.models import Prompt
from tamis.stage import Reranker, Reranking
from tamis.testing.contract import RerankerContract, opened
from tamis.testing.contract.collections import TEXTS, passage
from tamis_llm_rankers import PairwiseReranker, QueryLikelihoodReranker, SetwiseReranker
from tamis_llm_rankers.asking import Asking, Voice
from tamis_llm_rankers.template import PromptTemplate, Role
from tamis_transformers.seq2seq_lm import Seq2SeqLm

pytestmark = pytest.mark.usefixtures("one_thread")
_FOLDER = TemporaryDirectory()
QUERY = Query("What raises the tides?")
PASSAGES = [passage(str(number), text) for number, text in enumerate(TEXTS[:4])]
Kind = Literal["flan", "t5"]
COMPARISONS: tuple[tuple[Kind, Role, str, int], ...] = (
    ("t5", "pairwise", "duo-t5", 2),
    ("flan", "pairwise", "prp", 2),
    ("flan", "setwise", "setwise", 4),
)


@cache
def _checkpoint(kind: Kind) -> Path:
    return save_seq2seq(Path(_FOLDER.name) / kind, kind)


def _llm(kind: Kind) -> Seq2SeqLm:
    return Seq2SeqLm(Seq2SeqLm.Settings(model=str(_checkpoint(kind)), device="cpu", dtype="float32"))


class TestDuoT5(RerankerContract):
    def component(self) -> Reranker:
        """Of few candidates: each of them is compared with each other, twice."""
        settings = PairwiseReranker.Settings(llm=_llm("t5"), prompt="duo-t5", method="all-pairs", max_candidates=20)
        return PairwiseReranker(settings)


def _reference(kind: Kind, prompt: Prompt, choices: Sequence[str]) -> NDArray[Any]:
    """By transformers alone: the prompt as it stands, and one forward pass for each choice as the decoder's output."""
    tokenizer = AutoTokenizer.from_pretrained(_checkpoint(kind))
    model = AutoModelForSeq2SeqLM.from_pretrained(_checkpoint(kind), dtype=torch.float32).eval()
    (message,) = prompt.messages
    read = tokenizer(message.text, return_tensors="pt")["input_ids"]
    sums = []
    for choice in choices:
        labels = tokenizer(choice, add_special_tokens=False, return_tensors="pt")["input_ids"]
        with torch.inference_mode():
            told = model(input_ids=read, labels=labels).logits.log_softmax(-1)
        sums.append(float(told.gather(-1, labels[..., None]).sum()))
    return np.array(sums)


async def _ranked(
    kind: Kind, ranker: Any, passages: Sequence[Passage] = PASSAGES, **settings: Any
) -> tuple[Reranking, Call]:
    call = Call()
    async with opened(ranker(ranker.Settings(llm=_llm(kind), **settings))) as reranker:
        found = [each async for each in reranker.rerank(QUERY, passages, top_n=len(passages), call=call)]
    return found[-1], call


@pytest.mark.parametrize(("kind", "role", "prompt", "width"), COMPARISONS)
async def test_a_comparison_is_as_likely_as_transformers_has_it(
    kind: Kind, role: Role, prompt: str, width: int
) -> None:
    template, texts = PromptTemplate(role, prompt), TEXTS[:width]
    expected = _reference(kind, template.prompt(QUERY.text, texts), template.choices(width))
    async with opened(_llm(kind)) as llm:
        told = await llm.log_probabilities(template.prompt(QUERY.text, texts), template.choices(width), call=Call())
        voice = Voice(llm, template, in_words=False, thinking_tokens=0)
        asking = Asking(voice, QUERY.text, texts, Call(), limit=1, at_once=1)
        likely = await asking.likelihoods(range(width))
    assert told == pytest.approx(expected, abs=1e-3)
    assert likely == pytest.approx(np.exp(expected) / np.exp(expected).sum(), abs=1e-3)
    assert len({round(each, 4) for each in expected}) == width


@pytest.mark.parametrize(
    ("kind", "prompt", "pair"), [("t5", "duo-t5", (3, 4)), ("t5", "prp", (1, 4)), ("flan", "duo-t5", (1, 2))]
)
async def test_two_passages_stand_as_both_orders_of_transformers_have_them(
    kind: Kind, prompt: str, pair: tuple[int, int]
) -> None:
    template, texts = PromptTemplate("pairwise", prompt), [TEXTS[number] for number in pair]
    there, back = (
        _reference(kind, template.prompt(QUERY.text, each), template.choices(2)) for each in (texts, texts[::-1])
    )
    first = np.exp(there[0]) / np.exp(there).sum() + np.exp(back[1]) / np.exp(back).sum()
    assert abs(first - 1) > 0.1, "too near to a tie to tell on every machine"
    passages = [passage(str(number), TEXTS[number]) for number in pair]
    found, call = await _ranked(kind, PairwiseReranker, passages, prompt=prompt, method="all-pairs")
    assert found.order == ((0, 1) if first >= 1 else (1, 0))
    assert (call.notes, call.usage.model_call_count, call.usage.output_token_count) == ([], 2, 0)


async def test_a_query_is_as_likely_as_transformers_has_it() -> None:
    template = PromptTemplate("query-likelihood", "upr")
    found, call = await _ranked("flan", QueryLikelihoodReranker, per_token=False)
    expected = [_reference("flan", template.prompt("", [text]), [QUERY.text])[0] for text in TEXTS[:4]]
    assert found.scores == pytest.approx(expected, abs=1e-3)
    assert call.usage.model_call_count == 4


@pytest.mark.parametrize(
    ("kind", "ranker", "settings"),
    [
        ("t5", PairwiseReranker, {"prompt": "duo-t5", "method": "heap"}),
        ("flan", PairwiseReranker, {"prompt": "prp", "method": "sliding"}),
        ("flan", PairwiseReranker, {"prompt": "prp", "answers": "text"}),
        ("flan", SetwiseReranker, {"prompt": "setwise"}),
    ],
)
async def test_every_method_gives_a_whole_order(kind: Kind, ranker: Any, settings: dict[str, Any]) -> None:
    found, call = await _ranked(kind, ranker, **settings)
    assert sorted(found.order) == [0, 1, 2, 3]
    assert (call.usage.output_token_count > 0) == ("answers" in settings)
