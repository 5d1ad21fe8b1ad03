"""Networks computed by torch itself: rows padded to one length, or packed one behind another without padding."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import torch
from transformers import AttentionInterface

from tamis_transformers.runtimes.network import Network, Rows, padded, placed

__all__ = ["PackedTorch", "PaddedTorch", "packs"]

_ATTENTION = "tamis-packed"
_PACKABLE = frozenset({"bert", "roberta", "xlm-roberta"})


class PaddedTorch:
    """Any network, as transformers computes it (SDPA where it has it)."""

    def __init__(self, network: Network, device: torch.device) -> None:
        self._network, self._device = network, device

    @property
    def name(self) -> str:
        return f"torch {_precision(self._network)}"

    @torch.inference_mode()
    def run(self, rows: Rows) -> torch.Tensor:
        inputs = padded(self._network.form, rows)
        tensors = [placed(each, self._device) for each in inputs.arrays]
        output: torch.Tensor = self._network(*tensors).float()
        return output[tensors[1].bool()] if self._network.form.per_token else output


class PackedTorch:
    """One row of all tokens: linear layers see no padding, attention goes row by row and needs no mask.

    Krell et al., "Efficient Sequence Packing without Cross-contamination", 2021. For networks that `packs` is true of.
    """

    def __init__(self, network: Network, device: torch.device) -> None:
        """Changes how the network's model attends: it then takes packed rows only."""
        self._network, self._device = network, device
        network.model.set_attn_implementation(_ATTENTION)
        table = network.model.base_model.embeddings.position_embeddings
        self._first_position = 0 if table.padding_idx is None else table.padding_idx + 1

    @property
    def name(self) -> str:
        return f"torch {_precision(self._network)}, packed"

    @torch.inference_mode()
    def run(self, rows: Rows) -> torch.Tensor:
        body, lengths = self._network.model.base_model, [len(each) for each in rows.tokens]
        bounds = np.cumsum([0, *lengths])
        places = np.concatenate([np.arange(length) for length in lengths]) + self._first_position
        more: dict[str, Any] = {"bounds": tuple(map(int, bounds)), "most": max(lengths)}
        if self._device.type == "cuda":
            more["offsets"] = placed(bounds.astype(np.int32), self._device)
        if self._network.form.reads_segments and rows.segments is not None:
            more["token_type_ids"] = self._row(np.concatenate(rows.segments))
        ids = self._row(np.concatenate(rows.tokens))
        hidden = body(input_ids=ids, position_ids=self._row(places), **more).last_hidden_state[0]
        return (hidden if self._network.form.per_token else self._logits(hidden[bounds[:-1]])).float()

    def _row(self, values: np.ndarray[Any, Any]) -> torch.Tensor:
        return placed(values.astype(np.int64, copy=False)[None], self._device)

    def _logits(self, first: torch.Tensor) -> torch.Tensor:
        """Of the hidden states of each row's first token: heads of these families look at no other."""
        model, alone = self._network.model, first.unsqueeze(1)
        pooler = getattr(model.base_model, "pooler", None)
        logits: torch.Tensor = model.classifier(alone if pooler is None else pooler(alone))
        return logits


def packs(network: Network) -> bool:
    """Whether rows of this network can be packed: absolute positions, attention by transformers' interface, and for
    labels a head on the first token."""
    config = network.model.config
    return config.model_type in _PACKABLE and not getattr(config, "is_decoder", False)


def _precision(network: Network) -> str:
    return str(network.model.dtype).removeprefix("torch.")


def _attention(
    module: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: Any, **more: Any
) -> tuple[torch.Tensor, None]:
    """Of [1, heads, tokens, size], each row by itself; [1, tokens, heads, size]."""
    scale = more.get("scaling")
    if query.device.type == "cuda" and query.dtype in (torch.float16, torch.bfloat16):
        return _on_cuda(query, key, value, more), None
    output = query.new_empty((1, query.shape[2], query.shape[1], query.shape[3]))
    for start, end in pairwise(more["bounds"]):
        rows, keys, values = (each[:, :, start:end] for each in (query, key, value))
        attended = torch.nn.functional.scaled_dot_product_attention(rows, keys, values, scale=scale)
        output[:, start:end] = attended.transpose(1, 2)
    return output, None


def _on_cuda(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, more: dict[str, Any]) -> torch.Tensor:
    """All rows by one kernel."""
    from torch.nn.attention.varlen import varlen_attn

    rows, keys, values = (each[0].transpose(0, 1).contiguous() for each in (query, key, value))
    offsets, most = more["offsets"], more["most"]
    found = varlen_attn(rows, keys, values, offsets, offsets, most, most, scale=more.get("scaling"))
    return (found if isinstance(found, torch.Tensor) else found[0]).unsqueeze(0)


AttentionInterface.register(_ATTENTION, _attention)
