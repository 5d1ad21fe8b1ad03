"""Every index and the reference agree on which documents satisfy a filter."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest
from qdrant_wire import QdrantWire
from random_filters import Material

from tamis.filters import Filter, Operator, matches, operators
from tamis.model import Value
from tamis.terms import holds, superset, terms
from tamis.testing.contract import opened
from tamis.testing.contract.collections import Collection, passage
from tamis.testing.embedders import HashEmbedder
from tamis_qdrant import QdrantRetriever
from tamis_tantivy import TantivyRetriever

_EXACT = {Operator.AND, Operator.OR, Operator.NOT, Operator.EQUAL, Operator.NOT_EQUAL, Operator.IN, Operator.EXISTS}
_AT_ONCE = 20


@dataclass(frozen=True)
class _Indexes:
    """The same collection in each retriever, and the loop they are open on."""

    loop: asyncio.Runner
    collections: Mapping[str, Collection]

    def agree(self, material: Material, count: int) -> None:
        """Fills every index with the documents, then asks each `count` filters."""
        documents = {str(number): each for number, each in enumerate(material.documents)}
        expected = [*_expected(documents, material.filters(count))]
        for name, collection in self.collections.items():
            self.loop.run(_fill(collection, documents))
            found = self.loop.run(_ask(collection, [each.filter for each in expected]))
            for each, ids in zip(expected, found, strict=True):
                each.check(name, ids)


@dataclass(frozen=True)
class _Expected:
    """What documents satisfy a filter, and what documents fulfil the condition on terms that it becomes."""

    filter: Filter
    satisfying: set[str]
    fulfilling: set[str]

    def check(self, index: str, found: set[str]) -> None:
        """The index finds what fulfils the condition; that misses nothing, and is exact where it says so."""
        context = f"{index}: {self.filter}"
        assert found == self.fulfilling, context
        assert self.satisfying <= found, context
        if operators(self.filter) <= _EXACT:
            assert found == self.satisfying, context


@pytest.fixture(scope="module")
def indexes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Indexes]:
    with asyncio.Runner() as loop:
        stack = AsyncExitStack()
        yield _Indexes(loop, loop.run(_open(stack, tmp_path_factory)))
        loop.run(stack.aclose())


async def _open(stack: AsyncExitStack, directories: pytest.TempPathFactory) -> dict[str, Collection]:
    embedder = HashEmbedder(HashEmbedder.Settings(size=2))
    wire = QdrantWire().start()
    stack.callback(wire.stop)
    collections = {}
    for name, retriever in {
        "tantivy": TantivyRetriever(TantivyRetriever.Settings()),
        "qdrant, embedded": QdrantRetriever(QdrantRetriever.Settings(embedder=embedder)),
        "qdrant, server": QdrantRetriever(QdrantRetriever.Settings(embedder=embedder, url=wire.url)),
    }.items():
        await stack.enter_async_context(opened(retriever))
        index = await retriever.open_index("all", 1, directory=directories.mktemp("index") / "all")
        collections[name] = Collection(retriever, "all", index)
    return collections


async def _fill(collection: Collection, documents: Mapping[str, Mapping[str, Value]]) -> None:
    await collection.fill(*((name, [passage(name, "common", metadata=each)]) for name, each in documents.items()))


async def _ask(collection: Collection, filters: Sequence[Filter]) -> list[set[str]]:
    """The documents that an index finds for each filter, by itself."""

    async def one(filter: Filter) -> set[str]:
        found = await collection.candidates("common", filter=filter, limit=1_000)
        return {each.passage_id.removesuffix("/0") for each in found}

    answers: list[set[str]] = []
    for start in range(0, len(filters), _AT_ONCE):
        answers += await asyncio.gather(*map(one, filters[start : start + _AT_ONCE]))
    return answers


def _expected(documents: Mapping[str, Mapping[str, Value]], filters: Iterator[Filter]) -> Iterator[_Expected]:
    held = {name: terms(each) for name, each in documents.items()}
    for filter in filters:
        condition = superset(filter)
        satisfying = {name for name, each in documents.items() if matches(filter, each)}
        yield _Expected(filter, satisfying, {name for name, each in held.items() if holds(condition, each)})


def test_every_index_answers_a_filter_as_the_reference_does(indexes: _Indexes) -> None:
    indexes.agree(Material(seed=1, count=100), 250)


@pytest.mark.long
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("seed", range(10, 20))
def test_every_index_answers_ten_thousand_filters_as_the_reference_does(indexes: _Indexes, seed: int) -> None:
    indexes.agree(Material(seed, count=300), 1_000)
