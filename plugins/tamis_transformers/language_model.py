"""Loads a causal language model and continues one text with it, a token at a time."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import DynamicCache

from tamis.errors import ConfigurationError, InvalidRequest
from tamis.models import Prompt
from tamis_transformers.checkpoint import causal_lm_of, tokenizer_of
from tamis_transformers.checkpoint import device as device_of
from tamis_transformers.checkpoint import dtype as dtype_of
from tamis_transformers.conversation import NEXT_TURN, Conversation
from tamis_transformers.sampling import Chooser, Sampling, Step, spoken

__all__ = ["LanguageModel"]

_PART = 512  # tokens of a prompt that are read at once; the call is asked in between
_TURN_ENDS = ("<|im_end|>", "<|eot_id|>", "<end_of_turn>", "<turn|>", "<|end|>")


class LanguageModel:
    """Tokenizer and weights of one checkpoint. Computes in the thread that calls it, one call at a time."""

    def __init__(
        self,
        path: Path,
        tokenizer: Path,
        *,
        device: str,
        dtype: str,
        context_token_count: int | None,
        has_template: bool = True,
    ) -> None:
        """Loads the weights; safetensors or GGUF only, no code from the checkpoint. Raises `ConfigurationError`."""
        self._tokenizer = tokenizer_of(tokenizer)
        self._device = device_of(device)
        self._model = causal_lm_of(path, device=self._device, dtype=dtype_of(dtype, self._device))
        parameters = inspect.signature(self._model.forward).parameters
        if not {"past_key_values", "logits_to_keep"} <= parameters.keys():
            raise ConfigurationError(f"the model at {path} keeps no key-value cache, which this plugin needs")
        positions = getattr(self._model.config.get_text_config(), "max_position_embeddings", None) or 2_048
        self.context_token_count = min(int(positions), context_token_count or int(positions))
        self._conversation = Conversation(
            self._tokenizer, has_template=has_template and bool(self._tokenizer.chat_template)
        )
        self._ends = self._end_tokens()

    def count(self, text: str) -> int:
        """How many tokens the text has, special ones left out."""
        return len(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def offsets(self, text: str) -> list[tuple[int, int]]:
        """Where the tokens of the text stand in it, in characters."""
        found = self._tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
        return [(int(start), int(end)) for start, end in found]

    def tokens(self, prompt: Prompt) -> list[int]:
        """The prompt as the model reads it. Raises `InvalidRequest` for one that leaves no room for an answer."""
        return self._fitting(self._tokens(self._conversation.text(prompt)), room=1)

    def steps(self, tokens: Sequence[int], limit: int, sampling: Sampling, stops: Sequence[str]) -> Iterator[Step]:
        """Reads the prompt, then writes at most `limit` tokens, until the model ends or a stop string comes."""
        stops = stops if self._conversation.has_template else (*stops, NEXT_TURN)
        limit = min(limit, self.context_token_count - len(tokens))
        yield from spoken(self._continued(tokens, limit, sampling), self._decoded, ends=self._ends, stops=stops)

    @torch.inference_mode()
    def log_probabilities(self, prompt: Prompt, choices: Sequence[str]) -> NDArray[Any]:
        """Natural log-probability of each choice as what comes next; float64 of shape [len(choices)].

        The prompt is read once, then all choices in one batch. In a transcript a choice follows after a blank.
        """
        text = self._conversation.text(prompt)
        read = self._tokens(text)
        rows = [self._continuation(text, read, choice) for choice in choices]
        longest = max(map(len, rows), default=0)
        if not longest:
            return np.zeros(len(choices))
        self._fitting(read, room=longest)
        cache = self._cache()
        for start in range(0, len(read) - 1, _PART):
            self._forward([read[start : min(start + _PART, len(read) - 1)]], cache)
        if len(read) > 1:
            cache.batch_repeat_interleave(len(rows))
        padded = [[read[-1], *row[:-1], *[0] * (longest - max(len(row), 1))] for row in rows]
        told = self._forward(padded, cache, keep=longest).double().log_softmax(-1)
        sums = [sum(float(told[place, at, token]) for at, token in enumerate(row)) for place, row in enumerate(rows)]
        return np.array(sums, dtype=np.float64)

    def _continued(self, tokens: Sequence[int], limit: int, sampling: Sampling) -> Iterator[Step | int]:
        """A step for each part of the prompt, then the tokens that follow, the one that ends the answer included."""
        cache = self._cache()
        for start in range(0, len(tokens), _PART):
            part = tokens[start : start + _PART]
            logits = self._forward([part], cache)
            yield Step(read_count=len(part))
        chooser = Chooser(sampling, self._device)
        for count in range(1, limit + 1):
            token = chooser.next(logits[0, -1])
            yield token
            if token in self._ends or count == limit:
                return
            logits = self._forward([[token]], cache)

    @torch.inference_mode()
    def _forward(self, rows: Sequence[Sequence[int]], cache: Any, keep: int = 1) -> torch.Tensor:
        """Logits of the last `keep` tokens of each row; shape [rows, keep, vocabulary]. The cache grows by the rows."""
        ids = torch.tensor([list(row) for row in rows], device=self._device)
        found = self._model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=keep)
        logits: torch.Tensor = found.logits.float()
        return logits

    def _decoded(self, ids: Sequence[int]) -> str:
        return str(self._tokenizer.decode(ids, skip_special_tokens=True))

    def _cache(self) -> Any:
        return DynamicCache(config=self._model.config)

    def _tokens(self, text: str) -> list[int]:
        """A template writes the special tokens itself."""
        found = self._tokenizer(text, add_special_tokens=not self._conversation.has_template)["input_ids"]
        if not found:
            raise InvalidRequest.of("messages", "there is nothing to continue")
        return list(found)

    def _continuation(self, text: str, read: list[int], choice: str) -> list[int]:
        """The tokens of the choice as they follow the text, unless they would change the tokens before them."""
        joined = choice if self._conversation.has_template else f" {choice}"
        if not choice:
            return []
        whole = self._tokens(text + joined)
        if whole[: len(read)] == read and len(whole) > len(read):
            return whole[len(read) :]
        return list(self._tokenizer(joined, add_special_tokens=False)["input_ids"])

    def _fitting(self, tokens: list[int], *, room: int) -> list[int]:
        most = self.context_token_count - room
        if len(tokens) > most:
            raise InvalidRequest.of("messages", f"the prompt has {len(tokens):,} tokens, the model reads {most:,}")
        return tokens

    def _end_tokens(self) -> frozenset[int]:
        said = self._model.generation_config.eos_token_id if self._model.generation_config else None
        found = set(said if isinstance(said, list) else [said]) | {self._tokenizer.eos_token_id}
        vocabulary = self._tokenizer.get_vocab()
        found |= {vocabulary[each] for each in _TURN_ENDS if each in vocabulary}
        return frozenset(each for each in found if isinstance(each, int))
