"""Loads a ColBERT checkpoint and runs it on batches of token ids."""

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
from tamis.models import Float32Array, TextKind
from tamis.windows import windows
from tamis_transformers.checkpoint import device as device_of
from tamis_transformers.checkpoint import dtype as dtype_of
from tamis_transformers.checkpoint import json_of, model_of, position_count, tokenizer_of
from tamis_transformers.colbert_checkpoint import Side, form_of
from tamis_transformers.colbert_projection import projection_of, weight_files
from tamis_transformers.fingerprint import fingerprint

__all__ = ["ColBertEncoder", "Reading"]


@dataclass(frozen=True, slots=True)
class Reading:
    """The tokens of one text. The first `attended_count` of them are looked at by all; `is_kept` says of which a
    vector is wanted."""

    tokens: tuple[int, ...]
    attended_count: int
    is_kept: tuple[bool, ...]


class ColBertEncoder:
    """Tokenizer, transformer and projection of one checkpoint."""

    def __init__(
        self, path: Path, *, device: str, dtype: str, max_tokens: int | None, query_tokens: int | None
    ) -> None:
        """Loads the weights; safetensors only, no code from the checkpoint. Raises `ConfigurationError`."""
        self._form = form_of(path)
        self._tokenizer = tokenizer_of(path)
        self._device = device_of(device)
        apart = "linear." if path in self._form.layers else ""
        self._model = _transformer(path, self._device, dtype_of(dtype, self._device), apart)
        width = int(self._model.config.hidden_size)
        self._projection, self.dimensions = projection_of(self._form.layers, width=width, device=self._device)
        positions = position_count(self._model)
        self.max_tokens = min(positions, max_tokens or self._form.passage.length or positions)
        self._query_tokens = min(positions, query_tokens or self._form.query.length or positions)
        self._markers = {side.marker: self._marker(side, path) for side in (self._form.query, self._form.passage)}
        self._skipped = frozenset(self._skipped_tokens())
        self._counting = _counting(self._tokenizer)
        form, lengths = self._form, (self.max_tokens, self._query_tokens)
        said = (form.layout, form.query, form.passage, form.expansion, form.skipped, lengths)
        self.fingerprint = fingerprint(f"colbert {said}", path, *(each for each in form.layers if each != path))

    def tokenize(self, texts: Sequence[str], kind: TextKind) -> list[Reading]:
        """Token ids with special ones and the marker, cut at the length of their kind; queries filled up to it."""
        side = self._side(kind)
        marker = self._markers[side.marker]
        length = self._query_tokens if kind is TextKind.QUERY else self.max_tokens
        prompted = [(side.prompt + text).strip() for text in texts]
        found = self._tokenizer(prompted, truncation=True, max_length=length - len(marker), padding=False)
        sequences = [(*ids[:1], *marker, *ids[1:]) for ids in found["input_ids"]]
        return [self._query(each) if kind is TextKind.QUERY else self._passage(each) for each in sequences]

    @property
    def extra_tokens(self) -> int:
        """How many tokens are added to a passage: special ones, the marker, and those of the prompt."""
        side = self._form.passage
        special = int(self._counting.num_special_tokens_to_add(False))
        return special + len(self._markers[side.marker]) + len(self.offsets(side.prompt))

    def offsets(self, text: str) -> list[tuple[int, int]]:
        """Character ranges of all tokens of a text, however long, special ones left out. Safe from any thread."""
        found: list[tuple[int, int]] = []
        for begin, part in windows(text):
            ranges = self._counting.encode(part, add_special_tokens=False).offsets
            found.extend((begin + start, begin + end) for start, end in ranges)
        return found

    @torch.inference_mode()
    def encode(self, batch: Sequence[Reading]) -> list[Float32Array]:
        """One padded forward pass: for each text unit vectors of the tokens that are kept."""
        longest = max(len(each.tokens) for each in batch)
        padding = self._tokenizer.pad_token_id or 0
        ids = self._rows([(*each.tokens, *(padding,) * (longest - len(each.tokens))) for each in batch])
        mask = self._rows([(1,) * each.attended_count + (0,) * (longest - each.attended_count) for each in batch])
        hidden = self._model(input_ids=ids, attention_mask=mask).last_hidden_state
        vectors = torch.nn.functional.normalize(self._projection(hidden.float()), dim=2).cpu().numpy()
        return [
            np.ascontiguousarray(row[: len(each.tokens)][list(each.is_kept)], dtype=np.float32)
            for row, each in zip(vectors, batch, strict=True)
        ]

    def _rows(self, rows: list[tuple[int, ...]]) -> torch.Tensor:
        return torch.tensor(rows, device=self._device)

    def _query(self, tokens: tuple[int, ...]) -> Reading:
        expansion = self._form.expansion
        fill = self._fill * (self._query_tokens - len(tokens)) if expansion else ()
        filled = (*tokens, *fill)
        attended = len(filled) if expansion is not None and expansion.attends else len(tokens)
        return Reading(filled, attended, (True,) * len(filled))

    def _passage(self, tokens: tuple[int, ...]) -> Reading:
        return Reading(tokens, len(tokens), tuple(each not in self._skipped for each in tokens))

    @property
    def _fill(self) -> tuple[int, ...]:
        """What queries are filled up with; a decoder, which has no [MASK], was trained with its last token."""
        it = self._tokenizer
        chosen = it.mask_token_id if it.mask_token_id is not None else it.eos_token_id
        return (it.pad_token_id if chosen is None else chosen,)

    def _side(self, kind: TextKind) -> Side:
        return self._form.query if kind is TextKind.QUERY else self._form.passage

    def _marker(self, side: Side, path: Path) -> tuple[int, ...]:
        """No token without a marker. PyLate would add a missing one with made-up weights."""
        if not side.marker:
            return ()
        found = self._tokenizer.convert_tokens_to_ids(side.marker)
        is_unknown = found is None or (self._form.layout == "pylate" and found == self._tokenizer.unk_token_id)
        if is_unknown:
            raise ConfigurationError(f"the tokenizer at {path} has no token {side.marker!r}, which marks a text's kind")
        return (int(found),)

    def _skipped_tokens(self) -> list[int]:
        """colbert-ai skips what a word begins with, the others the token that is the word. Never the unknown one,
        which would drop words for not being in the vocabulary."""
        it = self._tokenizer
        if self._form.layout == "colbert-ai":
            found = [it.encode(word, add_special_tokens=False)[0] for word in self._form.skipped]
        else:
            found = [it.convert_tokens_to_ids(word) for word in self._form.skipped]
        return [each for each in found if each is not None and each != it.unk_token_id]


def _transformer(path: Path, device: Any, dtype: Any, apart: str) -> Any:
    weight_files(path)
    try:
        return model_of(path, AutoModel, device=device, dtype=dtype, unused="pooler.", apart=apart)
    except ConfigurationError as error:
        if "auto_map" not in json_of(path / "config.json"):
            raise
        raise ConfigurationError(f"{error.message}; it brings code of its own (auto_map), which is not run") from error


def _counting(tokenizer: Any) -> Any:
    """A copy that cuts nothing: calls of the tokenizer itself change how it cuts, under the feet of other threads."""
    copy = tokenizers.Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    copy.no_truncation()
    copy.no_padding()
    return copy
