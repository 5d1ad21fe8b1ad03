"""Tiny random causal language models of the real classes, saved as their authors save them."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, Literal

import gguf
import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedTokenizerFast,
)

from tamis.testing.contract.collections import TEXTS

__all__ = ["CHAT_TEMPLATE", "SIZES", "ZEPHYR_TEMPLATE", "chat_tokenizer", "save_chat", "save_zephyr", "write_gguf"]

ZEPHYR_TEMPLATE = (
    "{% for each in messages %}{{ '<|' + each.role + '|>\n' + each.content + eos_token + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}"
)
"""The turns that Zephyr and RankZephyr were trained on."""
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for each in messages %}<|{{ each.role }}|>{{ each.content }}<|im_end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
"""Turns of any role, each ended by a token of its own."""
SIZES = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "num_hidden_layers": 2,
    "head_dim": 16,
}


@cache
def chat_tokenizer(template: str | None) -> PreTrainedTokenizerFast:
    """Byte pairs, so that a character may be several tokens."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<s>", "</s>", "<|im_end|>", "<|user|>", "<|assistant|>", "<|system|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    made = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", additional_special_tokens=special[2:]
    )
    made.chat_template = template
    return made


def save_chat(folder: Path, kind: Literal["llama", "gemma"] = "llama", template: str | None = CHAT_TEMPLATE) -> Path:
    """Of Llama's class or of Gemma 3's, which attends to a window in every other layer.

    Its weights are wide, so that one token is clearly the likeliest.
    """
    torch.manual_seed(7)
    tokenizer = chat_tokenizer(template)
    common = {"vocab_size": len(tokenizer), "max_position_embeddings": 512, "initializer_range": 0.4, **SIZES}
    ends = {"bos_token_id": 0, "eos_token_id": 1}
    if kind == "gemma":
        config = Gemma3TextConfig(
            sliding_window=16, layer_types=["sliding_attention", "full_attention"], **common, **ends
        )
        model: Any = Gemma3ForCausalLM(config)
    else:
        model = LlamaForCausalLM(LlamaConfig(**common, **ends))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def save_zephyr(folder: Path) -> Path:
    """What RankZephyr is: `MistralForCausalLM` with grouped queries, a SentencePiece-like vocabulary and that template.

    Its weights are wide, so that one token is clearly the likeliest.
    """
    torch.manual_seed(11)
    tokenizer = _zephyr_tokenizer()
    config = MistralConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=4_096,
        sliding_window=None,
        initializer_range=0.4,
        bos_token_id=1,
        eos_token_id=2,
    )
    MistralForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def write_gguf(path: Path) -> Path:
    """A tiny random model as llama.cpp stores one, with its tokenizer."""
    tokenizer, random = chat_tokenizer(None), np.random.default_rng(5)
    vocabulary = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(512)
    writer.add_embedding_length(64)
    writer.add_block_count(2)
    writer.add_feed_forward_length(96)
    writer.add_head_count(2)
    writer.add_head_count_kv(2)
    writer.add_rope_dimension_count(32)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(vocabulary))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list([word for word, _ in vocabulary])
    writer.add_token_types([3 if place < 6 else 1 for _, place in vocabulary])
    merges = tokenizer.backend_tokenizer.to_str()
    writer.add_token_merges([" ".join(pair) for pair in json.loads(merges)["model"]["merges"]])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    shapes = {"token_embd": (len(vocabulary), 64), "output": (len(vocabulary), 64)}
    for block in range(2):
        shapes |= {f"blk.{block}.attn_{name}": (64, 64) for name in ("q", "k", "v", "output")}
        shapes |= {f"blk.{block}.ffn_{name}": (96, 64) for name in ("gate", "up")}
        shapes[f"blk.{block}.ffn_down"] = (64, 96)
    for name, shape in shapes.items():
        weights = random.normal(0, 0.3, shape).astype(np.float32)
        packed = gguf.quantize(weights, gguf.GGMLQuantizationType.Q8_0)
        writer.add_tensor(f"{name}.weight", packed, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    for name in ("output_norm", *(f"blk.{block}.{part}_norm" for block in range(2) for part in ("attn", "ffn"))):
        writer.add_tensor(f"{name}.weight", np.ones(64, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _zephyr_tokenizer() -> PreTrainedTokenizerFast:
    """Byte pairs over blanks as Llama's and Mistral's tokenizers have them, with bytes for what is unknown."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    special = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    alphabet = [*"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789[]()>.,:?'-▁|<"]
    trainer = trainers.BpeTrainer(
        vocab_size=700, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    made = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>", pad_token="</s>"
    )
    made.chat_template = ZEPHYR_TEMPLATE
    return made
