"""Broken retrievers."""

from __future__ import annotations

import asyncio
import sqlite3
from dataclasses import replace
from typing import Any

from my_retrieve import MyRetrieve, MyRetrieveSettings
from my_retrieve.plugin import _TABLES, SqliteIndex
from rejection import rejected_by

from tamis.component import Capabilities
from tamis.errors import NotFound
from tamis.filters import Operator
from tamis.model import ScoreKind
from tamis.stage import Retriever


class _Over(MyRetrieve):
    """One with a broken index."""

    index: type[SqliteIndex]

    async def open_index(self, collection: str, generation: int, *, directory: Any, language: str = "") -> Any:
        index = self.index(directory, lambda: self._indexes.pop((collection, generation), None))
        await index.open()
        self._indexes[collection, generation] = index
        return index


@rejected_by("test_an_unknown_collection_is_not_found")
class FindsNothingInTheUnknown(MyRetrieve):
    async def retrieve(self, query: Any, *, limit: int, call: Any) -> Any:
        try:
            return await super().retrieve(query, limit=limit, call=call)
        except NotFound:
            return []


@rejected_by("test_it_keeps_an_index")
class KeepsNoIndex(Retriever):
    Settings = MyRetrieveSettings

    async def retrieve(self, query: Any, *, limit: int, call: Any) -> Any:
        return []


@rejected_by("test_a_new_index_is_empty")
class BeginsAtOne(_Over):
    class index(SqliteIndex):  # noqa: N801
        async def checkpoint(self) -> int:
            return await super().checkpoint() or 1


@rejected_by("test_the_passage_that_says_what_is_asked_comes_first")
class WorstFirst(MyRetrieve):
    async def retrieve(self, query: Any, *, limit: int, call: Any) -> Any:
        return (await super().retrieve(query, limit=limit, call=call))[::-1]


@rejected_by("test_candidates_are_distinct_ordered_and_no_more_than_asked_for")
class FindsTwice(MyRetrieve):
    async def retrieve(self, query: Any, *, limit: int, call: Any) -> Any:
        return 2 * await super().retrieve(query, limit=limit, call=call)


@rejected_by("test_candidates_carry_the_version_they_were_indexed_from")
class KnowsNoVersion(MyRetrieve):
    async def retrieve(self, query: Any, *, limit: int, call: Any) -> Any:
        found = await super().retrieve(query, limit=limit, call=call)
        return [replace(each, document_version=0) for each in found]


@rejected_by("test_an_update_replaces_all_passages_of_its_document_and_of_no_other")
class KeepsTheOld(_Over):
    class index(SqliteIndex):  # noqa: N801
        async def apply(self, changes: Any, *, upto: int) -> None:
            renamed = [replace(each, document_id=f"{each.document_id} {each.sequence}") for each in changes]
            await super().apply(renamed, upto=upto)


@rejected_by("test_a_deleted_document_is_found_no_more")
class KeepsTheDeleted(_Over):
    class index(SqliteIndex):  # noqa: N801
        async def apply(self, changes: Any, *, upto: int) -> None:
            await super().apply([each for each in changes if each.passages], upto=upto)


@rejected_by("test_whatever_is_written_and_deleted_the_last_change_of_each_document_counts")
class LastFirst(_Over):
    class index(SqliteIndex):  # noqa: N801
        async def apply(self, changes: Any, *, upto: int) -> None:
            await super().apply(changes[::-1], upto=upto)


@rejected_by("test_applying_again_what_was_applied_changes_nothing")
class AppliesOnce(_Over):
    class index(SqliteIndex):  # noqa: N801
        async def apply(self, changes: Any, *, upto: int) -> None:
            if changes and upto <= await self.checkpoint():
                raise ValueError("that was applied before")
            await super().apply(changes, upto=upto)


@rejected_by("test_a_checkpoint_moves_without_changes")
class StaysWithoutChanges(_Over):
    class index(SqliteIndex):  # noqa: N801
        async def apply(self, changes: Any, *, upto: int) -> None:
            if changes:
                await super().apply(changes, upto=upto)


@rejected_by("test_what_was_applied_outlives_the_index_and_the_plugin")
class Forgets(_Over):
    class index(SqliteIndex):  # noqa: N801
        async def open(self) -> None:
            def connect() -> None:
                self._directory.mkdir(parents=True, exist_ok=True)
                self._database = sqlite3.connect(":memory:")
                self._database.executescript(_TABLES)

            await self._run(connect)


@rejected_by("test_a_closed_index_answers_no_more")
class AnswersWhenClosed(MyRetrieve):
    async def open_index(self, collection: str, generation: int, *, directory: Any, language: str = "") -> Any:
        index = SqliteIndex(directory, lambda: None)
        index.found = self._nothing  # type: ignore[method-assign]
        await index.open()
        self._indexes[collection, generation] = index
        return index

    async def _nothing(self, words: str, limit: int) -> Any:
        return []


@rejected_by("test_a_dropped_index_is_gone_and_can_be_made_anew")
class LeavesItsFiles(_Over):
    class index(SqliteIndex):  # noqa: N801
        async def drop(self) -> None:
            await self.close()


class _KeyedBy(MyRetrieve):
    """Mistakes one index for another."""

    def key(self, collection: str, generation: int) -> tuple[str, int]:
        raise NotImplementedError

    async def open_index(self, collection: str, generation: int, *, directory: Any, language: str = "") -> Any:
        key = self.key(collection, generation)
        index = SqliteIndex(directory, lambda: self._indexes.pop(key, None))
        await index.open()
        self._indexes[key] = index
        return index

    async def retrieve(self, query: Any, *, limit: int, call: Any) -> Any:
        collection, generation = self.key(query.collection, query.generation)
        named = replace(query, collection=collection, generation=generation)
        return await super().retrieve(named, limit=limit, call=call)


@rejected_by("test_each_generation_of_a_collection_answers_from_what_it_holds")
class KnowsTheLastGeneration(_KeyedBy):
    def key(self, collection: str, generation: int) -> tuple[str, int]:
        return collection, 1


@rejected_by("test_collections_do_not_mix")
class KnowsTheLastCollection(_KeyedBy):
    def key(self, collection: str, generation: int) -> tuple[str, int]:
        return "", generation


@rejected_by("test_one_generation_goes_and_the_other_answers_on")
class LosesAllGenerations(MyRetrieve):
    async def open_index(self, collection: str, generation: int, *, directory: Any, language: str = "") -> Any:
        index = SqliteIndex(directory, self._indexes.clear)
        await index.open()
        self._indexes[collection, generation] = index
        return index


@rejected_by("test_a_generation_that_is_not_open_is_not_found")
class TakesAnyGeneration(MyRetrieve):
    async def retrieve(self, query: Any, *, limit: int, call: Any) -> Any:
        return await super().retrieve(replace(query, generation=1), limit=limit, call=call)


@rejected_by("test_every_passage_that_satisfies_a_filter_is_found")
class ClaimsToFilter(MyRetrieve):
    capabilities = Capabilities(ScoreKind.BM25, filter_operators=frozenset(Operator))

    async def retrieve(self, query: Any, *, limit: int, call: Any) -> Any:
        found = await super().retrieve(query, limit=limit, call=call)
        return found[:1] if query.filter else found


@rejected_by("test_no_query_does_harm")
class AsksAsItIsAsked(MyRetrieve):
    async def retrieve(self, query: Any, *, limit: int, call: Any) -> Any:
        found = await super().retrieve(query, limit=limit, call=call)
        if '"' in query.text:
            await self._indexes[query.collection, query.generation].found(query.text, limit)
        return found


@rejected_by("test_no_passage_does_harm")
class WantsNoControlCharacters(_Over):
    class index(SqliteIndex):  # noqa: N801
        async def apply(self, changes: Any, *, upto: int) -> None:
            assert not [each for change in changes for each in change.passages if "\0" in each.text]
            await super().apply(changes, upto=upto)


@rejected_by("test_a_huge_passage_and_a_huge_query_do_no_harm")
class WantsShortPassages(_Over):
    class index(SqliteIndex):  # noqa: N801
        async def apply(self, changes: Any, *, upto: int) -> None:
            assert not [each for change in changes for each in change.passages if len(each.text) > 20_000]
            await super().apply(changes, upto=upto)


@rejected_by("test_a_call_that_is_over_does_no_harm")
class BreaksWithItsCall(MyRetrieve):
    async def retrieve(self, query: Any, *, limit: int, call: Any) -> Any:
        if not call.active:
            self._indexes.clear()
        return await super().retrieve(query, limit=limit, call=call)


@rejected_by("test_searches_go_on_while_documents_are_written")
class HidesWhatIsWritten(_Over):
    class index(SqliteIndex):  # noqa: N801
        is_writing = False

        async def apply(self, changes: Any, *, upto: int) -> None:
            self.is_writing = True
            await asyncio.sleep(0)
            await super().apply(changes, upto=upto)
            self.is_writing = False

        async def found(self, words: str, limit: int) -> Any:
            return [] if self.is_writing else await super().found(words, limit)


@rejected_by("test_who_is_cancelled_ends_and_does_not_disturb_the_next")
class IgnoresCancellation(MyRetrieve):
    async def retrieve(self, query: Any, *, limit: int, call: Any) -> Any:
        try:
            return await super().retrieve(query, limit=limit, call=call)
        except asyncio.CancelledError:
            return []
