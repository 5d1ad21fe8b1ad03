"""Cohere's reranking API, by its official SDK."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tamis.context import BillingUnit
from tamis.endpoint import Failure, failure
from tamis.model import Passage
from tamis_hosted.documents import document
from tamis_hosted.http_api import connection_failure, http_client
from tamis_hosted.reranker import NO_ANSWER, Answer, HostedReranker, HostedSettings, no_answer

if TYPE_CHECKING:
    import cohere
    import httpx

__all__ = ["CohereReranker", "CohereSettings"]

_VENDOR = "https://api.cohere.com"


class CohereSettings(HostedSettings):
    """`fields` writes documents as YAML, for tables and JSON: `title`, `heading`, `text` and names of metadata, in the
    order in which they matter. At Cohere's own address, `product` is `cohere/MODEL`."""

    base_url: str = _VENDOR
    model: str = "rerank-v3.5"
    fields: tuple[str, ...] = ()


class CohereReranker(HostedReranker):
    """Cohere's rerankers from version 3 on, by version 2 of the API."""

    Settings = CohereSettings
    vendor = "cohere"
    addresses = (_VENDOR,)
    billing_unit = BillingUnit.SEARCH
    extra = "cohere"

    _settings: CohereSettings

    def __init__(self, settings: CohereSettings) -> None:
        super().__init__(settings)
        self._http: httpx.AsyncClient | None = None
        self._client: cohere.AsyncClientV2 | None = None

    async def connect(self, key: str) -> None:
        import cohere

        if self._settings.fields:
            import yaml  # noqa: F401  so that it is missed now and not in a search
        self._http = http_client(self._settings.patience)
        self._client = cohere.AsyncClientV2(
            key or "none",  # none at all would be looked for in the environment
            base_url=self._settings.base_url,
            httpx_client=self._http,
            max_retries=0,  # further tries are ours, since the SDK's pauses know no deadline
            timeout=self._settings.patience,
            log_warning_experimental_features=False,
        )

    async def close(self) -> None:
        if self._http is not None:
            await self._http.aclose()

    def text_of(self, passage: Passage) -> str:
        settings = self._settings
        return document(passage, settings.fields, settings.most_characters) if settings.fields else passage.full_text

    async def ask(self, query: str, texts: Sequence[str]) -> Answer:
        if self._client is None:
            raise RuntimeError("the reranker is not open")
        limit = self._settings.tokens_per_passage
        told = await self._client.rerank(
            model=self._settings.model, query=query, documents=texts, max_tokens_per_doc=limit
        )
        scores = [(getattr(each, "index", None), getattr(each, "relevance_score", None)) for each in told.results]
        billed = told.meta and told.meta.billed_units
        tokens = told.meta and told.meta.tokens
        return Answer(scores, tokens and tokens.input_tokens, billed and billed.search_units)

    def judged(self, error: Exception) -> Failure | None:
        from cohere.core import ApiError

        if isinstance(error, ApiError):
            is_refusal = error.status_code is not None and error.status_code >= 300
            return failure(error.status_code or 0, error.headers or {}) if is_refusal else no_answer()
        return connection_failure(error) or (no_answer() if isinstance(error, NO_ANSWER) else None)
