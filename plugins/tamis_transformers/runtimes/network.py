"""The part of a model that a runtime computes, and what goes into it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch

from tamis.models import Float32Array

__all__ = ["Form", "Inputs", "Network", "Rows", "Runtime", "padded", "placed", "unpadded"]


class Rows(NamedTuple):
    """Sequences of tokens, none empty, and the segment of each token for a network that reads segments."""

    tokens: Sequence[tuple[int, ...]]
    segments: Sequence[tuple[int, ...]] | None = None


class Inputs(NamedTuple):
    """Rows as arrays of the shape [rows, longest row]: ids, 1 where there is a token, segments."""

    ids: np.ndarray[Any, np.dtype[np.int64]]
    mask: np.ndarray[Any, np.dtype[np.int64]]
    segments: np.ndarray[Any, np.dtype[np.int64]] | None

    @property
    def arrays(self) -> tuple[np.ndarray[Any, np.dtype[np.int64]], ...]:
        """Those that there are, in the order in which a network takes them."""
        return (self.ids, self.mask) if self.segments is None else (self.ids, self.mask, self.segments)


class Form(NamedTuple):
    """What goes into a network and comes out: the last hidden state of every token, or the labels' logits of each row;
    ids, mask and, if it `reads_segments`, segments."""

    per_token: bool
    padding: int = 0
    reads_segments: bool = False
    pads_left: bool = False


class Network(torch.nn.Module):
    """A transformer, and what is wanted of it."""

    def __init__(self, model: Any, form: Form) -> None:
        super().__init__()
        self.model, self.form = model, form

    def forward(self, ids: torch.Tensor, mask: torch.Tensor, segments: torch.Tensor | None = None) -> torch.Tensor:
        more = {} if segments is None else {"token_type_ids": segments}
        found = self.model(input_ids=ids, attention_mask=mask, **more)
        output: torch.Tensor = found.last_hidden_state if self.form.per_token else found.logits
        return output


class Runtime(Protocol):
    """A network ready to compute. For one thread at a time."""

    @property
    def name(self) -> str:
        """For people, with the precision: `torch float32, packed`."""
        ...

    def run(self, rows: Rows) -> torch.Tensor:
        """In float32: [tokens of all rows, one row after another, dimensions] per token, else [rows, labels]."""
        ...


def padded(form: Form, rows: Rows) -> Inputs:
    """The rows filled up to the longest of them."""
    lengths = np.fromiter(map(len, rows.tokens), np.int64, len(rows.tokens))
    longest, places = int(lengths.max()), np.arange(int(lengths.max()))
    there = places >= longest - lengths[:, None] if form.pads_left else places < lengths[:, None]
    segments = None
    if form.reads_segments and rows.segments is not None:
        segments = _filled(rows.segments, 0, there)
    return Inputs(_filled(rows.tokens, form.padding, there), there.astype(np.int64), segments)


def placed(array: np.ndarray[Any, Any], device: torch.device) -> torch.Tensor:
    """An array on the device; a copy to CUDA begins from pinned memory and is not waited for."""
    tensor = torch.from_numpy(array)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


def unpadded(output: Float32Array, inputs: Inputs, form: Form) -> torch.Tensor:
    """What a runtime that pads has computed, without what it computed for the padding."""
    return torch.from_numpy(output[inputs.mask.astype(bool)] if form.per_token else output)


def _filled(
    rows: Sequence[tuple[int, ...]], fill: int, there: np.ndarray[Any, np.dtype[np.bool_]]
) -> np.ndarray[Any, np.dtype[np.int64]]:
    found = np.full(there.shape, fill, np.int64)
    found[there] = np.fromiter(chain.from_iterable(rows), np.int64)
    return found
