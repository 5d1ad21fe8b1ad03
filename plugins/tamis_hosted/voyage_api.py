"""Voyage's reranking API, by its official SDK."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tamis.endpoint import Failure, failure
from tamis.errors import Unavailable
from tamis_hosted.reranker import NO_ANSWER, Answer, HostedReranker, HostedSettings, no_answer

if TYPE_CHECKING:
    import aiohttp
    from voyageai.client_async import AsyncClient

__all__ = ["VoyageReranker", "VoyageSettings"]

_VENDOR = "https://api.voyageai.com/v1"
_VENDOR_AT_MONGODB = "https://ai.mongodb.com/v1"


class VoyageSettings(HostedSettings):
    """`base_url` is `https://ai.mongodb.com/v1` for keys made there. At either address, `product` is `voyage/MODEL`.
    The API takes 600,000 tokens in a request, the query counted with each passage."""

    base_url: str = _VENDOR
    model: str = "rerank-2.5"


class VoyageReranker(HostedReranker):
    """Voyage's rerankers. Long passages are cut by the API."""

    Settings = VoyageSettings
    vendor = "voyage"
    addresses = (_VENDOR, _VENDOR_AT_MONGODB)
    extra = "voyage"

    _settings: VoyageSettings

    def __init__(self, settings: VoyageSettings) -> None:
        super().__init__(settings)
        self._session: aiohttp.ClientSession | None = None
        self._client: AsyncClient | None = None

    async def connect(self, key: str) -> None:
        import aiohttp
        from voyageai import util
        from voyageai.client_async import AsyncClient

        util.VOYAGE_LOG = None  # from the environment, and prints passages
        util.logger.disabled = True  # holds passages, and what the endpoint says
        self._session = aiohttp.ClientSession(trust_env=False)
        self._client = AsyncClient(
            key or "none",  # none at all would be looked for in the environment
            max_retries=0,  # further tries are ours, since the SDK's pauses know no deadline
            timeout=self._settings.patience,
            base_url=self._settings.base_url.rstrip("/"),
        )

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def ask(self, query: str, texts: Sequence[str]) -> Answer:
        import voyageai

        if self._client is None:
            raise RuntimeError("the reranker is not open")
        voyageai.aiosession.set(self._session)  # of this task alone; without one it connects anew each time
        told = await self._client.rerank(query, list(texts), self._settings.model, truncation=True)
        scores = [(each.index, each.relevance_score) for each in told.results]
        return Answer(scores, told.total_tokens, told.total_tokens)

    def judged(self, error: Exception) -> Failure | None:
        import aiohttp
        from voyageai import error as errors

        if isinstance(error, errors.Timeout):
            return Failure(Unavailable("the endpoint is silent"), may_pass=True)
        if isinstance(error, (errors.APIConnectionError, aiohttp.ClientError)):
            return Failure(Unavailable("the endpoint cannot be reached"), may_pass=True)
        if isinstance(error, errors.VoyageError):
            status = error.http_status or 0
            return failure(status, error.headers) if status >= 300 else no_answer()
        return no_answer() if isinstance(error, NO_ANSWER) else None
