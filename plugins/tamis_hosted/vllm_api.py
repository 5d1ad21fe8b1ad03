"""The reranking API of vLLM, a server for one's own models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tamis_hosted.http_api import HttpReranker
from tamis_hosted.reranker import HostedSettings

__all__ = ["VllmReranker", "VllmSettings"]

_AS_THE_MODEL_READS = -1


class VllmSettings(HostedSettings):
    """`model` as the server calls it; `base_url` with or without its `/v1`."""

    base_url: str = "http://127.0.0.1:8000"
    model: str


class VllmReranker(HttpReranker):
    """Any reranker that vLLM serves."""

    Settings = VllmSettings
    vendor = "vllm"

    _settings: VllmSettings

    def body(self, query: str, texts: Sequence[str]) -> dict[str, Any]:
        asked = {"model": self._settings.model, "query": query, "documents": list(texts)}
        return asked | {"truncate_prompt_tokens": _AS_THE_MODEL_READS}
