"""Loads a layerwise MiniCPM reranker natively and runs stretches of its layers on batches of query-passage pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from math import sqrt
from pathlib import Path
from typing import Any

import torch
from torch.nn.utils.rnn import pad_sequence
from transformers import GraniteConfig, GraniteModel

from tamis.errors import ConfigurationError
from tamis_transformers.checkpoint import device as device_of
from tamis_transformers.checkpoint import dtype as dtype_of
from tamis_transformers.checkpoint import json_of, model_of, tensors_of, tokenizer_of
from tamis_transformers.conversation import defuser

__all__ = ["LayerwiseModel", "Stretch"]

_TASK = (
    "Given a query A and a passage B, determine whether the passage contains an answer to the query by providing a "
    "prediction of either 'Yes' or 'No'."
)
_SAME = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "hidden_act",
    "max_position_embeddings",
    "rms_norm_eps",
    "pad_token_id",
    "bos_token_id",
    "eos_token_id",
)


@dataclass(frozen=True, slots=True)
class Stretch:
    """A pair to be run through the layers up to `end`: from its state after `begin` layers, else from its tokens.

    `is_kept` asks for the state after `end`, of shape [tokens, hidden], with the score.
    """

    tokens: tuple[int, ...]
    end: int
    begin: int = 0
    state: torch.Tensor | None = None
    is_kept: bool = False


class _Backbone(GraniteModel):
    """The same arithmetic as MiniCPM's: scaled embeddings, scaled residuals. The heads are loaded apart."""

    _keys_to_ignore_on_load_unexpected = [r"^lm_head\."]  # noqa: RUF012


class LayerwiseModel:
    """Tokenizer, layers and heads of one checkpoint."""

    def __init__(self, path: Path, *, device: str, dtype: str, max_tokens: int) -> None:
        """Loads the weights; safetensors only, no code from the checkpoint. Raises `ConfigurationError`."""
        config = json_of(path / "config.json")
        self._device = device_of(device)
        to = {"device": self._device, "dtype": dtype_of(dtype, self._device)}
        self._model = model_of(path, _Backbone, config=_granite(path, config), **to)
        self._tokenizer = tokenizer_of(path)
        self._defused = defuser(self._tokenizer)
        self.layers = range(int(config.get("start_layer", 8)), self._model.config.num_hidden_layers + 1)
        self._heads = self._heads_of(path, bool(config.get("head_multi", True))).to(**to)
        self._separator, self._task = self._ids("\n"), self._ids(_TASK)
        around = 2 * len(self._separator) + len(self._task)
        self._most = min(max_tokens, self._model.config.max_position_embeddings - around)
        if self._most < 8:
            raise ConfigurationError(f"the model at {path} has no room for a passage beside its prompt")

    def tokenize(self, query: str, texts: Sequence[str]) -> list[tuple[int, ...]]:
        """One sequence for each text. The query is cut to three quarters of what is read, the passage to what is left.

        The same tokens as FlagEmbedding's, except that special tokens inside a text are taken apart.
        """
        asked = [self._tokenizer.bos_token_id, *self._ids("A: " + self._defused(query))[: self._most * 3 // 4]]
        most = self._most + len(self._task) - len(asked)
        end = (*self._separator, *self._task)
        found = []
        for text in texts:
            told = self._ids("B: " + self._defused(text))[: min(most, self._most)]
            found.append((*asked, *self._separator, *told, *end))
        return found

    def state_bytes(self, tokens: Sequence[int]) -> int:
        """What the state of a sequence takes."""
        return len(tokens) * int(self._model.config.hidden_size) * int(self._model.dtype.itemsize)

    @torch.inference_mode()
    def run(self, stretches: Sequence[Stretch]) -> list[tuple[float, torch.Tensor | None]]:
        """The score of each pair at the end of its stretch, and its state where it is to be kept."""
        found: list[tuple[float, torch.Tensor | None]] = [(0.0, None)] * len(stretches)

        def kind(place: int) -> tuple[int, int]:
            return stretches[place].begin, stretches[place].end

        for (begin, end), group in groupby(sorted(range(len(stretches)), key=kind), kind):
            places = list(group)
            for place, result in zip(places, self._run([stretches[each] for each in places], begin, end), strict=True):
                found[place] = result
        return found

    def _run(self, batch: list[Stretch], begin: int, end: int) -> list[tuple[float, torch.Tensor | None]]:
        """No mask: a causal layer's last token sees nothing of the padding behind it."""
        states = pad_sequence([self._begun(each) for each in batch], batch_first=True)
        positions = torch.arange(states.shape[1], device=self._device)[None]
        rotations = self._model.rotary_emb(states, position_ids=positions)
        for layer in self._model.layers[begin:end]:
            states = layer(states, attention_mask=None, position_embeddings=rotations)
        lengths = [len(each.tokens) for each in batch]
        last = states[torch.arange(len(batch)), torch.tensor(lengths) - 1]
        scores = (self._model.norm(last) @ self._head(end)).float().cpu()
        return [
            (float(scores[place]), states[place, : lengths[place]].clone() if each.is_kept else None)
            for place, each in enumerate(batch)
        ]

    def _begun(self, stretch: Stretch) -> torch.Tensor:
        """Embeddings, or the state that was kept; shape [tokens, hidden]."""
        if stretch.state is not None:
            return stretch.state
        ids = torch.tensor(stretch.tokens, device=self._device)
        embedded: torch.Tensor = self._model.embed_tokens(ids) * self._model.embedding_multiplier
        return embedded

    def _head(self, layer: int) -> torch.Tensor:
        return self._heads[layer - self.layers.start if len(self._heads) > 1 else 0]

    def _heads_of(self, path: Path, is_multi: bool) -> torch.Tensor:
        """A row for each layer from the first with a head on, or one for all; shape [heads, hidden]."""
        found = tensors_of(path, "lm_head.")
        names = [f"{place}.linear_head.weight" for place in range(len(self.layers))]
        names = names if is_multi else ["linear_head.weight"]
        hidden = int(self._model.config.hidden_size)
        if any(name not in found or tuple(found[name].shape) != (1, hidden) for name in names):
            raise ConfigurationError(f"the model at {path} lacks a head of one row for each layer")
        return torch.cat([found[name] for name in names])

    def _ids(self, text: str) -> list[int]:
        return list(self._tokenizer(text, add_special_tokens=False)["input_ids"])


def _granite(path: Path, config: dict[str, Any]) -> GraniteConfig:
    """MiniCPM's numbers under the names that Granite has for them."""
    if config.get("model_type") != "minicpm" or config.get("head_type", "simple") != "simple":
        raise ConfigurationError(f"the model at {path} is no layerwise MiniCPM with simple heads")
    if config.get("rope_scaling"):
        raise ConfigurationError(f"the model at {path} scales its positions, which this plugin does not")
    heads, layers = int(config["num_attention_heads"]), int(config["num_hidden_layers"])
    made = GraniteConfig(
        **{name: config[name] for name in _SAME if name in config},
        num_key_value_heads=config.get("num_key_value_heads") or heads,
        attention_bias=bool(config.get("attention_bias", False)),
        rope_parameters={"rope_type": "default", "rope_theta": float(config.get("rope_theta", 10_000.0))},
        embedding_multiplier=float(config.get("scale_emb", 1)),
        residual_multiplier=float(config.get("scale_depth", 1)) / sqrt(layers),
        attention_multiplier=1 / sqrt(int(config["hidden_size"]) // heads),
        tie_word_embeddings=False,
    )
    made._attn_implementation = "sdpa"  # which takes no mask to be a causal one
    return made
