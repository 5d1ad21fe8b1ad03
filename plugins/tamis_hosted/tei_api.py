"""The reranking API of Text Embeddings Inference, a server for one's own models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field

from tamis_hosted.http_api import RawScoresReranker, RawScoresSettings, read
from tamis_hosted.reranker import Answer

__all__ = ["TeiReranker", "TeiSettings"]


class TeiSettings(RawScoresSettings):
    """`passages_per_request` is at most the server's `--max-client-batch-size`, 32 by default. With `raw_scores` it
    gives the model's own scores instead of probabilities. It serves one model, so none is named."""

    base_url: str = "http://127.0.0.1:8080"
    passages_per_request: Annotated[int, Field(ge=1, le=1_000)] = 32


class TeiReranker(RawScoresReranker):
    """Any reranker that Text Embeddings Inference serves."""

    Settings = TeiSettings
    vendor = "tei"

    _settings: TeiSettings

    def body(self, query: str, texts: Sequence[str]) -> dict[str, Any]:
        return {"query": query, "texts": list(texts), "truncate": True, "raw_scores": self._settings.raw_scores}

    def answer(self, told: Any) -> Answer:
        return read(list(told), score="score")
