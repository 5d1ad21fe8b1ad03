"""The conformance kit over the wire: hosted plugins of every kind keep the contract as remote ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
from plugin_hosts import hosting

from tamis.component import Component
from tamis.testing.contract import EmbedderContract, GeneratorContract, LlmContract, RerankerContract, RetrieverContract
from tamis_remote import RemoteEmbedder, RemoteGenerator, RemoteLlm, RemoteReranker, RemoteRetriever

_HOSTED = """
[models.hash]
plugin = "fake-hash"
[models.scripted]
plugin = "fake-scripted"
reply = "The moon is round. 東京 🎹 The moon is round. 東京 🎹 The moon is round. 東京 🎹"
[stages.words]
plugin = "fake-words"
[stages.diverse]
plugin = "mmr"
embedder = "hash"
[stages.bm25]
plugin = "tantivy"
[stages.quotes]
plugin = "extractive"
"""
_ADDRESSES: list[str] = []


@pytest.fixture(scope="module", autouse=True)
def _host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with hosting(tmp_path_factory.mktemp("host"), _HOSTED) as process:
        _ADDRESSES[:] = [process.address]
        yield


class _Remote:
    kind: ClassVar[type[Component]]
    hosted: ClassVar[str]

    def component(self) -> Any:
        return self.kind(self.kind.Settings.model_validate({"component": self.hosted, "addresses": (_ADDRESSES[0],)}))


class TestRemotePointwise(_Remote, RerankerContract):
    kind, hosted = RemoteReranker, "words"


@pytest.mark.long
class TestRemoteListwise(_Remote, RerankerContract):
    kind, hosted = RemoteReranker, "diverse"


class TestRemoteEmbedder(_Remote, EmbedderContract):
    kind, hosted = RemoteEmbedder, "hash"


class TestRemoteIndex(_Remote, RetrieverContract):
    kind, hosted = RemoteRetriever, "bm25"


@pytest.mark.long
class TestRemoteGenerator(_Remote, GeneratorContract):
    kind, hosted = RemoteGenerator, "quotes"


@pytest.mark.long
class TestRemoteLlm(_Remote, LlmContract):
    kind, hosted = RemoteLlm, "scripted"
