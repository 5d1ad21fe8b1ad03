"""Loads a sequence-classification checkpoint and runs it on batches of query-passage pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import AutoModelForSequenceClassification

from tamis.errors import ConfigurationError
from tamis_transformers.checkpoint import device as device_of
from tamis_transformers.checkpoint import dtype as dtype_of
from tamis_transformers.checkpoint import max_tokens as max_tokens_of
from tamis_transformers.checkpoint import model_of, tokenizer_of

__all__ = ["Pair", "PairScorer"]


@dataclass(frozen=True, slots=True)
class Pair:
    """A query and a passage as one sequence of tokens, with the segment of each where the model has segments."""

    tokens: tuple[int, ...]
    segments: tuple[int, ...] | None


class PairScorer:
    """Tokenizer and classifier of one checkpoint."""

    def __init__(self, path: Path, *, device: str, dtype: str, max_tokens: int | None) -> None:
        """Loads the weights. Raises `ConfigurationError` for one that has no trained head, or more than two labels."""
        self._tokenizer = tokenizer_of(path)
        self._device = device_of(device)
        loader = AutoModelForSequenceClassification
        self._model = model_of(path, loader, device=self._device, dtype=dtype_of(dtype, self._device))
        self._labels = int(self._model.config.num_labels)
        if self._labels not in (1, 2):
            raise ConfigurationError(
                f"the model at {path} has {self._labels} labels; a reranker has one, or yes and no"
            )
        config = self._model.config
        self.max_tokens = max_tokens_of(path, self._model, max_tokens)
        self._padding = self._tokenizer.pad_token_id
        if config.pad_token_id is None:
            config.pad_token_id = self._padding  # by which a decoder finds the last token, whose logits count
        self._has_segments = (getattr(config, "type_vocab_size", 0) or 0) > 1
        # Heads look at the first token, or find the last one by the padding's id; only XLNet's takes the last place.
        self._pads_left = config.model_type == "xlnet"

    def tokenize(self, query: str, texts: Sequence[str]) -> list[Pair]:
        """One sequence for each text; the longer side is cut where both together are too long."""
        found = self._tokenizer(
            [query] * len(texts), list(texts), truncation="longest_first", max_length=self.max_tokens, padding=False
        )
        segments = (found.get("token_type_ids") if self._has_segments else None) or [None] * len(texts)
        return [
            Pair(tuple(ids), None if kinds is None else tuple(kinds))
            for ids, kinds in zip(found["input_ids"], segments, strict=True)
        ]

    def score(self, pairs: Sequence[Pair]) -> list[float]:
        """The logit of relevance of each pair; with two labels the difference of theirs, the log-odds of yes."""
        if self._padding is None:
            return [score for pair in pairs for score in self._scores([pair])]
        return self._scores(pairs)

    @torch.inference_mode()
    def _scores(self, pairs: Sequence[Pair]) -> list[float]:
        longest = max(len(pair.tokens) for pair in pairs)
        padding = self._padding or 0
        inputs = {
            "input_ids": self._padded([pair.tokens for pair in pairs], longest, padding),
            "attention_mask": self._padded([(1,) * len(pair.tokens) for pair in pairs], longest, 0),
        }
        if pairs[0].segments is not None:
            inputs["token_type_ids"] = self._padded([pair.segments or () for pair in pairs], longest, 0)
        logits = self._model(**inputs).logits.float()
        scores = logits[:, 0] if self._labels == 1 else logits[:, 1] - logits[:, 0]
        return [float(each) for each in scores.cpu()]

    def _padded(self, rows: Sequence[tuple[int, ...]], longest: int, padding: int) -> torch.Tensor:
        fills = [(padding,) * (longest - len(row)) for row in rows]
        filled = [(*fill, *row) if self._pads_left else (*row, *fill) for row, fill in zip(rows, fills, strict=True)]
        return torch.tensor(filled, device=self._device)
