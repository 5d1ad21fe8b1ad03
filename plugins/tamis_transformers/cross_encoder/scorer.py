"""Loads a checkpoint that scores pairs, of whichever kind, and runs it on batches of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from tamis.errors import ConfigurationError
from tamis_transformers.checkpoint import device as device_of
from tamis_transformers.checkpoint import dtype as dtype_of
from tamis_transformers.checkpoint import json_of, model_of, tokenizer_of
from tamis_transformers.checkpoint import max_tokens as max_tokens_of
from tamis_transformers.cross_encoder.frames import Frame, Pair, Read, Reading, frame_of_pairs, frame_of_template
from tamis_transformers.cross_encoder.heads import Classifier, Decoder, EncoderDecoder, Head
from tamis_transformers.cross_encoder.templates import Template, built_in, chosen
from tamis_transformers.runtimes.choice import choose, weights_dtype
from tamis_transformers.runtimes.network import Network, Runtime
from tamis_transformers.runtimes.settings import BATCH_TOKEN_COUNT
from tamis_transformers.runtimes.stored import Wish

__all__ = ["Kind", "PairScorer", "Plan", "kind_of"]

Kind = Literal["classifier", "decoder", "encoder-decoder"]
_LOADERS: dict[Kind, Any] = {
    "classifier": Classifier.loader,
    "decoder": Decoder.loader,
    "encoder-decoder": EncoderDecoder.loader,
}


@dataclass(frozen=True, slots=True)
class Plan:
    """What the settings say about a checkpoint: its name, kind and prompt (None: found out), and how much it reads."""

    model: str
    wish: Wish
    kind: Kind | None = None
    template: str | Template | None = None
    instruction: str | None = None
    device: str = "auto"
    max_tokens: int | None = None
    most_passage_tokens: int = 8_192
    overlap_tokens: int = 64
    windows: bool = True
    remote_code: bool = False


class PairScorer:
    """Tokenizer, prompt and model of one checkpoint. `batch_token_count` is the padded size of a batch."""

    def __init__(self, plan: Plan) -> None:
        """Loads the weights. Raises `ConfigurationError` for a checkpoint that is no reranker, or one whose prompt is
        not known, or whose code would have to run and must not."""
        path, wish = plan.wish.path, plan.wish
        kind = plan.kind or kind_of(path)
        template = _template(kind, plan)
        self._tokenizer = tokenizer_of(path, remote_code=plan.remote_code)
        device = device_of(plan.device)
        if kind != "classifier":
            _check_torch(wish, kind)
        dtype = weights_dtype(wish, device) if kind == "classifier" else dtype_of(wish.dtype, device)
        model = _model(path, _LOADERS[kind], plan, device=device, dtype=dtype)
        wanted = plan.max_tokens or (template.max_tokens if template else None)
        self.max_tokens = max_tokens_of(path, model, wanted)
        self._frame = self._framed(template, plan)
        self.batch_token_count = wish.batch_token_count or BATCH_TOKEN_COUNT
        self._head = self._headed(kind, model, template, lambda network: self._placed(network, wish, device))

    def tokenize(self, query: str, texts: Sequence[str]) -> Read:
        """The pairs of the query with each text. For one thread."""
        return self._frame.read(query, texts)

    @torch.inference_mode()
    def score(self, pairs: Sequence[Pair]) -> list[float]:
        """The logit of relevance of each pair."""
        return self._head.scores(pairs)

    def _framed(self, template: Template | None, plan: Plan) -> Frame:
        reading = Reading(self.max_tokens, plan.most_passage_tokens, plan.overlap_tokens, plan.windows)
        if template is None:
            return frame_of_pairs(self._tokenizer, reading)
        return frame_of_template(self._tokenizer, template, plan.instruction, reading)

    def _placed(self, network: Network, wish: Wish, device: torch.device) -> Runtime:
        found = choose(network, wish, device=device, most_tokens=self.max_tokens)
        self.batch_token_count = found.batch_token_count
        return found.runtime

    def _headed(self, kind: Kind, model: Any, template: Template | None, place: Callable[[Network], Runtime]) -> Head:
        padding = self._tokenizer.pad_token_id
        if kind == "classifier" or template is None:
            return Classifier(model, padding, place)
        yes = self._token(template.yes)
        no = None if template.no is None else self._token(template.no)
        return (Decoder if kind == "decoder" else EncoderDecoder)(model, padding, yes, no)

    def _token(self, text: str) -> int:
        found: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        if len(found) != 1 or found[0] == self._tokenizer.unk_token_id:
            raise ConfigurationError(f"{text!r} is not one token to this model; yes and no of a template must be")
        return found[0]


def kind_of(path: Path) -> Kind:
    """What the checkpoint says it is; a classifier where it says nothing else."""
    config = json_of(path / "config.json")
    named = (config.get("architectures") or [""])[0]
    if named.endswith("ForSequenceClassification"):
        return "classifier"
    if config.get("is_encoder_decoder") or named.endswith("ForConditionalGeneration"):
        return "encoder-decoder"
    return "decoder" if named.endswith(("ForCausalLM", "LMHeadModel")) else "classifier"


def _check_torch(wish: Wish, kind: Kind) -> None:
    if wish.runtime not in ("auto", "torch") or wish.dtype == "int8":
        asked = 'dtype = "int8"' if wish.dtype == "int8" else f'runtime = "{wish.runtime}"'
        raise ConfigurationError(f"{asked} is for classifiers; this model is of the kind {kind}, which torch computes")


def _template(kind: Kind, plan: Plan) -> Template | None:
    """None for a classifier that reads a pair of texts as its tokenizer joins them."""
    if isinstance(plan.template, Template):
        return plan.template
    if plan.template is not None:
        return built_in(plan.template)
    return None if kind == "classifier" else chosen(plan.model)


def _model(path: Path, loader: Any, plan: Plan, *, device: Any, dtype: Any) -> Any:
    try:
        return model_of(path, loader, device=device, dtype=dtype, remote_code=plan.remote_code)
    except ConfigurationError as error:
        if plan.remote_code or loader.__name__ not in json_of(path / "config.json").get("auto_map", {}):
            raise
        raise ConfigurationError(
            f"the model at {path} comes with code of its own, which runs only where remote_code = true trusts it"
        ) from error
