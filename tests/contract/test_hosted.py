"""Every hosted reranker keeps the contract, by its real SDK or by HTTP, against an endpoint in its format."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, ClassVar

import pytest
from hosted_endpoint import PROVIDERS, base_url, reranking_endpoint
from scripted_endpoint import Endpoint

import tamis_hosted
from tamis.testing.contract import RerankerContract
from tamis_hosted import HostedReranker

_ENDPOINTS: dict[str, Endpoint] = {}


@pytest.fixture(scope="module", autouse=True)
def _endpoints() -> Iterator[None]:
    with ExitStack() as stack:
        _ENDPOINTS.update({each: stack.enter_context(reranking_endpoint(each)) for each in PROVIDERS})
        yield


class _Hosted(RerankerContract):
    provider: ClassVar[str]
    settings: ClassVar[dict[str, Any]] = {}

    def component(self) -> HostedReranker:
        kind = getattr(tamis_hosted, f"{self.provider.capitalize()}Reranker")
        address = base_url(self.provider, _ENDPOINTS[self.provider])
        component: HostedReranker = kind(kind.Settings(base_url=address, max_retries=0, **self.settings))
        return component


class TestCohere(_Hosted):
    provider = "cohere"


class TestCohereWithDocuments(_Hosted):
    provider = "cohere"
    settings: ClassVar = {"fields": ("title", "text", "year")}


class TestInfinity(_Hosted):
    provider = "infinity"
    settings: ClassVar = {"model": "m", "raw_scores": True}


class TestJina(_Hosted):
    provider = "jina"


class TestMixedbread(_Hosted):
    provider = "mixedbread"


class TestTei(_Hosted):
    provider = "tei"


class TestVllm(_Hosted):
    provider = "vllm"
    settings: ClassVar = {"model": "m"}


class TestVoyageInSmallPortions(_Hosted):
    provider = "voyage"
    settings: ClassVar = {"passages_per_request": 2}
