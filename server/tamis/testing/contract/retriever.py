"""What a retriever must do that keeps an index."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tamis.component import Capabilities, Component
from tamis.context import Call, CallEnded
from tamis.errors import NotFound
from tamis.filters import Filter, matches, operators
from tamis.model import Passage, Query, Value
from tamis.stage import HasIndex, Index, Retriever
from tamis.testing.contract.collections import HUGE_TEXT, ODD_TEXTS, TEXTS, Collection, passage
from tamis.testing.contract.component import ServingContract, law, on_its_loop, opened, over, written_in
from tamis.testing.contract.observing import cancelled
from tamis.testing.strategies import filters, metadata

__all__ = ["RetrieverContract"]

_Writes = Sequence[Sequence[tuple[str, int]]]


class RetrieverContract(ServingContract):
    """Of a retriever that keeps an index. Words that a query and a passage share must be enough to find it."""

    places = (Retriever.retrieve, HasIndex.open_index, Index.apply)

    def component(self) -> Retriever:
        raise NotImplementedError(f"{type(self).__name__} does not say how its plugin is built")

    async def use(self, plugin: Any, call: Call) -> None:
        with TemporaryDirectory() as folder:
            name = f"used{Path(folder).name}"
            index = await plugin.open_index(name, 1, directory=Path(folder) / "used")
            try:
                used = Collection(plugin, name, index, await index.checkpoint())
                await used.write(*TEXTS[:2])
                await used.candidates(TEXTS[0], call=call)
            finally:
                await index.drop()

    @asynccontextmanager
    async def collection(self, directory: Path, retriever: Any = None) -> AsyncIterator[Collection]:
        """A collection that nobody else uses, in the opened plugin or another one; closed at the end."""
        retriever = retriever or self.plugin
        index = await retriever.open_index(directory.name, 1, directory=directory)
        try:
            yield Collection(retriever, directory.name, index, await index.checkpoint())
        finally:
            await index.close()

    @pytest.fixture(scope="class")
    @classmethod
    def shared(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collection]:
        """A collection for tests that clear it first."""
        stack = AsyncExitStack()
        directory = tmp_path_factory.mktemp("shared")
        yield cls.loop.run(stack.enter_async_context(cls().collection(directory)))
        cls.loop.run(stack.aclose())

    @on_its_loop
    async def test_an_unknown_collection_is_not_found(self) -> None:
        with pytest.raises(NotFound):
            await self.plugin.retrieve(Query("anything", "no such collection"), limit=10, call=Call())

    def test_it_keeps_an_index(self) -> None:
        assert isinstance(self.plugin, HasIndex)

    @on_its_loop
    async def test_a_new_index_is_empty(self, tmp_path: Path) -> None:
        async with self.collection(tmp_path / "new") as new:
            assert await new.index.checkpoint() == 0
            assert await new.held() == {}
            assert await new.found(TEXTS[0]) == []

    @on_its_loop
    async def test_the_passage_that_says_what_is_asked_comes_first(self, shared: Collection) -> None:
        await shared.clear()
        await shared.write(*TEXTS)
        for number, text in enumerate(TEXTS):
            assert (await shared.found(text))[:1] == [f"{number}/0"]

    @on_its_loop
    async def test_candidates_are_distinct_ordered_and_no_more_than_asked_for(self, shared: Collection) -> None:
        await shared.clear()
        await shared.write(*(f"common {text}" for text in TEXTS), *(f"common {text}" for text in TEXTS))
        for limit in (1, 3, 100):
            found = await shared.candidates("common water", limit=limit)
            scores = [each.score for each in found]
            assert len(found) == min(limit, 2 * len(TEXTS))
            assert len({each.passage_id for each in found}) == len(found)
            assert scores == sorted(scores, reverse=True)
            assert {each.kind for each in found} == {self.plugin.capabilities.score_kind}

    @on_its_loop
    async def test_candidates_carry_the_version_they_were_indexed_from(self, shared: Collection) -> None:
        await shared.clear()
        await shared.write(TEXTS[0])
        (candidate,) = await shared.candidates(TEXTS[0])
        assert candidate.document_version == shared.sequence

    @on_its_loop
    async def test_an_update_replaces_all_passages_of_its_document_and_of_no_other(self, shared: Collection) -> None:
        await shared.clear()
        await shared.put(("a", _passages("a", 3)), ("b", _passages("b", 2)))
        await shared.put(("a", _passages("a", 1)))
        assert await shared.held() == {"a/0": shared.sequence, "b/0": shared.sequence - 1, "b/1": shared.sequence - 1}
        assert set(await shared.found("common")) == {"a/0", "b/0", "b/1"}

    @on_its_loop
    async def test_a_deleted_document_is_found_no_more(self, shared: Collection) -> None:
        await shared.clear()
        await shared.write(TEXTS[0], TEXTS[1])
        await shared.put(("0", ()), ("never written", ()))
        assert await shared.found(f"{TEXTS[0]} {TEXTS[1]}") == ["1/0"]
        assert set(await shared.held()) == {"1/0"}

    @law(15)
    @given(
        batches=st.lists(
            st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3)), min_size=1, max_size=5), max_size=4
        )
    )
    @on_its_loop
    async def test_whatever_is_written_and_deleted_the_last_change_of_each_document_counts(
        self, shared: Collection, batches: _Writes
    ) -> None:
        await shared.clear()
        expected: dict[str, dict[str, int]] = {}
        for batch in batches:
            for change in await shared.put(*((name, _passages(name, count)) for name, count in batch)):
                expected[change.document_id] = {each.id: change.sequence for each in change.passages}
        held = {key: version for passages in expected.values() for key, version in passages.items()}
        assert await shared.held() == held
        assert sorted(await shared.found("common")) == sorted(held)

    @on_its_loop
    async def test_applying_again_what_was_applied_changes_nothing(self, shared: Collection) -> None:
        await shared.clear()
        changes = await shared.put(("a", _passages("a", 2)), ("b", _passages("b", 1)), ("a", _passages("a", 1)))
        before = await shared.held(), set(await shared.found("common"))
        await shared.index.apply(changes, upto=shared.sequence)
        assert (await shared.held(), set(await shared.found("common"))) == before
        assert await shared.index.checkpoint() == shared.sequence

    @on_its_loop
    async def test_a_checkpoint_moves_without_changes(self, shared: Collection) -> None:
        await shared.index.apply([], upto=shared.sequence + 5)
        shared.sequence += 5
        assert await shared.index.checkpoint() == shared.sequence

    @on_its_loop
    async def test_what_was_applied_outlives_the_index_and_the_plugin(self, tmp_path: Path) -> None:
        async with self.collection(tmp_path / "kept") as kept:
            await kept.write(*TEXTS)
            before = await kept.held()
        async with self.collection(tmp_path / "kept") as kept:
            assert (await kept.held(), kept.sequence) == (before, len(TEXTS))
        async with opened(self.component()) as other, self.collection(tmp_path / "kept", other) as kept:
            assert (await kept.held(), kept.sequence) == (before, len(TEXTS))
            assert (await kept.found(TEXTS[3]))[0] == "3/0"

    @on_its_loop
    async def test_a_closed_index_answers_no_more(self, tmp_path: Path) -> None:
        async with self.collection(tmp_path / "closed") as closed:
            await closed.write(TEXTS[0])
        with pytest.raises(NotFound):
            await closed.found(TEXTS[0])

    @on_its_loop
    async def test_a_dropped_index_is_gone_and_can_be_made_anew(self, tmp_path: Path) -> None:
        index = await self.plugin.open_index("dropped", 1, directory=tmp_path / "dropped")
        await Collection(self.plugin, "dropped", index).write(TEXTS[0])
        await index.drop()
        assert not (tmp_path / "dropped").exists() or not list((tmp_path / "dropped").iterdir())
        with pytest.raises(NotFound):
            await self.plugin.retrieve(Query(TEXTS[0], "dropped"), limit=1, call=Call())
        async with self.collection(tmp_path / "dropped") as anew:
            assert (await anew.held(), anew.sequence) == ({}, 0)

    @on_its_loop
    async def test_each_generation_of_a_collection_answers_from_what_it_holds(self, tmp_path: Path) -> None:
        older, newer = [await self._generation(number, tmp_path) for number in (1, 2)]
        await older.put(("a", _passages("a", 1)), ("b", _passages("b", 1)))
        await newer.put(("b", _passages("b", 2)))
        assert (set(await older.found("common")), older.sequence) == ({"a/0", "b/0"}, 2)
        assert (set(await newer.found("common")), newer.sequence) == ({"b/0", "b/1"}, 1)
        assert (set(await older.held()), set(await newer.held())) == ({"a/0", "b/0"}, {"b/0", "b/1"})
        assert [await each.index.checkpoint() for each in (older, newer)] == [2, 1]
        for each in (older, newer):
            await each.index.drop()

    @pytest.mark.parametrize("going", [1, 2])
    @pytest.mark.parametrize("end", ["close", "drop"])
    @on_its_loop
    async def test_one_generation_goes_and_the_other_answers_on(self, tmp_path: Path, going: int, end: str) -> None:
        opened = {number: await self._generation(number, tmp_path) for number in (1, 2)}
        for number, each in opened.items():
            await each.put((f"of {number}", [passage(f"of {number}", TEXTS[0])]))
        gone, staying = opened.pop(going), *opened.values()
        await getattr(gone.index, end)()
        with pytest.raises(NotFound):
            await gone.found(TEXTS[0])
        assert await staying.found(TEXTS[0]) == [f"of {staying.generation}/0"]
        again = await self._generation(going, tmp_path)
        assert await again.found(TEXTS[0]) == ([f"of {going}/0"] if end == "close" else [])
        for each in (again, staying):
            await each.index.drop()

    @on_its_loop
    async def test_a_generation_that_is_not_open_is_not_found(self, tmp_path: Path) -> None:
        async with self.collection(tmp_path / "first") as first:
            await first.write(TEXTS[0])
            with pytest.raises(NotFound):
                await replace(first, generation=2).found(TEXTS[0])
            assert await first.found(TEXTS[0]) == ["0/0"]

    @on_its_loop
    async def test_collections_do_not_mix(self, shared: Collection, tmp_path: Path) -> None:
        await shared.clear()
        await shared.write(TEXTS[0])
        async with self.collection(tmp_path / "other") as other:
            await other.put(("elsewhere", [passage("elsewhere", TEXTS[0])]))
            assert await other.found(TEXTS[0]) == ["elsewhere/0"]
            assert await shared.found(TEXTS[0]) == ["0/0"]

    @written_in(matches, Capabilities)
    @law(40)
    @given(
        documents=st.lists(metadata(), min_size=1, max_size=6),
        conditions=st.lists(filters(), min_size=1, max_size=4),
    )
    @on_its_loop
    async def test_every_passage_that_satisfies_a_filter_is_found(
        self, shared: Collection, documents: Sequence[Mapping[str, Value]], conditions: Sequence[Filter]
    ) -> None:
        named = {str(number): each for number, each in enumerate(documents)}
        await shared.fill(*((name, [passage(name, "common", metadata=each)]) for name, each in named.items()))
        declared = self.plugin.capabilities.filter_operators
        for condition in (each for each in conditions if operators(each) <= declared):
            satisfying = {f"{name}/0" for name, each in named.items() if matches(condition, each)}
            assert satisfying <= set(await shared.found("common", filter=condition))

    @pytest.mark.parametrize("text", ODD_TEXTS, ids=lambda text: ascii(text)[:20])
    @on_its_loop
    async def test_no_query_does_harm(self, shared: Collection, text: str) -> None:
        await shared.clear()
        await shared.write(*TEXTS)
        for asked in (text, ""):
            found = await shared.candidates(asked, limit=5)
            assert len(found) <= 5
        assert (await shared.found(TEXTS[0]))[0] == "0/0"

    @on_its_loop
    async def test_no_passage_does_harm(self, shared: Collection) -> None:
        await shared.clear()
        await shared.write(*ODD_TEXTS, *TEXTS)
        assert len(await shared.held()) == len(ODD_TEXTS) + len(TEXTS)
        assert (await shared.found(TEXTS[0]))[0] == f"{len(ODD_TEXTS)}/0"

    @on_its_loop
    async def test_a_call_that_is_over_does_no_harm(self, shared: Collection) -> None:
        await shared.clear()
        await shared.write(*TEXTS)
        for call in over():
            with suppress(CallEnded):
                await shared.candidates(TEXTS[0], call=call)
        assert (await shared.found(TEXTS[0]))[0] == "0/0"

    @on_its_loop
    async def test_a_huge_passage_and_a_huge_query_do_no_harm(self, shared: Collection) -> None:
        await shared.clear()
        await shared.write(HUGE_TEXT, *TEXTS)
        await shared.candidates(HUGE_TEXT, limit=5)
        assert (await shared.found(TEXTS[0]))[0] == "1/0"

    @written_in(Component)
    @on_its_loop
    async def test_who_is_cancelled_ends_and_does_not_disturb_the_next(self, shared: Collection) -> None:
        """Let `CancelledError` pass: the server cancels a stage that nobody waits for."""
        await shared.clear()
        await shared.write(*TEXTS)

        async def search() -> None:
            await shared.candidates(TEXTS[0])

        await cancelled(search())
        assert (await shared.found(TEXTS[0]))[0] == "0/0"

    @on_its_loop
    async def test_searches_go_on_while_documents_are_written(self, shared: Collection) -> None:
        await shared.clear()
        await shared.write(*TEXTS)

        async def search() -> None:
            for _ in range(20):
                assert (await shared.found(TEXTS[0]))[0] == "0/0"

        async def write() -> None:
            for number in range(5):
                await shared.put((f"new {number}", [passage(f"new {number}", TEXTS[1])]))

        await asyncio.gather(search(), search(), write())
        assert len(await shared.held()) == len(TEXTS) + 5

    async def _generation(self, number: int, directory: Path) -> Collection:
        index = await self.plugin.open_index(directory.name, number, directory=directory / str(number))
        return Collection(self.plugin, directory.name, index, await index.checkpoint(), number)


def _passages(id: str, count: int) -> list[Passage]:
    """`count` passages of one document, each with the word "common"."""
    texts = enumerate(TEXTS[:count])
    return [replace(passage(id, f"common {text}"), id=f"{id}/{number}") for number, text in texts]
