"""The layerwise reranker: a score at whichever layer a request chooses, and deeper layers only for who needs them."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from tamis.component import Capabilities, overridable
from tamis.context import Call
from tamis.errors import ConfigurationError
from tamis.model import Passage, Query, ScoreKind
from tamis.scores import CachedScoresSettings, ScoreCache
from tamis.stage import Reranker, Reranking
from tamis_transformers.checkpoint import located
from tamis_transformers.early_exit import Standing, staying
from tamis_transformers.queued_model import QueuedModel, QueuedModelSettings

if TYPE_CHECKING:
    from tamis_transformers.layerwise_model import LayerwiseModel, Stretch

__all__ = ["LayerwiseReranker", "LayerwiseSettings"]


class LayerwiseSettings(QueuedModelSettings, CachedScoresSettings):
    """`model` is a folder with a layerwise MiniCPM checkpoint, or a hub id downloaded before. `layer` is whose score
    counts, the last one's by default. At each of `exit_layers` passages leave that have `top_n` others more than
    `exit_margin` logits above themselves. `state_bytes` is what all passages between two layers may take together;
    those for which there is no room begin again. `max_tokens` cuts query and passage together, the prompt left out.
    `cached_scores` are kept, each of one layer.
    """

    model: str
    layer: Annotated[int, Field(ge=1)] | None = Field(None, json_schema_extra=overridable())
    exit_layers: tuple[Annotated[int, Field(ge=1)], ...] = ()
    exit_margin: Annotated[float, Field(ge=0)] = Field(math.inf, json_schema_extra=overridable())
    state_bytes: Annotated[int, Field(ge=0)] = 1_073_741_824
    max_tokens: Annotated[int, Field(ge=8)] = 512


@dataclass(slots=True)
class _Pairs:
    """The pairs of one request on their way through the layers: their texts and tokens, how many layers are behind
    them, how many bytes are reserved for the state of each, and the states that there are."""

    query: str
    texts: Sequence[str]
    tokens: Sequence[tuple[int, ...]]
    reached: int = 0
    reserved: dict[int, int] = field(default_factory=dict)
    states: dict[int, Any] = field(default_factory=dict)


class LayerwiseReranker(QueuedModel["LayerwiseModel", "Stretch", "tuple[float, Any]"], Reranker):
    """Reads query and passage together and asks whether one answers the other; every layer from some on has an answer.

    Li et al., "Making Large Language Models A Better Foundation For Dense Retrieval", 2023, and the model card of
    bge-reranker-v2-minicpm-layerwise. Scores are logits of one layer. While a layer is only partly done there are none,
    since an order of two layers has no common score; who left early never has one.
    """

    Settings = LayerwiseSettings
    capabilities = Capabilities(score_kind=ScoreKind.LOGIT)

    def __init__(self, settings: LayerwiseSettings) -> None:
        super().__init__(settings)
        self._settings = settings
        self._path = located(settings.model)
        self._held_bytes = 0
        self._known = ScoreCache.of(settings)
        if settings.exit_layers:  # how deep a passage goes depends on its neighbours
            self.capabilities = Capabilities(score_kind=ScoreKind.LOGIT, cross_document=True)

    async def rerank(
        self, query: Query, passages: Sequence[Passage], *, top_n: int, call: Call
    ) -> AsyncGenerator[Reranking, None]:
        """Better and better orders: by the first layer as its scores come, then by each deeper one."""
        if not passages:
            return
        call.check()
        layers, margin = self._layers(call), self._margin(call)
        texts = [passage.full_text for passage in passages]
        tokens = await self._in_executor(self._model.tokenize, query.text, texts)
        pairs, standing, going = _Pairs(query.text, texts, tokens), Standing(len(passages)), list(range(len(passages)))
        try:
            for layer in layers:
                self._reserve(pairs, going if layer != layers[-1] else ())
                async with aclosing(self._scored(pairs, going, layer, call)) as stream:
                    async for index, score in stream:
                        better = standing.add(index, score)
                        if better is None:
                            call.note("score that is not finite dropped")
                        else:
                            yield better
                settled = standing.settle()
                if settled is not None:
                    yield settled
                going = staying(standing.scores, top_n, margin)
                self._release(pairs, set(pairs.reserved) - set(going))
        finally:
            self._release(pairs, set(pairs.reserved))
        if settled is None or settled.ranked_count < len(passages):
            call.note("passages left without a score")

    async def _scored(
        self, pairs: _Pairs, going: Sequence[int], layer: int, call: Call
    ) -> AsyncGenerator[tuple[int, float], None]:
        """Index and score of each pair at a layer: those that are known, then the others."""
        known = self._known
        computed: list[int] = []

        def compute(left: Sequence[int]) -> AsyncGenerator[tuple[int, float], None]:
            computed.extend(going[place] for place in left)
            return self._computed(pairs, computed, layer, call)

        if known is None:
            stream = compute(range(len(going)))
        else:
            keys = await known.keys(pairs.query, [pairs.texts[index] for index in going], call, layer)
            stream = known.scored(keys, compute, call)
        async with aclosing(stream) as scores:
            async for place, score in scores:
                yield going[place], score
        for index in set(going) - set(computed):  # its state, if any, is of the layer before
            pairs.states.pop(index, None)
        pairs.reached = layer

    async def _computed(
        self, pairs: _Pairs, going: Sequence[int], layer: int, call: Call
    ) -> AsyncGenerator[tuple[int, float], None]:
        """Place and score of each pair at a layer, the best by the layer before submitted first."""
        stretches = [self._stretch(pairs, index, layer) for index in going]
        costs = [len(each.tokens) for each in stretches]
        async with aclosing(self._queue.stream(stretches, costs, call)) as results:
            async for position, (score, state) in results:
                call.usage.pair_count += not pairs.reached
                call.usage.input_token_count += 0 if stretches[position].begin else costs[position]
                if state is not None:
                    pairs.states[going[position]] = state
                yield position, score

    def _stretch(self, pairs: _Pairs, index: int, layer: int) -> Stretch:
        from tamis_transformers.layerwise_model import Stretch

        state = pairs.states.get(index)
        begin = 0 if state is None else pairs.reached
        return Stretch(pairs.tokens[index], layer, begin, state, index in pairs.reserved)

    def _reserve(self, pairs: _Pairs, going: Sequence[int]) -> None:
        """Room for the states of those that have none yet, the first ones first, as far as it goes."""
        for index in going:
            needed = self._model.state_bytes(pairs.tokens[index])
            if index not in pairs.reserved and self._held_bytes + needed <= self._settings.state_bytes:
                pairs.reserved[index] = needed
                self._held_bytes += needed

    def _release(self, pairs: _Pairs, indices: Iterable[int]) -> None:
        for index in indices:
            pairs.states.pop(index, None)
            self._held_bytes -= pairs.reserved.pop(index)

    def _layers(self, call: Call) -> list[int]:
        """The exit layers below the one whose score counts, and that one."""
        known = self._model.layers
        wanted = call.options.get("layer", self._settings.layer) or known[-1]
        target = min(max(int(wanted), known[0]), known[-1])  # type: ignore[call-overload]
        if target != wanted:
            call.note("the nearest layer that has a score was used")
        return [*sorted({each for each in self._settings.exit_layers if each < target}), target]

    def _margin(self, call: Call) -> float:
        margin: Any = call.options.get("exit_margin", self._settings.exit_margin)
        return float(margin)

    def load(self) -> tuple[LayerwiseModel, Callable[[Sequence[Stretch]], Sequence[tuple[float, Any]]]]:
        from tamis_transformers.layerwise_model import LayerwiseModel

        settings = self._settings
        model = LayerwiseModel(self._path, device=settings.device, dtype=settings.dtype, max_tokens=settings.max_tokens)
        for layer in (*settings.exit_layers, *(() if settings.layer is None else (settings.layer,))):
            if layer not in model.layers:
                known = f"{model.layers[0]} to {model.layers[-1]}"
                raise ConfigurationError(f"layer {layer} has no score; the model at {self._path} has layers {known}")
        return model, model.run
