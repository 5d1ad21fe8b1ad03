"""What providers share that are asked by plain HTTP: one client, its failures, results in a list."""

from __future__ import annotations

import ssl
from abc import abstractmethod
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from tamis.component import Capabilities
from tamis.endpoint import Failure, failure
from tamis.errors import Unavailable
from tamis.model import ScoreKind
from tamis_hosted.reranker import NO_ANSWER, Answer, HostedReranker, HostedSettings, no_answer

if TYPE_CHECKING:
    import httpx

__all__ = [
    "HttpReranker",
    "RawScoresReranker",
    "RawScoresSettings",
    "connection_failure",
    "http_client",
    "read",
]


class HttpReranker(HostedReranker):
    """Posts JSON to one path and reads JSON. The key, where there is one, is sent as a bearer token."""

    extra = "hosted"
    path = "/rerank"

    def __init__(self, settings: Any) -> None:
        super().__init__(settings)
        self._client: httpx.AsyncClient | None = None

    async def connect(self, key: str) -> None:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._client = http_client(self._settings.patience, headers)

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()

    async def ask(self, query: str, texts: Sequence[str]) -> Answer:
        if self._client is None:
            raise RuntimeError("the reranker is not open")
        address = self._settings.base_url.rstrip("/") + self.path
        response = await self._client.post(address, json=self.body(query, texts))
        return self.answer(response.raise_for_status().json())

    @abstractmethod
    def body(self, query: str, texts: Sequence[str]) -> dict[str, Any]:
        """What is posted for one request."""

    def answer(self, told: Any) -> Answer:
        """What the endpoint says. Raises one of `NO_ANSWER` for what is no answer."""
        return read(told["results"], told.get("usage"))

    def judged(self, error: Exception) -> Failure | None:
        return connection_failure(error) or (no_answer() if isinstance(error, NO_ANSWER) else None)


class RawScoresSettings(HostedSettings):
    """Of servers for one's own models. With `raw_scores` they give the model's own scores instead of probabilities."""

    raw_scores: bool = False


class RawScoresReranker(HttpReranker):
    """A reranker whose scores are probabilities, or the model's own."""

    _settings: RawScoresSettings

    def __init__(self, settings: RawScoresSettings) -> None:
        super().__init__(settings)
        if settings.raw_scores:
            self.capabilities = Capabilities(score_kind=ScoreKind.LOGIT)


def read(results: Sequence[Any], usage: Any = None, score: str = "relevance_score") -> Answer:
    """An answer of a list of objects, and of the usage beside it. What is no object counts as one without anything."""
    objects = [each if isinstance(each, dict) else {} for each in results]
    tokens = usage.get("total_tokens") if isinstance(usage, dict) else None
    return Answer([(each.get("index"), each.get(score)) for each in objects], tokens, tokens)


def http_client(patience: float, headers: dict[str, str] | None = None) -> httpx.AsyncClient:
    """A client that takes no proxies, certificates or passwords from the environment."""
    import httpx

    return httpx.AsyncClient(timeout=patience, headers=headers, verify=_certificates(), trust_env=False)


@cache
def _certificates() -> ssl.SSLContext:
    """Read once, as that takes longer than many a request."""
    import httpx

    return httpx.create_ssl_context(trust_env=False)


def connection_failure(error: Exception) -> Failure | None:
    """What an exception of httpx means, None where it is none."""
    import httpx

    if isinstance(error, httpx.HTTPStatusError):
        return failure(error.response.status_code, error.response.headers)
    if isinstance(error, httpx.TimeoutException):
        return Failure(Unavailable("the endpoint is silent"), may_pass=True)
    if isinstance(error, httpx.TransportError):
        return Failure(Unavailable("the endpoint cannot be reached"), may_pass=True)
    return no_answer() if isinstance(error, (httpx.HTTPError, httpx.InvalidURL)) else None
