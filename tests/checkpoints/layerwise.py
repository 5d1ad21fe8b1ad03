"""A tiny layerwise MiniCPM reranker with the names, shapes and configuration that its authors' class saves."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

__all__ = ["CONFIG", "save_layerwise"]

CONFIG = {
    "architectures": ["LayerWiseMiniCPMForCausalLM"],
    "auto_map": {"AutoModelForCausalLM": "modeling_minicpm_reranker.LayerWiseMiniCPMForCausalLM"},
    "model_type": "minicpm",
    "vocab_size": 260,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 6,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "hidden_act": "silu",
    "max_position_embeddings": 2_048,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10_000.0,
    "scale_emb": 12,
    "scale_depth": 1.4,
    "dim_model_base": 16,
    "start_layer": 2,
    "head_multi": True,
    "head_type": "simple",
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 3,
    "tie_word_embeddings": False,
    "torch_dtype": "float32",
}
"""Six layers, each from the second on with a head of its own."""


def save_layerwise(folder: Path) -> Path:
    """The same weights on every machine: NumPy's old generator is frozen."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.RandomState(5)
    weights = {name: _weight(random, name, shape) for name, shape in _shapes().items()}
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    (folder / "config.json").write_text(json.dumps(CONFIG))
    _tokenizer().save_pretrained(folder)
    return folder


def _shapes() -> dict[str, tuple[int, ...]]:
    hidden, inner = CONFIG["hidden_size"], CONFIG["intermediate_size"]
    keys = hidden * CONFIG["num_key_value_heads"] // CONFIG["num_attention_heads"]
    shapes = {"model.embed_tokens.weight": (CONFIG["vocab_size"], hidden), "model.norm.weight": (hidden,)}
    for layer in range(CONFIG["num_hidden_layers"]):
        inside = {
            "self_attn.q_proj": (hidden, hidden),
            "self_attn.k_proj": (keys, hidden),
            "self_attn.v_proj": (keys, hidden),
            "self_attn.o_proj": (hidden, hidden),
            "mlp.gate_proj": (inner, hidden),
            "mlp.up_proj": (inner, hidden),
            "mlp.down_proj": (hidden, inner),
            "input_layernorm": (hidden,),
            "post_attention_layernorm": (hidden,),
        }
        shapes |= {f"model.layers.{layer}.{name}.weight": shape for name, shape in inside.items()}
    heads = CONFIG["num_hidden_layers"] - CONFIG["start_layer"] + 1
    return shapes | {f"lm_head.{place}.linear_head.weight": (1, hidden) for place in range(heads)}


def _weight(random: np.random.RandomState, name: str, shape: tuple[int, ...]) -> np.ndarray:
    drawn = random.standard_normal(shape)
    if "norm" in name:
        return (1 + 0.2 * drawn).astype(np.float32)
    return (drawn * (0.05 if "embed" in name else 0.3)).astype(np.float32)


def _tokenizer() -> PreTrainedTokenizerFast:
    """A token for each byte: nothing is trained, so that nothing depends on a trainer's version."""
    special = ["<unk>", "<s>", "</s>", "<pad>"]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: place for place, token in enumerate([*special, *alphabet])}
    made = Tokenizer(models.BPE(vocabulary, merges=[], unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=made, bos_token="<s>", eos_token="</s>", unk_token="<unk>", pad_token="<pad>"
    )
