"""Mixedbread's reranking API, by its official SDK."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tamis.component import Capabilities
from tamis.endpoint import Failure, failure
from tamis.errors import Unavailable
from tamis.model import ScoreKind
from tamis_hosted.http_api import connection_failure, http_client
from tamis_hosted.reranker import NO_ANSWER, Answer, HostedReranker, HostedSettings, no_answer

if TYPE_CHECKING:
    import mixedbread

__all__ = ["MixedbreadReranker", "MixedbreadSettings"]

_VENDOR = "https://api.mixedbread.com"


class MixedbreadSettings(HostedSettings):
    """`model` as Mixedbread calls it. At Mixedbread's own address, `product` is `mixedbread/MODEL`, the model without
    what stands before its slash."""

    base_url: str = _VENDOR
    model: str = "mixedbread-ai/mxbai-rerank-large-v2"


class MixedbreadReranker(HostedReranker):
    """Mixedbread's rerankers. The API does not say what range its scores have."""

    Settings = MixedbreadSettings
    capabilities = Capabilities(score_kind=ScoreKind.LOGIT)
    vendor = "mixedbread"
    addresses = (_VENDOR,)
    extra = "mixedbread"

    _settings: MixedbreadSettings

    def __init__(self, settings: MixedbreadSettings) -> None:
        super().__init__(settings)
        self._client: mixedbread.AsyncMixedbread | None = None

    async def connect(self, key: str) -> None:
        import mixedbread

        self._client = mixedbread.AsyncMixedbread(
            api_key=key or "none",  # none at all would be looked for in the environment
            base_url=self._settings.base_url,
            http_client=http_client(self._settings.patience),
            max_retries=0,  # further tries are ours, since the SDK's pauses know no deadline
            timeout=self._settings.patience,
        )
        self._client._custom_headers = {}  # which it may have taken from the environment

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()

    async def ask(self, query: str, texts: Sequence[str]) -> Answer:
        if self._client is None:
            raise RuntimeError("the reranker is not open")
        told = await self._client.rerank(
            model=self._settings.model, query=query, input=list(texts), top_k=len(texts), return_input=False
        )
        scores = [(getattr(each, "index", None), getattr(each, "score", None)) for each in told.data]
        tokens = getattr(told.usage, "total_tokens", None)
        return Answer(scores, tokens, tokens)

    def judged(self, error: Exception) -> Failure | None:
        import mixedbread

        if isinstance(error, mixedbread.APIStatusError):
            return failure(error.status_code, error.response.headers)
        if isinstance(error, mixedbread.APITimeoutError):
            return Failure(Unavailable("the endpoint is silent"), may_pass=True)
        if isinstance(error, mixedbread.APIConnectionError):
            return Failure(Unavailable("the endpoint cannot be reached"), may_pass=True)
        is_none = isinstance(error, (mixedbread.MixedbreadError, *NO_ANSWER))
        return connection_failure(error) or (no_answer() if is_none else None)
