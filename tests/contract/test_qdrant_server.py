"""The qdrant retriever and the stages that share its collections keep the contract on a server, across a socket."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from checkpoints.colbert import TEXTS, save_stanford
from qdrant_client import grpc as api
from qdrant_wire import QdrantWire

from tamis.context import Call
from tamis.model import Query
from tamis.stage import Index
from tamis.testing.contract import RetrieverContract, opened
from tamis.testing.contract.collections import Collection, passage
from tamis.testing.embedders import HashEmbedder
from tamis_qdrant import QdrantDense, QdrantLearnedSparse, QdrantRetriever, QdrantSparse, QdrantTokens
from tamis_transformers import ColBertEmbedder, LateInteractionReranker

wire = QdrantWire(key="secret")


@pytest.fixture(scope="module", autouse=True)
def _server() -> Iterator[None]:
    wire.start()
    yield
    wire.stop()


def host() -> QdrantRetriever:
    embedder = HashEmbedder(HashEmbedder.Settings())
    return QdrantRetriever(QdrantRetriever.Settings(embedder=embedder, url=wire.url, api_key="secret"))


class WithIndex:
    """A stage that shares an index, with that index as its own: the two as a pipeline sees them."""

    host: QdrantRetriever

    async def open_index(self, collection: str, generation: int, *, directory: Path, language: str = "") -> Index:
        return await self.host.open_index(collection, generation, directory=directory, language=language)


class Dense(WithIndex, QdrantDense):
    pass


class Sparse(WithIndex, QdrantSparse):
    pass


class LearnedSparse(WithIndex, QdrantLearnedSparse):
    pass


class Tokens(WithIndex, QdrantTokens):
    pass


def shared(kind: Any, **settings: Any) -> Any:
    return kind(kind.Settings(index=host(), **settings))


class TestQdrantServer(RetrieverContract):
    def component(self) -> QdrantRetriever:
        return host()


class TestQdrantDense(RetrieverContract):
    def component(self) -> Any:
        return shared(Dense, embedder=HashEmbedder(HashEmbedder.Settings(size=32)), vector="other")


class TestQdrantSparse(RetrieverContract):
    def component(self) -> Any:
        return shared(Sparse)


class TestQdrantLearnedSparse(RetrieverContract):
    def component(self) -> Any:
        return shared(LearnedSparse, embedder=HashEmbedder(HashEmbedder.Settings()))


class TestQdrantTokens(RetrieverContract):
    def component(self) -> Any:
        return shared(Tokens, embedder=HashEmbedder(HashEmbedder.Settings(size=16)))


async def test_the_server_of_these_tests_starts_no_thread_while_it_answers() -> None:
    """It would be taken for one that the observed plugin had left behind."""
    server = QdrantWire().start()
    async with grpc.aio.insecure_channel(server.url.removeprefix("http://")) as channel:
        collections = api.CollectionsStub(channel)
        await collections.List(api.ListCollectionsRequest())
        before = set(threading.enumerate())
        with server.hold():
            calls = [collections.List(api.ListCollectionsRequest()) for _ in range(8)]
            await asyncio.to_thread(server.wait_for, "List", 9)
        await asyncio.gather(*calls)
    started = {each.name for each in set(threading.enumerate()) - before}
    server.stop()
    assert not {each for each in started if not each.startswith("asyncio")}


async def test_token_vectors_of_a_colbert_are_scored_by_the_server_as_late_interaction_scores_them(
    tmp_path: Path,
) -> None:
    embedder = ColBertEmbedder(
        ColBertEmbedder.Settings(model=str(save_stanford(tmp_path / "model")), device="cpu", dtype="float32")
    )
    late = LateInteractionReranker(LateInteractionReranker.Settings(embedder=embedder))
    async with opened(shared(Tokens, embedder=embedder)) as stage:
        collection = Collection(stage, "colbert", await stage.open_index("colbert", 1, directory=tmp_path / "colbert"))
        await collection.write(*TEXTS)
        asked = Query("what raises the tides?", "colbert")
        found = {each.passage_id: each.score for each in await stage.retrieve(asked, limit=9, call=Call())}
        passages = [passage(str(number), text) for number, text in enumerate(TEXTS)]
        scores = {passages[place].id: score async for place, score in late.score(asked, passages, call=Call())}
        await collection.index.drop()
    await late.close()
    assert found == pytest.approx(scores, abs=0.02)
