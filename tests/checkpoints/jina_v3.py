"""A tiny random jina-reranker-v3: Qwen3 and a projector, saved under the names of the published checkpoint."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3Model

__all__ = ["save_jina_v3"]

_SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|embed_token|>", "<|rerank_token|>")
_HIDDEN, _DIMENSIONS = 32, 24


def save_jina_v3(folder: Path) -> Path:
    """The output layer is missing, as in the published one, and the configuration names code that is never run."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(3)
    tokenizer = _tokenizer()
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=_HIDDEN,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=16,
        max_position_embeddings=8_192,
        initializer_range=0.3,
    )
    weights = {f"model.{name}": weight for name, weight in Qwen3Model(config).state_dict().items()}
    weights["projector.0.weight"] = torch.randn(_HIDDEN // 2, _HIDDEN)
    weights["projector.2.weight"] = torch.randn(_DIMENSIONS, _HIDDEN // 2)
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    told = config.to_dict() | {
        "architectures": ["JinaForRanking"],
        "auto_map": {"AutoModel": "modeling.JinaForRanking"},
    }
    (folder / "config.json").write_text(json.dumps(told))
    tokenizer.save_pretrained(folder)
    return folder


def _tokenizer() -> PreTrainedTokenizerFast:
    """A token for each byte, and the special ones."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    made = Tokenizer(models.BPE({token: place for place, token in enumerate(alphabet)}, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([AddedToken(each, special=True) for each in _SPECIAL])
    return PreTrainedTokenizerFast(tokenizer_object=made, eos_token="<|im_end|>", pad_token="<|endoftext|>")
