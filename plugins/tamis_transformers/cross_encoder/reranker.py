"""The cross-encoder plugin: settings, windows of long passages, calibrated scores."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from pydantic import Discriminator, Field, Tag, model_validator

from tamis.component import Capabilities
from tamis.context import Call
from tamis.model import Passage, Query, ScoreKind
from tamis.scores import CachedScoresSettings
from tamis.stage import PointwiseReranker
from tamis_transformers.checkpoint import located
from tamis_transformers.cross_encoder.templates import Template
from tamis_transformers.runtimes import RuntimeSettings
from tamis_transformers.runtimes.placed_model import PlacedModel

if TYPE_CHECKING:
    from tamis_transformers.cross_encoder.frames import Pair
    from tamis_transformers.cross_encoder.scorer import PairScorer

__all__ = ["CrossEncoderReranker", "CrossEncoderSettings"]

# Told apart by hand, so that a mistake in a table is not reported as if a name had been meant.
_NamedOrTable: TypeAlias = Annotated[
    Annotated[str, Tag("name")] | Annotated[Template, Tag("table")],
    Discriminator(lambda given: "table" if isinstance(given, dict | Template) else "name"),
]


class CrossEncoderSettings(RuntimeSettings, CachedScoresSettings):
    """`model` is a folder, or a hub id downloaded before; its `kind` is read from its config unless it is set.

    `template` is the prompt of a model that answers with a token: a name, a table, or chosen by the model's name;
    `instruction` takes the place of its own. `max_tokens` is of query and passage together. A passage longer than
    that is read in overlapping windows and scored by the best one, or `cut`; of no passage more than
    `most_passage_tokens` are read. Scores are logits, or probabilities: sigmoid(logit / `temperature`).
    `remote_code` lets the checkpoint's own Python run. Other runtimes than torch are for classifiers. `cached_scores`
    are kept for the same query over the same passage.
    """

    model: str
    kind: Literal["auto", "classifier", "decoder", "encoder-decoder"] = "auto"
    template: _NamedOrTable | None = None
    instruction: str | None = None
    max_tokens: Annotated[int, Field(ge=8)] | None = None
    long_passages: Literal["best", "cut"] = "best"
    most_passage_tokens: Annotated[int, Field(ge=8)] = 8_192
    overlap_tokens: Annotated[int, Field(ge=0)] = 64
    scores: Literal["logit", "probability"] = "logit"
    temperature: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    remote_code: bool = False

    @model_validator(mode="after")
    def _temperature_is_of_probabilities(self) -> CrossEncoderSettings:
        if self.temperature != 1.0 and self.scores == "logit":
            raise ValueError('temperature goes with scores = "probability"')
        return self


class CrossEncoderReranker(PlacedModel["PairScorer", "Pair", float], PointwiseReranker):
    """Reads query and passage together. Nogueira and Cho, "Passage Re-ranking with BERT", 2019; by a token's logit
    Nogueira et al., "Document Ranking with a Pretrained Sequence-to-Sequence Model", 2020; the best window as in Dai
    and Callan, "Deeper Text Understanding for IR with Contextual Neural Language Modeling", 2019."""

    Settings = CrossEncoderSettings
    capabilities = Capabilities(score_kind=ScoreKind.LOGIT)

    def __init__(self, settings: CrossEncoderSettings) -> None:
        super().__init__(settings, located(settings.model))
        self._settings = settings
        if settings.scores == "probability":
            self.capabilities = Capabilities(score_kind=ScoreKind.PROBABILITY)

    async def score(self, query: Query, passages: Sequence[Passage], *, call: Call) -> AsyncIterator[tuple[int, float]]:
        """A passage's score comes when its last window is done. A window whose score is no number does not count."""
        owners: list[int] = []
        left: list[int] = []
        best = [math.nan] * len(passages)

        def windows(texts: Sequence[str]) -> list[Pair]:
            read = self._model.tokenize(query.text, texts)
            for each in read.windows:
                owners.extend([len(left)] * len(each))
                left.append(len(each))
            for note in read.notes:
                call.note(note)
            return [pair for each in read.windows for pair in each]

        call.check()
        texts = [passage.full_text for passage in passages]
        async with aclosing(self.computed(texts, windows, lambda pair: len(pair.tokens), call)) as scores:
            async for position, score in scores:
                index = owners[position]
                left[index] -= 1
                if score > best[index] or math.isnan(best[index]):
                    best[index] = score
                if not left[index]:
                    call.usage.pair_count += 1
                    yield index, self._calibrated(best[index])

    def _calibrated(self, logit: float) -> float:
        """What is not finite stays so: it is an error and no certainty."""
        if self._settings.scores == "logit" or not math.isfinite(logit):
            return logit
        return 0.5 * (1 + math.tanh(logit / self._settings.temperature / 2))

    def load(self) -> tuple[PairScorer, Callable[[Sequence[Pair]], Sequence[float]]]:
        from tamis_transformers.cross_encoder.scorer import PairScorer, Plan

        it = self._settings
        plan = Plan(
            model=it.model,
            wish=self._wish,
            kind=None if it.kind == "auto" else it.kind,
            template=it.template,
            instruction=it.instruction,
            device=it.device,
            max_tokens=it.max_tokens,
            most_passage_tokens=it.most_passage_tokens,
            overlap_tokens=it.overlap_tokens,
            windows=it.long_passages == "best",
            remote_code=it.remote_code,
        )
        scorer = PairScorer(plan)
        return scorer, scorer.score
