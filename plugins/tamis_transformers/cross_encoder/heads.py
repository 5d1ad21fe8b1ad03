"""Where in a model's output the relevance is: a classifier's labels, or the logits of a token it would write."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoModelForSequenceClassification

from tamis.errors import ConfigurationError
from tamis_transformers.cross_encoder.frames import Pair
from tamis_transformers.runtimes.network import Form, Network, Rows, Runtime

__all__ = ["Classifier", "Decoder", "EncoderDecoder", "Head"]


class Head(Protocol):
    """A model on its device, and how its output becomes scores."""

    def scores(self, pairs: Sequence[Pair]) -> list[float]:
        """The logit of relevance of each pair, higher is better, by one forward pass."""
        ...


class Classifier:
    """A trained head of one label, or of two, no and yes: then the score is the difference of theirs."""

    loader = AutoModelForSequenceClassification

    def __init__(self, model: Any, padding: int | None, place: Callable[[Network], Runtime]) -> None:
        """`place` gives the network its runtime. Raises `ConfigurationError` for more labels."""
        config = model.config
        self._labels = int(config.num_labels)
        if self._labels not in (1, 2):
            raise ConfigurationError(f"the model has {self._labels} labels; a reranker has one, or yes and no")
        if config.pad_token_id is None:
            config.pad_token_id = padding  # by which a decoder finds the last token, whose logits count
        self._pads = padding is not None
        self._has_segments = (getattr(config, "type_vocab_size", 0) or 0) > 1
        # Heads look at the first token, or find the last one by the padding's id; only XLNet's takes the last place.
        form = Form(
            per_token=False,
            padding=padding or 0,
            reads_segments=self._has_segments,
            pads_left=config.model_type == "xlnet",
        )
        self._runtime = place(Network(model, form))

    def scores(self, pairs: Sequence[Pair]) -> list[float]:
        if not self._pads:
            return [score for pair in pairs for score in self._scores([pair])]
        return self._scores(pairs)

    def _scores(self, pairs: Sequence[Pair]) -> list[float]:
        segments = [pair.segments for pair in pairs] if self._has_segments else None
        logits = self._runtime.run(Rows([pair.tokens for pair in pairs], segments))
        return _listed(logits[:, 0] if self._labels == 1 else logits[:, 1] - logits[:, 0])


class Decoder:
    """A causal language model: the logit of yes as the next token, less that of no where there is one."""

    loader = AutoModelForCausalLM

    def __init__(self, model: Any, padding: int | None, yes: int, no: int | None) -> None:
        self._model, self._padding, self._yes, self._no = model, padding or 0, yes, no
        taken = inspect.signature(model.forward).parameters
        wished = {"logits_to_keep": 1, "use_cache": False}
        self._options = {name: value for name, value in wished.items() if name in taken}
        self._takes_positions = "position_ids" in taken

    def scores(self, pairs: Sequence[Pair]) -> list[float]:
        inputs = _inputs(pairs, self._padding, self._model.device, left=True)
        if self._takes_positions:  # so that a sequence reads the same however much stands before it
            inputs["position_ids"] = (inputs["attention_mask"].cumsum(-1) - 1).clamp(min=0)
        logits = self._model(**inputs, **self._options).logits[:, -1]
        return _listed(_difference(logits, self._yes, self._no))


class EncoderDecoder:
    """An encoder-decoder: the same of the first token that it would write."""

    loader = AutoModelForSeq2SeqLM

    def __init__(self, model: Any, padding: int | None, yes: int, no: int | None) -> None:
        self._model, self._padding, self._yes, self._no = model, padding or 0, yes, no
        told = (getattr(each, "decoder_start_token_id", None) for each in (model.config, model.generation_config))
        self._start = next((each for each in told if each is not None), self._padding)

    def scores(self, pairs: Sequence[Pair]) -> list[float]:
        inputs = _inputs(pairs, self._padding, self._model.device, left=False)
        start = torch.full((len(pairs), 1), self._start, device=self._model.device)
        logits = self._model(**inputs, decoder_input_ids=start, use_cache=False).logits[:, 0]
        return _listed(_difference(logits, self._yes, self._no))


def _difference(logits: torch.Tensor, yes: int, no: int | None) -> torch.Tensor:
    found = logits[:, yes].float()
    return found if no is None else found - logits[:, no].float()


def _inputs(pairs: Sequence[Pair], padding: int, device: Any, *, left: bool) -> dict[str, torch.Tensor]:
    return {
        "input_ids": _padded([pair.tokens for pair in pairs], padding, device, left=left),
        "attention_mask": _padded([(1,) * len(pair.tokens) for pair in pairs], 0, device, left=left),
    }


def _padded(rows: Sequence[tuple[int, ...]], padding: int, device: Any, *, left: bool) -> torch.Tensor:
    longest = max(map(len, rows))
    fills = [(padding,) * (longest - len(row)) for row in rows]
    filled = [(*fill, *row) if left else (*row, *fill) for row, fill in zip(rows, fills, strict=True)]
    return torch.tensor(filled, device=device)


def _listed(scores: torch.Tensor) -> list[float]:
    return [float(each) for each in scores.cpu()]
