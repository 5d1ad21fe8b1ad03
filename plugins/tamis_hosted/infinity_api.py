"""The reranking API of Infinity, a server for one's own models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field

from tamis_hosted.http_api import RawScoresReranker, RawScoresSettings, read
from tamis_hosted.reranker import Answer

__all__ = ["InfinityReranker", "InfinitySettings"]


class InfinitySettings(RawScoresSettings):
    """`base_url` with the server's `url_prefix`, where it has one; `model` as the server calls it. With `raw_scores`
    it gives the model's own scores instead of probabilities."""

    base_url: str = "http://127.0.0.1:7997"
    model: str
    tokens_per_passage: Annotated[int, Field(ge=16, le=15_360)] = 4_096


class InfinityReranker(RawScoresReranker):
    """Any reranker that Infinity serves. What it calls tokens in its usage are characters, so they are not counted."""

    Settings = InfinitySettings
    vendor = "infinity"

    _settings: InfinitySettings

    def body(self, query: str, texts: Sequence[str]) -> dict[str, Any]:
        asked = {"model": self._settings.model, "query": query, "documents": list(texts)}
        return asked | {"return_documents": False, "raw_scores": self._settings.raw_scores}

    def answer(self, told: Any) -> Answer:
        return read(told["results"])
