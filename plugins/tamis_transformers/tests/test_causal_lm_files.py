"""Where a language model of one's own is read from, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from checkpoints.causal import SIZES, chat_tokenizer, save_chat, write_gguf
from transformers import BertConfig, BertModel, LlamaConfig, LlamaForCausalLM

from tamis.context import Call
from tamis.errors import ConfigurationError
from tamis.models import Message, Prompt
from tamis.testing.contract import opened
from tamis.testing.contract.collections import TEXTS
from tamis_transformers import CausalLm

PROMPT = Prompt((Message("user", "moon"),))


def _llm(path: Path | str, **settings: Any) -> CausalLm:
    return CausalLm(CausalLm.Settings(model=str(path), device="cpu", dtype="float32", **settings))


async def _said(llm: CausalLm) -> str:
    return "".join([piece async for piece in llm.generate(PROMPT, limit=24, call=Call())])


@pytest.fixture(scope="module")
def gguf_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_gguf(tmp_path_factory.mktemp("gguf") / "tiny.gguf")


async def test_a_gguf_file_is_read_with_itschat_tokenizer(gguf_file: Path) -> None:
    async with opened(_llm(gguf_file)) as llm:
        assert llm.context_token_count == 512
        assert llm.count_tokens(TEXTS[0]) == len(chat_tokenizer(None).encode(TEXTS[0], add_special_tokens=False))
        said = await _said(llm)
        assert said
        assert said == await _said(llm)
        odds = await llm.log_probabilities(PROMPT, ["yes", "no"], call=Call())
        assert (odds < 0).all()


async def test_a_gguf_file_may_have_its_tokenizer_elsewhere(gguf_file: Path, tmp_path: Path) -> None:
    async with opened(_llm(gguf_file, tokenizer=str(save_chat(tmp_path)))) as llm:
        assert llm._model._conversation.has_template
        assert await _said(llm)


def test_a_gguf_file_that_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="no GGUF file"):
        _llm("/no/such/model.gguf")


async def test_a_file_that_only_has_the_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.gguf").write_bytes(b"no model at all")
    with pytest.raises(ConfigurationError, match="cannot be loaded"):
        await _llm(tmp_path / "bad.gguf").open()


async def test_a_checkpoint_that_is_no_language_model_is_refused(tmp_path: Path) -> None:
    BertModel(
        BertConfig(
            vocab_size=30,
            **{
                key: SIZES[key]
                for key in ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
            },
        )
    ).save_pretrained(tmp_path)
    chat_tokenizer(None).save_pretrained(tmp_path)
    with pytest.raises(ConfigurationError):
        await _llm(tmp_path).open()


async def test_weights_as_pickle_are_refused(tmp_path: Path) -> None:
    chat_tokenizer(None).save_pretrained(tmp_path)
    model = LlamaForCausalLM(LlamaConfig(vocab_size=400, **SIZES))
    model.config.save_pretrained(tmp_path)
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(ConfigurationError, match="cannot be loaded"):
        await _llm(tmp_path).open()
