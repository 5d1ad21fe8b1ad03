"""Tiny random encoder-decoders of the real classes, saved as their authors save them."""

from __future__ import annotations

import json
import string
from pathlib import Path
from typing import Any, Literal

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    BartTokenizer,
    T5Config,
    T5ForConditionalGeneration,
    T5Tokenizer,
)

from tamis.testing.contract.collections import TEXTS

__all__ = ["save_seq2seq"]


def save_seq2seq(folder: Path, kind: Literal["flan", "t5", "bart"] = "flan") -> Path:
    """`flan`: gated, its head untied, as Flan-T5 and UL2; `t5`: as the first T5, of which DuoT5 was made."""
    torch.manual_seed(11)
    model, tokenizer = _bart() if kind == "bart" else _t5(kind)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _t5(kind: str) -> tuple[Any, Any]:
    tokenizer = T5Tokenizer(vocab=_pieces(), extra_ids=4)
    config = T5Config(
        vocab_size=len(tokenizer),
        d_model=32,
        d_kv=16,
        d_ff=64,
        num_heads=2,
        num_layers=2,
        num_decoder_layers=2,
        feed_forward_proj="gated-gelu" if kind == "flan" else "relu",
        tie_word_embeddings=kind == "t5",
        decoder_start_token_id=0,
        pad_token_id=0,
        eos_token_id=1,
        n_positions=512,
        initializer_factor=3.0,  # so wide that one token is clearly the likeliest
    )
    return T5ForConditionalGeneration(config).eval(), tokenizer


def _bart() -> tuple[Any, Any]:
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    trained.train_from_iterator(TEXTS, trainer)
    merges = [tuple(pair) for pair in _json(trained)["model"]["merges"]]
    tokenizer = BartTokenizer(vocab=trained.get_vocab(), merges=merges)
    config = BartConfig(
        vocab_size=len(tokenizer),
        d_model=32,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=64,
        decoder_ffn_dim=64,
        max_position_embeddings=512,
        init_std=0.4,
        bos_token_id=0,
        pad_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=2,
    )
    model = BartForConditionalGeneration(config).eval()
    model.generation_config.forced_bos_token_id = 0
    return model, tokenizer


def _pieces() -> list[tuple[str, float]]:
    """Words and characters with scores, in the order of T5's. By hand: a trained vocabulary differs from run to run."""
    words = " ".join([*TEXTS, "yes no true false Passage A B Document0: Document1: Relevant: Query: "]).split()
    learned = [(f"▁{word}", -4.0 - len(word) / 8) for word in sorted(set(words))]
    characters = [(character, -12.0) for character in sorted({*"▁", *string.printable.strip(), *"".join(words)})]
    known = {piece for piece, _ in learned}
    return [
        *((piece, 0.0) for piece in ("<pad>", "</s>", "<unk>")),
        *learned,
        *((piece, score) for piece, score in characters if piece not in known),
        *((f"<extra_id_{number}>", 0.0) for number in reversed(range(4))),
    ]


def _json(tokenizer: Tokenizer) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(tokenizer.to_str())
    return found
