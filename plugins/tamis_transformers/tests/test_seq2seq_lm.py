"""Encoder-decoders, tiny and random, against transformers itself."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import torch
from checkpoints.seq2seq import save_seq2seq
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

from tamis.context import Call
from tamis.errors import ConfigurationError, InvalidRequest
from tamis.models import CUT_AT_LIMIT, Message, Prompt, Tokenizes
from tamis.testing.contract import opened
from tamis.testing.contract.collections import TEXTS
from tamis_transformers.seq2seq_lm import Seq2SeqLm

_FOLDER = TemporaryDirectory()
KINDS = ("flan", "t5", "bart")


@cache
def _checkpoint(kind: str) -> Path:
    return save_seq2seq(Path(_FOLDER.name) / kind, kind)


def _llm(kind: str = "flan", **settings: Any) -> Seq2SeqLm:
    asked = {"model": str(_checkpoint(kind)), "device": "cpu", "dtype": "float32"} | settings
    return Seq2SeqLm(Seq2SeqLm.Settings(**asked))


def _original(kind: str) -> tuple[Any, Any]:
    path = _checkpoint(kind)
    return AutoModelForSeq2SeqLM.from_pretrained(path).eval(), AutoTokenizer.from_pretrained(path)


def _prompt(text: str, begun: str = "") -> Prompt:
    answer = (Message("assistant", begun),) if begun else ()
    return Prompt((Message("user", text), *answer))


async def _said(llm: Seq2SeqLm, prompt: Prompt, limit: int = 20, call: Call | None = None) -> str:
    return "".join([piece async for piece in llm.generate(prompt, limit=limit, call=call or Call())])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", TEXTS[:4])
async def test_it_writes_what_transformers_writes(kind: str, text: str) -> None:
    model, tokenizer = _original(kind)
    ids = tokenizer(text, return_tensors="pt")
    settings = {"do_sample": False, "forced_eos_token_id": None, "num_beams": 1, "no_repeat_ngram_size": 0}
    begun = 2 if kind == "bart" else 1
    expected = model.generate(ids["input_ids"], max_new_tokens=19 + begun, **settings)[0, begun:]
    async with opened(_llm(kind)) as llm:
        said = await _said(llm, _prompt(text))
    assert said.rstrip("\ufffd") == tokenizer.decode(expected, skip_special_tokens=True).rstrip("\ufffd")


@pytest.mark.parametrize("kind", KINDS)
async def test_log_probabilities_are_those_of_the_model_itself(kind: str) -> None:
    choices = ["true", "false", "Passage A and more", "東京", ""]
    call = Call()
    async with opened(_llm(kind)) as llm:
        found = await llm.log_probabilities(_prompt(TEXTS[0]), choices, call=call)
    model, tokenizer = _original(kind)
    read = tokenizer(TEXTS[0], return_tensors="pt")["input_ids"]
    for choice, told in zip(choices, found, strict=True):
        labels = tokenizer(choice, add_special_tokens=False)["input_ids"]
        expected = 0.0
        if labels:
            forced = [0] if kind == "bart" else []
            with torch.inference_mode():
                logits = model(input_ids=read, labels=torch.tensor([[*forced, *labels]])).logits[0].log_softmax(-1)
            expected = sum(float(logits[len(forced) + at, token]) for at, token in enumerate(labels))
        assert told == pytest.approx(expected, abs=1e-3)
    assert call.usage.model_call_count == 1
    assert call.usage.input_token_count > 0


async def test_an_answer_that_has_begun_is_continued() -> None:
    model, tokenizer = _original("flan")
    prompt = _prompt("Which is better?", "Passage")
    async with opened(_llm()) as llm:
        said = await _said(llm, prompt)
        told = await llm.log_probabilities(prompt, ["A", "B"], call=Call())
        whole = ["Passage", "Passage A", "Passage B"]
        alone = await llm.log_probabilities(_prompt("Which is better?"), whole, call=Call())
    begun = torch.tensor([[0, *tokenizer("Passage", add_special_tokens=False)["input_ids"]]])
    ids = tokenizer("Which is better?", return_tensors="pt")["input_ids"]
    expected = model.generate(ids, decoder_input_ids=begun, max_new_tokens=20, do_sample=False)[0, begun.shape[1] :]
    assert said == tokenizer.decode(expected, skip_special_tokens=True)
    assert list(told) == pytest.approx(list(alone[1:] - alone[0]), abs=1e-3)


async def test_tokens_read_and_written_are_counted_and_a_cut_is_told() -> None:
    call = Call()
    async with opened(_llm()) as llm:
        await _said(llm, _prompt(TEXTS[0]), limit=4, call=call)
    read = len(_original("flan")[1](TEXTS[0])["input_ids"]) + 1
    assert (call.usage.input_token_count, call.usage.output_token_count) == (read, 4)
    assert call.usage.model_call_count == 5
    assert call.notes == [CUT_AT_LIMIT]


async def test_it_reads_what_it_was_trained_on_or_what_the_settings_say_where_positions_are_relative() -> None:
    for kind, wanted, read in (("t5", None, 512), ("t5", 2_048, 2_048), ("bart", 2_048, 512), ("bart", 64, 64)):
        async with opened(_llm(kind, context_token_count=wanted)) as llm:
            assert llm.context_token_count == read
            with pytest.raises(InvalidRequest, match=f"the model reads {read - 1:,}"):
                await _said(llm, _prompt("moon " * 3_000))


async def test_no_message_can_bring_special_tokens() -> None:
    tokenizer = _original("flan")[1]
    async with opened(_llm()) as llm:
        read = llm._model.tokens(_prompt("moon</s> <extra_id_0> sun"))
    assert not set(read.encoder[:-1]) & {*tokenizer.all_special_ids} - {tokenizer.unk_token_id}


async def test_tokens_are_found_by_its_own_tokenizer() -> None:
    async with opened(_llm()) as llm:
        assert isinstance(llm, Tokenizes)
        for text in TEXTS:
            assert len(llm.token_offsets(text)) == llm.count_tokens(text) > 0


async def test_a_model_without_a_decoder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError):
        await Seq2SeqLm(Seq2SeqLm.Settings(model="all-MiniLM-L6-v2")).open()
