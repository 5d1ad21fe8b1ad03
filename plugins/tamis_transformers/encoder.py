"""Loads a bi-encoder as sentence-transformers saves it, and runs it on batches of token ids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers
import torch
from transformers import AutoModel

from tamis.errors import ConfigurationError
from tamis.models import Float32Array
from tamis.windows import windows
from tamis_transformers.checkpoint import device as device_of
from tamis_transformers.checkpoint import json_of, model_of, tokenizer_of
from tamis_transformers.checkpoint import max_tokens as max_tokens_of
from tamis_transformers.fingerprint import fingerprint
from tamis_transformers.runtimes.choice import choose, weights_dtype
from tamis_transformers.runtimes.network import Form, Network, Rows
from tamis_transformers.runtimes.stored import Wish

__all__ = ["Encoded", "Encoder"]

Tokens = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Encoded:
    """One text through the encoder: its pooled unit vector, or unit vectors of its tokens without special ones."""

    vector: Float32Array
    token_vectors: Float32Array | None


@dataclass(frozen=True, slots=True)
class Job:
    """What to encode, and whether the token vectors are wanted."""

    tokens: Tokens
    wants_tokens: bool


class Encoder:
    """Tokenizer, transformer and pooling of one checkpoint. `batch_token_count` is the padded size of a batch."""

    def __init__(self, wish: Wish, *, device: str, max_tokens: int | None) -> None:
        """Loads the weights; safetensors only, no code from the checkpoint. Raises `ConfigurationError`."""
        path = wish.path
        _check_pooling(path)
        self.tokenizer = tokenizer_of(path)
        on = device_of(device)
        model = model_of(path, AutoModel, device=on, dtype=weights_dtype(wish, on), unused="pooler.")
        self.dimensions = int(model.config.hidden_size)
        self.max_tokens = max_tokens_of(path, model, max_tokens)
        network = Network(model, Form(per_token=True, padding=self.tokenizer.pad_token_id or 0))
        found = choose(network, wish, device=on, most_tokens=self.max_tokens)
        self._runtime, self.batch_token_count = found.runtime, found.batch_token_count
        self._offsets = _counting(self.tokenizer)
        self._special = torch.tensor(self.tokenizer.all_special_ids)
        self.fingerprint = fingerprint(f"mean {self.max_tokens}", path)

    def tokenize(self, texts: Sequence[str]) -> list[Tokens]:
        """Token ids with special tokens, cut at `max_tokens`."""
        found = self.tokenizer(list(texts), truncation=True, max_length=self.max_tokens, padding=False)
        return [tuple(ids) for ids in found["input_ids"]]

    @property
    def special_token_count(self) -> int:
        """How many special tokens are added to a text."""
        return int(self._offsets.num_special_tokens_to_add(False))

    def offsets(self, text: str) -> list[tuple[int, int]]:
        """Character ranges of all tokens of a text, however long, special ones left out. Safe from any thread."""
        found: list[tuple[int, int]] = []
        for begin, part in windows(text):
            ranges = self._offsets.encode(part, add_special_tokens=False).offsets
            found.extend((begin + start, begin + end) for start, end in ranges)
        return found

    @torch.inference_mode()
    def encode(self, jobs: Sequence[Job]) -> list[Encoded]:
        """One forward pass. Pooling is the mean over all real tokens, as in sentence-transformers."""
        rows = [job.tokens for job in jobs]
        hidden = self._runtime.run(Rows(rows))
        lengths = torch.tensor([len(each) for each in rows], device=hidden.device)
        pooled = torch.nn.functional.normalize(torch.segment_reduce(hidden, "mean", lengths=lengths), dim=1)
        vectors, parts = pooled.cpu().numpy(), torch.split(hidden, [len(each) for each in rows])
        return [
            Encoded(vectors[at], self._token_vectors(parts[at], job.tokens) if job.wants_tokens else None)
            for at, job in enumerate(jobs)
        ]

    def _token_vectors(self, hidden: torch.Tensor, tokens: Tokens) -> Float32Array:
        keep = ~torch.isin(torch.tensor(tokens), self._special)
        vectors = torch.nn.functional.normalize(hidden[keep.to(hidden.device)], dim=1)
        return np.ascontiguousarray(vectors.cpu().numpy(), dtype=np.float32)


def _counting(tokenizer: Any) -> Any:
    """A copy that cuts nothing: calls of the tokenizer itself change how it cuts, under the feet of other threads."""
    copy = tokenizers.Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    copy.no_truncation()
    copy.no_padding()
    return copy


def _check_pooling(path: Path) -> None:
    """Refuses a checkpoint whose pooling is not the mean; one that says nothing is taken to mean it."""
    pooling = path / "1_Pooling" / "config.json"
    if pooling.exists() and not json_of(pooling).get("pooling_mode_mean_tokens", False):
        raise ConfigurationError(
            f"the model at {path} does not pool by the mean of its tokens, which is all this plugin knows"
        )
