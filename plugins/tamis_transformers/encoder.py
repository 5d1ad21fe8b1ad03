"""Loads a bi-encoder as sentence-transformers saves it, and runs it on batches of token ids."""

from __future__ import annotations

import hashlib
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
from tamis_transformers.checkpoint import dtype as dtype_of
from tamis_transformers.checkpoint import json_of, model_of, tokenizer_of
from tamis_transformers.checkpoint import max_tokens as max_tokens_of

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
    """Tokenizer, transformer and pooling of one checkpoint."""

    def __init__(self, path: Path, *, device: str, dtype: str, max_tokens: int | None) -> None:
        """Loads the weights; safetensors only, no code from the checkpoint. Raises `ConfigurationError`."""
        _check_pooling(path)
        self.tokenizer = tokenizer_of(path)
        self.device = device_of(device)
        self._model = model_of(
            path, AutoModel, device=self.device, dtype=dtype_of(dtype, self.device), unused="pooler."
        )
        self.dimensions = int(self._model.config.hidden_size)
        self.max_tokens = max_tokens_of(path, self._model, max_tokens)
        self._offsets = _counting(self.tokenizer)
        self._special = torch.tensor(self.tokenizer.all_special_ids)
        self.fingerprint = _fingerprint(path, self.max_tokens)

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
        """One padded forward pass. Pooling is the mean over all real tokens, as in sentence-transformers."""
        ids, mask = self._padded([job.tokens for job in jobs])
        hidden = self._model(input_ids=ids, attention_mask=mask).last_hidden_state.float()
        weights = mask.unsqueeze(-1).float()
        pooled = torch.nn.functional.normalize((hidden * weights).sum(1) / weights.sum(1).clamp(min=1e-9), dim=1)
        vectors = pooled.cpu().numpy()
        return [
            Encoded(vectors[row], self._token_vectors(hidden[row], ids[row], mask[row]) if job.wants_tokens else None)
            for row, job in enumerate(jobs)
        ]

    def _padded(self, sequences: Sequence[Tokens]) -> tuple[torch.Tensor, torch.Tensor]:
        longest = max(len(each) for each in sequences)
        padding = self.tokenizer.pad_token_id or 0
        ids = torch.tensor([[*each, *[padding] * (longest - len(each))] for each in sequences])
        mask = torch.tensor([[1] * len(each) + [0] * (longest - len(each)) for each in sequences])
        return ids.to(self.device), mask.to(self.device)

    def _token_vectors(self, hidden: torch.Tensor, ids: torch.Tensor, mask: torch.Tensor) -> Float32Array:
        keep = mask.bool() & ~torch.isin(ids, self._special.to(ids.device))
        vectors = torch.nn.functional.normalize(hidden[keep], dim=1)
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


def _fingerprint(path: Path, max_tokens: int) -> str:
    """Of the weights, the tokenizer and the length read; not of the path."""
    digest = hashlib.blake2b(f"mean {max_tokens}".encode(), digest_size=16)
    for name in ("model.safetensors", "tokenizer.json"):
        if (path / name).exists():
            with (path / name).open("rb") as file:
                digest.update(hashlib.file_digest(file, "blake2b").digest())
    return digest.hexdigest()
