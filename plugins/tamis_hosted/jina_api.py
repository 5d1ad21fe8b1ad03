"""Jina's reranking API, asked by plain HTTP: there is no SDK for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tamis.component import Capabilities
from tamis.model import ScoreKind
from tamis_hosted.http_api import HttpReranker
from tamis_hosted.reranker import HostedSettings

__all__ = ["JinaReranker", "JinaSettings"]

_VENDOR = "https://api.jina.ai/v1"
_LISTWISE = "jina-reranker-v3"


class JinaSettings(HostedSettings):
    """`model` as Jina calls it. At Jina's own address, `product` is `jina/MODEL`."""

    base_url: str = _VENDOR
    model: str = "jina-reranker-v2-base-multilingual"


class JinaReranker(HttpReranker):
    """Jina's rerankers. Those of version 3 read the passages of one request together and give cosines, so scores of
    two requests are not quite comparable: give them as many passages per request as they are to compare."""

    Settings = JinaSettings
    vendor = "jina"
    addresses = (_VENDOR,)

    _settings: JinaSettings

    def __init__(self, settings: JinaSettings) -> None:
        super().__init__(settings)
        if settings.model.startswith(_LISTWISE):
            self.capabilities = Capabilities(score_kind=ScoreKind.COSINE, cross_document=True)

    def body(self, query: str, texts: Sequence[str]) -> dict[str, Any]:
        return {"model": self._settings.model, "query": query, "documents": list(texts), "return_documents": False}
