"""The reranking API of Text Embeddings Inference, a server for one's own models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field

from tamis.component import Capabilities
from tamis.model import ScoreKind
from tamis_hosted.http_api import HttpReranker, read
from tamis_hosted.reranker import Answer, HostedSettings

__all__ = ["TeiReranker", "TeiSettings"]


class TeiSettings(HostedSettings):
    """`passages_per_request` is at most the server's `--max-client-batch-size`, 32 by default. With `raw_scores` it
    gives the model's own scores instead of probabilities. It serves one model, so none is named."""

    base_url: str = "http://127.0.0.1:8080"
    raw_scores: bool = False
    passages_per_request: Annotated[int, Field(ge=1, le=1_000)] = 32


class TeiReranker(HttpReranker):
    """Any reranker that Text Embeddings Inference serves."""

    Settings = TeiSettings
    vendor = "tei"

    _settings: TeiSettings

    def __init__(self, settings: TeiSettings) -> None:
        super().__init__(settings)
        if settings.raw_scores:
            self.capabilities = Capabilities(score_kind=ScoreKind.LOGIT)

    def body(self, query: str, texts: Sequence[str]) -> dict[str, Any]:
        return {"query": query, "texts": list(texts), "truncate": True, "raw_scores": self._settings.raw_scores}

    def answer(self, told: Any) -> Answer:
        return read(list(told), score="score")
