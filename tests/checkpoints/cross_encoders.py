"""Tiny random cross-encoders of the real classes, saved as their authors do; each folder's name chooses its prompt."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertTokenizer,
    DebertaV2Config,
    DebertaV2ForSequenceClassification,
    DebertaV2Tokenizer,
    GemmaConfig,
    GemmaForCausalLM,
    GemmaTokenizer,
    ModernBertConfig,
    ModernBertForSequenceClassification,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen2Tokenizer,
    Qwen3Config,
    Qwen3ForCausalLM,
    Qwen3ForSequenceClassification,
    RobertaConfig,
    RobertaForSequenceClassification,
    RobertaTokenizer,
    T5Config,
    T5ForConditionalGeneration,
    T5Tokenizer,
    XLMRobertaConfig,
    XLMRobertaForSequenceClassification,
    XLMRobertaTokenizer,
)

from checkpoints import words
from checkpoints.own_code import OwnConfig, OwnForSequenceClassification

__all__ = [
    "ALL",
    "save_bert",
    "save_bge_gemma",
    "save_deberta",
    "save_flan_t5",
    "save_modernbert",
    "save_monot5",
    "save_mxbai_v2",
    "save_own_code",
    "save_qwen3",
    "save_qwen3_classifier",
    "save_roberta",
    "save_xlm_roberta",
]

SIZES: dict[str, Any] = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
SPREAD = {"initializer_range": 0.3}
QWEN = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
ROBERTA = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
T5 = ("<pad>", "</s>", "<unk>")


def save_bert(folder: Path) -> Path:
    """As ms-marco MiniLM: one label, two segments."""
    special = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
    tokenizer = BertTokenizer(vocab=words.word_pieces(special))
    config = BertConfig(num_labels=1, max_position_embeddings=128, **_common(tokenizer))
    return _saved(folder, BertForSequenceClassification, config, tokenizer)


def save_roberta(folder: Path) -> Path:
    """As the cross-encoders on RoBERTa: positions begin behind the padding's."""
    vocab, merges = words.byte_pairs(ROBERTA)
    config = RobertaConfig(
        num_labels=1, max_position_embeddings=130, type_vocab_size=1, **_common(_roberta(vocab, merges))
    )
    return _saved(folder, RobertaForSequenceClassification, config, _roberta(vocab, merges))


def save_xlm_roberta(folder: Path) -> Path:
    """As BGE reranker v2-m3."""
    tokenizer = XLMRobertaTokenizer(vocab=words.pieces(ROBERTA))
    config = XLMRobertaConfig(num_labels=1, max_position_embeddings=130, type_vocab_size=1, **_common(tokenizer))
    return _saved(folder, XLMRobertaForSequenceClassification, config, tokenizer)


def save_modernbert(folder: Path) -> Path:
    """As gte-reranker-modernbert-base."""
    vocab, merges = words.byte_pairs(ROBERTA)
    backend = _roberta(vocab, merges).backend_tokenizer
    special = {"cls_token": "<s>", "sep_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
    names = ["input_ids", "attention_mask"]
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, model_input_names=names, **special)
    tokens = {"cls_token_id": 0, "sep_token_id": 2, "bos_token_id": 0, "eos_token_id": 2}
    config = ModernBertConfig(num_labels=1, max_position_embeddings=128, **tokens, **_common(tokenizer))
    return _saved(folder, ModernBertForSequenceClassification, config, tokenizer)


def save_deberta(folder: Path) -> Path:
    """As mxbai-rerank v1: positions are relative only."""
    special = ("[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]")
    tokenizer = DebertaV2Tokenizer(vocab=words.pieces(special))
    relative = {"relative_attention": True, "position_biased_input": False, "pos_att_type": ["c2p", "p2c"]}
    config = DebertaV2Config(
        num_labels=1, max_position_embeddings=128, type_vocab_size=0, **relative, **_common(tokenizer)
    )
    return _saved(folder, DebertaV2ForSequenceClassification, config, tokenizer)


def save_mxbai_v2(folder: Path) -> Path:
    """As mxbai-rerank-base-v2, in `folder`/mxbai-rerank-base-v2."""
    tokenizer = _qwen()
    config = Qwen2Config(num_key_value_heads=1, max_position_embeddings=1024, **_common(tokenizer))
    return _saved(folder / "mxbai-rerank-base-v2", Qwen2ForCausalLM, config, tokenizer)


def save_qwen3(folder: Path) -> Path:
    """As Qwen3-Reranker-0.6B, in `folder`/Qwen3-Reranker-0.6B."""
    return _saved(folder / "Qwen3-Reranker-0.6B", Qwen3ForCausalLM, _qwen3_config(), _qwen())


def save_qwen3_classifier(folder: Path) -> Path:
    """As Qwen3-Reranker turned into a classifier, which still wants the prompt."""
    config = _qwen3_config()
    config.num_labels = 1
    return _saved(folder, Qwen3ForSequenceClassification, config, _qwen())


def save_bge_gemma(folder: Path) -> Path:
    """As bge-reranker-v2-gemma, in `folder`/bge-reranker-v2-gemma."""
    special = ("<pad>", "<eos>", "<bos>", "<unk>", "<mask>")
    merges = [("Y", "e"), ("Ye", "s"), ("N", "o")]
    fallback = [f"<0x{byte:02X}>" for byte in range(256)]
    tokens = dict.fromkeys([*special, *fallback, "▁", *words.letters(), *(one + other for one, other in merges)])
    tokenizer = GemmaTokenizer(vocab={token: number for number, token in enumerate(tokens)}, merges=merges)
    config = GemmaConfig(num_key_value_heads=1, head_dim=16, max_position_embeddings=1024, **_common(tokenizer))
    return _saved(folder / "bge-reranker-v2-gemma", GemmaForCausalLM, config, tokenizer)


def save_monot5(folder: Path) -> Path:
    """As monot5-base-msmarco, in `folder`/monot5-base-msmarco."""
    return _t5(folder / "monot5-base-msmarco", feed_forward_proj="relu")


def save_flan_t5(folder: Path) -> Path:
    """As flan-t5-small, in `folder`/flan-t5-small."""
    return _t5(folder / "flan-t5-small", feed_forward_proj="gated-gelu", tie_word_embeddings=False)


def save_own_code(folder: Path) -> Path:
    """As gte-multilingual-reranker and jina-reranker-v2: a class that comes with the checkpoint."""
    tokenizer = XLMRobertaTokenizer(vocab=words.pieces(ROBERTA))
    config = OwnConfig(vocab_size=len(tokenizer), num_labels=1, pad_token_id=1)
    return _saved(folder, OwnForSequenceClassification, config, tokenizer)


ALL: dict[str, Callable[[Path], Path]] = {
    "bert": save_bert,
    "roberta": save_roberta,
    "xlm-roberta": save_xlm_roberta,
    "modernbert": save_modernbert,
    "deberta": save_deberta,
    "mxbai-v2": save_mxbai_v2,
    "qwen3": save_qwen3,
    "bge-gemma": save_bge_gemma,
    "monot5": save_monot5,
    "flan-t5": save_flan_t5,
}


def _saved(folder: Path, kind: Any, config: Any, tokenizer: Any) -> Path:
    torch.manual_seed(7)
    kind(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _common(tokenizer: Any) -> dict[str, Any]:
    return {"vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id, **SIZES, **SPREAD}


def _roberta(vocab: dict[str, int], merges: list[tuple[str, str]]) -> Any:
    return RobertaTokenizer(vocab=vocab, merges=merges)


def _qwen() -> Any:
    vocab, merges = words.byte_pairs(QWEN)
    return Qwen2Tokenizer(vocab=vocab, merges=merges, extra_special_tokens=["<|im_start|>", "<|im_end|>"])


def _qwen3_config() -> Any:
    return Qwen3Config(num_key_value_heads=1, head_dim=16, max_position_embeddings=1024, **_common(_qwen()))


def _t5(folder: Path, **kind: Any) -> Path:
    answers = ("Yes", "No", "Query", "Document", "Passage")
    tokenizer = T5Tokenizer(vocab=words.pieces(T5, answers), extra_ids=0)
    config = T5Config(
        vocab_size=len(tokenizer),
        d_model=32,
        d_kv=16,
        d_ff=64,
        num_layers=2,
        num_heads=2,
        initializer_factor=2.0,
        **kind,
    )
    config.decoder_start_token_id = tokenizer.pad_token_id
    return _saved(folder, T5ForConditionalGeneration, config, tokenizer)
