"""Every index and the reference agree on which documents satisfy a filter."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import TypeAlias

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from qdrant_wire import QdrantWire

from tamis.filters import Filter, matches
from tamis.model import Value
from tamis.testing.contract import opened
from tamis.testing.contract.collections import Collection, passage
from tamis.testing.embedders import HashEmbedder
from tamis.testing.strategies import filters, metadata
from tamis_qdrant import QdrantRetriever
from tamis_tantivy import TantivyRetriever

Opened: TypeAlias = tuple[asyncio.Runner, Sequence[Collection]]


@pytest.fixture(scope="module")
def indexes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    """The same collection in each retriever, and the loop they are open on."""
    with asyncio.Runner() as loop:
        stack = AsyncExitStack()
        yield loop, loop.run(_open(stack, tmp_path_factory))
        loop.run(stack.aclose())


async def _open(stack: AsyncExitStack, directories: pytest.TempPathFactory) -> list[Collection]:
    embedder = HashEmbedder(HashEmbedder.Settings())
    collections = []
    wire = QdrantWire().start()
    stack.callback(wire.stop)
    for retriever in (
        TantivyRetriever(TantivyRetriever.Settings()),
        QdrantRetriever(QdrantRetriever.Settings(embedder=embedder)),
        QdrantRetriever(QdrantRetriever.Settings(embedder=embedder, url=wire.url)),
    ):
        await stack.enter_async_context(opened(retriever))
        index = await retriever.open_index("all", 1, directory=directories.mktemp("index") / "all")
        collections.append(Collection(retriever, "all", index))
    return collections


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    documents=st.lists(metadata(), min_size=1, max_size=8),
    conditions=st.lists(filters(), min_size=1, max_size=5),
)
def test_after_the_servers_check_every_index_returns_what_the_reference_says(
    indexes: Opened, documents: Sequence[Mapping[str, Value]], conditions: Sequence[Filter]
) -> None:
    loop, collections = indexes
    for collection in collections:
        loop.run(_agrees(collection, documents, conditions))


async def _agrees(
    collection: Collection, documents: Sequence[Mapping[str, Value]], conditions: Sequence[Filter]
) -> None:
    named = {str(number): each for number, each in enumerate(documents)}
    await collection.fill(*((name, [passage(name, "common", metadata=each)]) for name, each in named.items()))
    for condition in conditions:
        found = await collection.found("common", filter=condition)
        checked = {name for name in (key.split("/")[0] for key in found) if matches(condition, named[name])}
        assert checked == {name for name, each in named.items() if matches(condition, each)}
