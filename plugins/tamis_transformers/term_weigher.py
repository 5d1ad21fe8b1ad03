"""Loads a masked language model and weighs the terms of its vocabulary on batches of texts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModelForMaskedLM

from tamis.models import SparseVector
from tamis_transformers.checkpoint import device as device_of
from tamis_transformers.checkpoint import dtype as dtype_of
from tamis_transformers.checkpoint import model_of, tokenizer_of
from tamis_transformers.fingerprint import fingerprint

__all__ = ["TermWeigher", "Tokens"]

Tokens = tuple[int, ...]


class TermWeigher:
    """Tokenizer and masked language model of one checkpoint."""

    def __init__(self, path: Path, *, device: str, dtype: str, max_tokens: int | None, most_terms: int) -> None:
        """Loads the weights. Raises `ConfigurationError` for a checkpoint without a trained head."""
        self._tokenizer = tokenizer_of(path)
        self._device = device_of(device)
        self._model = model_of(path, AutoModelForMaskedLM, device=self._device, dtype=dtype_of(dtype, self._device))
        self.dimensions = int(self._model.config.vocab_size)
        positions = int(getattr(self._model.config, "max_position_embeddings", 512))
        self.max_tokens = min(positions, int(self._tokenizer.model_max_length), max_tokens or positions)
        self._most_terms = min(most_terms, self.dimensions)
        self.fingerprint = fingerprint(f"splade {self.max_tokens} {most_terms}", path)

    def tokenize(self, texts: Sequence[str]) -> list[Tokens]:
        """Token ids with special tokens, cut at `max_tokens`."""
        found = self._tokenizer(list(texts), truncation=True, max_length=self.max_tokens, padding=False)
        return [tuple(ids) for ids in found["input_ids"]]

    @torch.inference_mode()
    def weigh(self, texts: Sequence[Tokens]) -> list[SparseVector]:
        """For each text the largest log(1 + relu(logit)) of each term over its tokens, the heaviest terms alone."""
        longest = max(map(len, texts))
        padding = self._tokenizer.pad_token_id or 0
        ids = torch.tensor([(*each, *(padding,) * (longest - len(each))) for each in texts], device=self._device)
        mask = torch.tensor([(1,) * len(each) + (0,) * (longest - len(each)) for each in texts], device=self._device)
        logits = self._model(input_ids=ids, attention_mask=mask).logits
        # The logarithm rises, so it can be taken after the maximum, of far fewer numbers.
        largest = logits.masked_fill(mask.unsqueeze(-1) == 0, float("-inf")).amax(1).float()
        weights, terms = torch.log1p(torch.relu(largest)).topk(self._most_terms, dim=1)
        return [_sparse(row.cpu().numpy(), at.cpu().numpy()) for row, at in zip(weights, terms, strict=True)]


def _sparse(weights: np.ndarray, terms: np.ndarray) -> SparseVector:
    positive = weights > 0
    order = np.argsort(terms[positive])
    return SparseVector(terms[positive][order].astype(np.uint32), weights[positive][order].astype(np.float32))
