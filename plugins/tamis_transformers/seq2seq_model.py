"""Loads an encoder-decoder language model and answers one text with it, a token at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoModelForSeq2SeqLM, DynamicCache, EncoderDecoderCache
from transformers.modeling_outputs import BaseModelOutput

from tamis.errors import ConfigurationError, InvalidRequest
from tamis.models import Prompt
from tamis_transformers.checkpoint import device as device_of
from tamis_transformers.checkpoint import dtype as dtype_of
from tamis_transformers.checkpoint import model_of, tokenizer_of
from tamis_transformers.conversation import Conversation
from tamis_transformers.sampling import Chooser, Sampling, Step, spoken

__all__ = ["Read", "Seq2SeqModel"]

_TRAINED_ON = 512  # tokens of T5 and its kin, whose newer configurations do not say so


@dataclass(frozen=True, slots=True)
class Read:
    """A prompt as tokens: what the encoder reads, and how the answer begins, the decoder's start token first."""

    encoder: tuple[int, ...]
    decoder: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.encoder) + len(self.decoder)


class Seq2SeqModel:
    """Tokenizer and weights of one checkpoint. Computes in the thread that calls it, one call at a time."""

    def __init__(
        self, path: Path, tokenizer: Path, *, device: str, dtype: str, context_token_count: int | None
    ) -> None:
        """Loads the weights; safetensors only, no code from the checkpoint. Raises `ConfigurationError`."""
        self._tokenizer = tokenizer_of(tokenizer)
        self._device = device_of(device)
        self._model = model_of(path, AutoModelForSeq2SeqLM, device=self._device, dtype=dtype_of(dtype, self._device))
        self._starts = self._start_tokens(path)
        self._ends = self._end_tokens()
        self._conversation = Conversation(self._tokenizer, has_template=False)
        self.context_token_count = self._positions(context_token_count)

    def count(self, text: str) -> int:
        """How many tokens the text has, special ones left out."""
        return len(self._tokens(text))

    def offsets(self, text: str) -> list[tuple[int, int]]:
        """Where the tokens of the text stand in it, in characters."""
        found = self._tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
        return [(int(start), int(end)) for start, end in found]

    def tokens(self, prompt: Prompt) -> Read:
        """The prompt as the model reads it. Raises `InvalidRequest` for one that leaves no room for an answer."""
        return self._fitting(self._read(*self._parts(prompt)), room=1)

    def steps(self, tokens: Read, limit: int, sampling: Sampling, stops: Sequence[str]) -> Iterator[Step]:
        """Reads the prompt, then writes at most `limit` tokens, until the model ends or a stop string comes."""
        limit = min(limit, self.context_token_count - len(tokens))
        yield from spoken(self._continued(tokens, limit, sampling), self._decoded, ends=self._ends, stops=stops)

    @torch.inference_mode()
    def log_probabilities(self, prompt: Prompt, choices: Sequence[str]) -> NDArray[Any]:
        """Natural log-probability of each choice as the decoder's next tokens; float64 of shape [len(choices)].

        The prompt is encoded once, then all choices are decoded in one batch. After an answer that has begun a choice
        follows after a blank. The end of the answer is no part of a choice.
        """
        text, begun = self._parts(prompt)
        read = self._read(text, begun)
        rows = [self._continuation(begun, read, choice) for choice in choices]
        longest = max(map(len, rows), default=0)
        if not longest:
            return np.zeros(len(choices))
        self._fitting(read, room=longest)
        states = self._encoded(read).expand(len(rows), -1, -1)
        padded = [[*read.decoder, *row[:-1], *[0] * (longest - max(len(row), 1))] for row in rows]
        told = self._decode(states, padded)[:, -longest:].double().log_softmax(-1)
        sums = [sum(float(told[place, at, token]) for at, token in enumerate(row)) for place, row in enumerate(rows)]
        return np.array(sums, dtype=np.float64)

    def _continued(self, read: Read, limit: int, sampling: Sampling) -> Iterator[Step | int]:
        """A step for the prompt, then the tokens that follow, the one that ends the answer included."""
        states = self._encoded(read)
        yield Step(read_count=len(read))
        cache = EncoderDecoderCache(DynamicCache(), DynamicCache())
        chooser, next_in = Chooser(sampling, self._device), list(read.decoder)
        for _ in range(limit):
            token = chooser.next(self._decode(states, [next_in], cache)[0, -1])
            yield token
            if token in self._ends:
                return
            next_in = [token]

    @torch.inference_mode()
    def _encoded(self, read: Read) -> torch.Tensor:
        """The encoder's states; shape [1, tokens, hidden]."""
        states: torch.Tensor = self._model.get_encoder()(input_ids=self._tensor([read.encoder])).last_hidden_state
        return states

    @torch.inference_mode()
    def _decode(
        self, states: torch.Tensor, rows: Sequence[Sequence[int]], cache: EncoderDecoderCache | None = None
    ) -> torch.Tensor:
        """Logits of each token of each row; shape [rows, tokens, vocabulary]. The cache grows by the rows."""
        found = self._model(
            encoder_outputs=BaseModelOutput(last_hidden_state=states),
            decoder_input_ids=self._tensor(rows),
            past_key_values=cache,
            use_cache=cache is not None,
        )
        logits: torch.Tensor = found.logits.float()
        return logits

    def _tensor(self, rows: Sequence[Sequence[int]]) -> torch.Tensor:
        return torch.tensor([list(row) for row in rows], device=self._device)

    def _parts(self, prompt: Prompt) -> tuple[str, str]:
        """What the encoder reads, and how the answer has begun."""
        messages = prompt.messages
        begun = messages[-1].text if messages and messages[-1].role == "assistant" else ""
        return self._conversation.text(Prompt(messages[:-1] if begun else messages)), begun

    def _read(self, text: str, begun: str) -> Read:
        encoder = self._tokenizer(text)["input_ids"]
        if not encoder:
            raise InvalidRequest.of("messages", "there is nothing to answer")
        return Read(tuple(encoder), (*self._starts, *self._tokens(begun)))

    def _tokens(self, text: str) -> list[int]:
        return list(self._tokenizer(text, add_special_tokens=False)["input_ids"]) if text else []

    def _continuation(self, begun: str, read: Read, choice: str) -> list[int]:
        """The tokens of the choice as they follow what has begun, unless they would change the tokens before them."""
        if not begun or not choice:
            return self._tokens(choice)
        before = list(read.decoder[len(self._starts) :])
        whole = self._tokens(f"{begun} {choice}")
        return whole[len(before) :] if whole[: len(before)] == before else self._tokens(choice)

    def _fitting(self, read: Read, *, room: int) -> Read:
        most = self.context_token_count - room
        if len(read) > most:
            raise InvalidRequest.of("messages", f"the prompt has {len(read):,} tokens, the model reads {most:,}")
        return read

    def _decoded(self, ids: Sequence[int]) -> str:
        return str(self._tokenizer.decode(ids, skip_special_tokens=True))

    def _start_tokens(self, path: Path) -> tuple[int, ...]:
        """What the decoder is given before anything is written: its start token, and a forced first one."""
        told = (self._model.generation_config, self._model.config)
        start = next(
            (found for each in told if (found := getattr(each, "decoder_start_token_id", None)) is not None), None
        )
        if start is None:
            raise ConfigurationError(f"the model at {path} does not say with which token its decoder starts")
        forced = getattr(self._model.generation_config, "forced_bos_token_id", None)
        return (int(start),) if forced is None else (int(start), int(forced))

    def _end_tokens(self) -> frozenset[int]:
        said = self._model.generation_config.eos_token_id
        found = {*(said if isinstance(said, list) else [said]), self._tokenizer.eos_token_id}
        return frozenset(each for each in found if isinstance(each, int))

    def _positions(self, wanted: int | None) -> int:
        config = self._model.config
        absolute = getattr(config, "max_position_embeddings", None)
        if absolute is not None:
            return min(int(absolute), wanted or int(absolute))
        return wanted or int(getattr(config, "n_positions", None) or _TRAINED_ON)
