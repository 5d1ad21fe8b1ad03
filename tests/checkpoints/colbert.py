"""Tiny ColBERT checkpoints with made-up weights, in the layouts of those who publish them: the same every time."""

from __future__ import annotations

import hashlib
import json
import string
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import (
    BertConfig,
    BertModel,
    ModernBertConfig,
    ModernBertModel,
    PreTrainedTokenizerFast,
    XLMRobertaConfig,
    XLMRobertaModel,
)

__all__ = [
    "QUERIES",
    "TEXTS",
    "save_attending_stanford",
    "save_modern_pylate",
    "save_pylate",
    "save_sentence_transformers",
    "save_stanford",
    "save_unexpanded_pylate",
    "save_xlm_roberta_stanford",
]

QUERIES = ("what raises the tides?", "word", "the moon, the sea and a word that is far longer than the others")
TEXTS = (
    "The moon raises the tides of the sea.",
    "word word, word: word!",
    "...!?",
    "",
    "a long text about the sea " * 8,
    "Bread needs flour; water - and (salt).",
)
_HIDDEN, _SIZE = 32, 16
_WORDS = ["the", "moon", "sea", "tides", "word", "water", "bread", "flour", "of", "a"]
_CHARACTERS = string.ascii_lowercase + string.digits
_MARKERS = ["[unused0]", "[unused1]"]
_SIZES = {"hidden_size": _HIDDEN, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48}


def save_stanford(folder: Path, **metadata: Any) -> Path:
    """BERT as colbert-ai saves it, ColBERTv2 and answerai-colbert-small-v1 among them; `metadata` overrides theirs."""
    tokenizer = _tokenizer(["[PAD]", *_MARKERS, "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    config = BertConfig(vocab_size=len(tokenizer), max_position_embeddings=64, pad_token_id=0, **_SIZES)
    return _save_stanford(folder, tokenizer, BertModel(config), "bert", metadata)


def save_attending_stanford(folder: Path) -> Path:
    """The same, trained to attend to what a query was filled up with and to keep punctuation."""
    return save_stanford(folder, attend_to_mask_tokens=True, mask_punctuation=False)


def save_xlm_roberta_stanford(folder: Path) -> Path:
    """XLM-RoBERTa in the same layout: positions begin behind the padding's, markers are words of their own."""
    tokenizer = _tokenizer(["<s>", "<pad>", "</s>", "<unk>", "<mask>", *_MARKERS], "<s> <pad> </s> <unk> <mask>")
    config = XLMRobertaConfig(
        vocab_size=len(tokenizer), max_position_embeddings=66, pad_token_id=1, type_vocab_size=1, **_SIZES
    )
    return _save_stanford(folder, tokenizer, XLMRobertaModel(config), "roberta", {"attend_to_mask_tokens": True})


def save_pylate(folder: Path, **settings: Any) -> Path:
    """BERT as PyLate saves it, its markers added to the vocabulary; `settings` override those of the model."""
    tokenizer = _tokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], added=("[Q] ", "[D] "))
    config = BertConfig(vocab_size=len(tokenizer), max_position_embeddings=64, pad_token_id=0, **_SIZES)
    return _save_pylate(folder, tokenizer, BertModel(config), settings)


def save_modern_pylate(folder: Path) -> Path:
    """ModernBERT as PyLate saves it, which attends to what a query was filled up with; two layers on top."""
    tokenizer = _tokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], added=("[Q] ", "[D] "))
    ids = {"pad_token_id": 0, "cls_token_id": 2, "sep_token_id": 3, "bos_token_id": 2, "eos_token_id": 3}
    config = ModernBertConfig(vocab_size=len(tokenizer), max_position_embeddings=64, **ids, **_SIZES)
    _save_pylate(folder, tokenizer, ModernBertModel(config), {"attend_to_expansion_tokens": True}, middle=24)
    return folder


def save_unexpanded_pylate(folder: Path) -> Path:
    """BERT as PyLate saves it, without query expansion, without markers, without a list of what is skipped."""
    return save_pylate(folder, do_query_expansion=False, query_prefix="", document_prefix="", skiplist_words=[])


def save_sentence_transformers(folder: Path) -> Path:
    """BERT as the multi-vector encoders of sentence-transformers are saved: markers are prompts, a module each for
    the projection, the mask and the length."""
    tokenizer = _tokenizer(["[PAD]", *_MARKERS, "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    config = BertConfig(vocab_size=len(tokenizer), max_position_embeddings=64, pad_token_id=0, **_SIZES)
    _save_transformer(folder, tokenizer, BertModel(config))
    _save_dense(folder / "1_Dense", _HIDDEN, _SIZE, "sentence_transformers.base.modules.dense.Dense")
    base = "sentence_transformers.base.modules"
    mask = "sentence_transformers.multi_vector_encoder.modules.multi_vector_mask.MultiVectorMask"
    kinds = [f"{base}.transformer.Transformer", f"{base}.dense.Dense", mask, f"{base}.normalize.Normalize"]
    _save_modules(folder, dict(zip(("", "1_Dense", "2_MultiVectorMask", "3_Normalize"), kinds, strict=True)))
    _write(folder / "2_MultiVectorMask" / "config.json", {"skiplist_words": list(string.punctuation)})
    _write(folder / "3_Normalize" / "config.json", {"module_input_name": "token_embeddings"})
    _write(
        folder / "sentence_bert_config.json",
        {"document_length": 40, "query_expansion": {"strategy": "fixed", "attend": False, "length": 16}},
    )
    prompts = {"query": _MARKERS[0], "document": _MARKERS[1]}
    _write(
        folder / "config_sentence_transformers.json",
        {"model_type": "MultiVectorEncoder", "prompts": prompts, "similarity_fn_name": "maxsim"},
    )
    return folder


def _save_stanford(folder: Path, tokenizer: Any, model: Any, prefix: str, metadata: dict[str, Any]) -> Path:
    model.config.architectures = ["HF_ColBERT"]
    model.config.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    weights = {f"{prefix}.{name}": each for name, each in _filled(model).state_dict().items()}
    weights["linear.weight"] = _made_up("linear.weight", (_SIZE, _HIDDEN))
    save_file(
        {name: each.contiguous() for name, each in weights.items()}, folder / "model.safetensors", {"format": "pt"}
    )
    defaults = {"query_maxlen": 16, "doc_maxlen": 40, "mask_punctuation": True, "dim": _SIZE, "similarity": "cosine"}
    markers = {"query_token_id": _MARKERS[0], "doc_token_id": _MARKERS[1], "query_token": "[Q]", "doc_token": "[D]"}
    _write(folder / "artifact.metadata", {**defaults, **markers, "attend_to_mask_tokens": False, **metadata})
    return folder


def _save_pylate(folder: Path, tokenizer: Any, model: Any, settings: dict[str, Any], middle: int | None = None) -> Path:
    _save_transformer(folder, tokenizer, model)
    sizes = [_HIDDEN, *([middle] if middle else []), _SIZE]
    kinds = {"": "sentence_transformers.models.Transformer"}
    for number, (wide, narrow) in enumerate(pairwise(sizes), 1):
        kinds[f"{number}_Dense"] = "pylate.models.Dense.Dense"
        _save_dense(folder / f"{number}_Dense", wide, narrow, "pylate", use_residual=middle is not None)
    _save_modules(folder, kinds)
    _write(folder / "sentence_bert_config.json", {"max_seq_length": 39, "do_lower_case": False})
    defaults = {"query_prefix": "[Q] ", "document_prefix": "[D] ", "query_length": 16, "document_length": 40}
    rules = {
        "attend_to_expansion_tokens": False,
        "do_query_expansion": True,
        "skiplist_words": list(string.punctuation),
    }
    config = {"model_type": "ColBERT", "prompts": {}, "similarity_fn_name": "MaxSim", **defaults, **rules, **settings}
    _write(folder / "config_sentence_transformers.json", config)
    return folder


def _save_transformer(folder: Path, tokenizer: Any, model: Any) -> None:
    _filled(model).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _save_dense(folder: Path, wide: int, narrow: int, kind: str, *, use_residual: bool = False) -> None:
    sizes = {"in_features": wide, "out_features": narrow, "bias": False}
    inputs = {"module_input_name": "token_embeddings", "module_output_name": "token_embeddings"}
    own = {"use_residual": use_residual} if kind == "pylate" else inputs
    _write(folder / "config.json", {**sizes, "activation_function": "torch.nn.modules.linear.Identity", **own})
    weights = {"linear.weight": _made_up(f"dense {wide}", (narrow, wide))}
    if use_residual:
        weights["residual.weight"] = _made_up(f"residual {wide}", (narrow, wide))
    save_file(weights, folder / "model.safetensors", {"format": "pt"})


def _save_modules(folder: Path, kinds: dict[str, str]) -> None:
    modules = enumerate(kinds.items())
    _write(
        folder / "modules.json",
        [{"idx": idx, "name": str(idx), "path": path, "type": kind} for idx, (path, kind) in modules],
    )


def _tokenizer(
    special: list[str], names: str = "[CLS] [PAD] [SEP] [UNK] [MASK]", added: tuple[str, ...] = ()
) -> PreTrainedTokenizerFast:
    """Words, letters and punctuation by WordPiece."""
    cls, pad, sep, unk, mask = names.split()
    pieces = [*special, *string.punctuation, *_CHARACTERS, *(f"##{each}" for each in _CHARACTERS), *_WORDS]
    vocabulary = {piece: number for number, piece in enumerate(dict.fromkeys(pieces))}
    inner = Tokenizer(models.WordPiece(vocabulary, unk_token=unk))
    inner.normalizer = normalizers.BertNormalizer(lowercase=True)
    inner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    ends = [(cls, vocabulary[cls]), (sep, vocabulary[sep])]
    inner.post_processor = processors.TemplateProcessing(single=f"{cls} $A {sep}", special_tokens=ends)
    named = {"cls_token": cls, "pad_token": pad, "sep_token": sep, "unk_token": unk, "mask_token": mask}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, model_max_length=64, **named)
    known = (each for each in _MARKERS if each in special)
    tokenizer.add_tokens([AddedToken(each, normalized=False) for each in (*added, *known)])
    return tokenizer


def _filled(model: Any) -> Any:
    """The same weights under every version of transformers, whose own initialisation may change."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            values = _made_up(name, tuple(parameter.shape)) * _scale(name)
            parameter.copy_(1 + values if "norm" in name.lower() and name.endswith("weight") else values)
    return model.eval()


def _scale(name: str) -> float:
    """Such that vectors tell words apart: what all tokens have in common weighs little."""
    return 0.2 if "bias" in name or "type" in name or "position" in name else 4.0 if "embedding" in name else 1.0


def _made_up(name: str, shape: tuple[int, ...]) -> torch.Tensor:
    seed = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big")
    return torch.from_numpy((np.random.default_rng(seed).standard_normal(shape) * 0.2).astype(np.float32))


def _write(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1))
