"""Chooses one token after the other, and tells as text what has been chosen."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass

import torch

from tamis_transformers.decoding import StopStrings, TextStream

__all__ = ["Chooser", "Sampling", "Step", "spoken"]


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is chosen: the likeliest at temperature 0, else at random from the `top_p` likeliest, the same
    way again with the same `seed`. `repetition_penalty` divides the odds of a token that has been written already."""

    temperature: float = 0.0
    top_p: float = 1.0
    repetition_penalty: float = 1.0
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """What one forward pass gave: tokens read and written by it, and the text that is certain by now."""

    text: str = ""
    read_count: int = 0
    written_count: int = 0
    is_cut: bool = False


def spoken(
    continued: Iterable[Step | int], decode: Callable[[Sequence[int]], str], *, ends: Set[int], stops: Sequence[str]
) -> Iterator[Step]:
    """The steps of an answer, from those that read and the tokens that a model writes, until one of `ends` or a stop
    string comes. Whole characters only; the last step says whether the model had more to say."""
    text, stop = TextStream(decode), StopStrings(stops)
    is_cut = True
    for step in continued:
        if isinstance(step, Step):
            yield step
        elif step in ends:
            is_cut = False
        else:
            yield Step(stop.feed(text.feed(step)), written_count=1)
            if stop.has_stopped:
                return
    rest = stop.feed(text.end())
    yield Step(rest if stop.has_stopped else rest + stop.end(), is_cut=is_cut and not stop.has_stopped)


class Chooser:
    """Chooses tokens, one after the other."""

    def __init__(self, sampling: Sampling, device: torch.device) -> None:
        self._sampling = sampling
        self._written: set[int] = set()
        self._random = torch.Generator(device)
        if sampling.seed is None:
            self._random.seed()
        else:
            self._random.manual_seed(sampling.seed)

    @torch.inference_mode()
    def next(self, logits: torch.Tensor) -> int:
        """The next token by its logits; shape [vocabulary]."""
        sampling = self._sampling
        if sampling.repetition_penalty != 1 and self._written:
            written = torch.tensor(sorted(self._written), device=logits.device)
            logits = logits.clone()
            logits[written] -= math.log(sampling.repetition_penalty)
        if sampling.temperature == 0:
            token = int(logits.argmax())
        else:
            odds, order = (logits / sampling.temperature).softmax(-1).sort(descending=True)
            odds[odds.cumsum(0) - odds >= sampling.top_p] = 0  # the first one always stays
            token = int(order[torch.multinomial(odds, 1, generator=self._random)])
        self._written.add(token)
        return token
