"""A real server on a free port of this machine, and what it answers over gRPC."""

from __future__ import annotations

import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from tamis.config import parse
from tamis.model import Document
from tamis.rpc.app import running
from tamis.v1 import (
    index_service_pb2,
    index_service_pb2_grpc,
    passage_pb2,
    search_service_pb2_grpc,
)
from tamis.v1 import search_service_pb2 as pb

__all__ = ["Answer", "Served", "rank_of", "score_of"]

_TIMEOUT = 1_800.0
_BATCH = 200


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, and after how many seconds."""

    response: Any
    seconds: float

    def order(self, stage: str) -> list[str]:
        """The ids as that stage ranked them; those that it did not rank follow as they came."""
        ranks = {hit.passage.id: rank_of(hit, stage) for hit in self.response.hits}
        return sorted(ranks, key=ranks.__getitem__)


class Served:
    """A server on a free port of this machine, in this process, and a channel to it."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._search = search_service_pb2_grpc.SearchServiceStub(channel)
        self._index = index_service_pb2_grpc.IndexServiceStub(channel)

    @staticmethod
    @asynccontextmanager
    async def start(config: str, data: Path) -> AsyncIterator[Served]:
        """With the stages of `config`; closed in the end. Raises `ConfigurationError` when it cannot start."""
        text = f'[server]\nlisten = "127.0.0.1:0"\ndata_directory = "{data}"\ndefault_deadline = 3600\n{config}'
        options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
        async with (
            running(parse(text)) as server,
            grpc.aio.insecure_channel(server.address, options=options) as channel,
        ):
            yield Served(channel)

    async def fill(self, collection: str, documents: Sequence[Document]) -> None:
        """Writes what is not there yet, and waits until all of it can be found."""
        try:
            await self._index.CreateCollection(index_service_pb2.CreateCollectionRequest(collection=collection))
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.ALREADY_EXISTS:
                raise
        written = [
            passage_pb2.Document(id=each.id, title=each.title, text=each.text)
            for each in documents
            if each.text or each.title
        ]
        batches = [written[start : start + _BATCH] for start in range(0, len(written), _BATCH)]
        requests = [index_service_pb2.WriteDocumentsRequest(collection=collection, documents=each) for each in batches]
        async for _ in self._index.WriteDocuments(iter(requests)):
            pass
        await self.wait(collection)

    async def wait(self, collection: str) -> None:
        """Returns once everything written can be found."""
        await self._index.WaitIndexed(index_service_pb2.WaitIndexedRequest(collection=collection), timeout=3_600)

    async def retrieve(self, collection: str, query: str, pipeline: str) -> Answer:
        """What a pipeline finds."""
        request = pb.RetrieveRequest(collection=collection, query=query, pipeline=pipeline, page_size=1_000)
        return await _timed(self._search.Retrieve(request, timeout=_TIMEOUT))

    async def look_up(self, collection: str, query: str, pipeline: str) -> Answer:
        """What a pipeline finds and ranks."""
        request = pb.SearchRequest(collection=collection, query=query, pipeline=pipeline, page_size=1_000)
        return await _timed(self._search.Search(request, timeout=_TIMEOUT))

    async def rerank(self, query: str, passages: Sequence[passage_pb2.Passage], pipeline: str) -> Answer:
        """The passages as a pipeline's rerankers order them."""
        request = pb.RerankRequest(query=query, passages=passages, pipeline=pipeline)
        return await _timed(self._search.Rerank(request, timeout=_TIMEOUT))


async def _timed(call: Any) -> Answer:
    started = time.perf_counter()
    response = await call
    return Answer(response, time.perf_counter() - started)


def score_of(hit: Any, stage: str) -> float | None:
    """The score that a stage gave a hit, if it gave any."""
    scores = hit.stage_scores if hit is not None else ()
    return next((each.score for each in scores if each.stage == stage and each.HasField("score")), None)


def rank_of(hit: Any, stage: str) -> int:
    """The rank that a stage gave a hit; behind all others where it gave none."""
    scores = hit.stage_scores if hit is not None else ()
    return next((each.rank for each in scores if each.stage == stage), sys.maxsize)
