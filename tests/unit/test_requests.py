"""A request that has a name is carried out once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from tamis.errors import AlreadyExists, NotFound
from tamis.filters import Compare, Operator
from tamis.journal import Delete, Journal, Patch, RequestKey, Upsert, Written, naming, requests
from tamis.model import Document


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    opened = await Journal.open(tmp_path / "journal.sqlite")
    await opened.create_collection("docs")
    yield opened
    await opened.close()


async def _write(journal: Journal, name: str, *documents: Document) -> Written:
    return await journal.write("docs", [Upsert(each, ()) for each in documents], naming.writing(name, documents))


async def test_the_same_request_again_is_answered_as_the_first_time_and_changes_nothing(journal: Journal) -> None:
    first = await _write(journal, "r", Document("a", "one"), Document("b", "two"))
    await journal.write("docs", [Delete("a")])
    assert await _write(journal, "r", Document("a", "one"), Document("b", "two")) == first == Written(2, 2, 0)
    assert (await journal.collection("docs")).last_sequence == 3
    assert [each.id for each in await journal.documents("docs", limit=9)] == ["b"]


async def test_another_request_of_the_same_name_is_refused(journal: Journal) -> None:
    await _write(journal, "r", Document("a", "one"))
    for request in (naming.writing("r", [Document("a", "two")]), naming.deletion("r", ["a"])):
        with pytest.raises(AlreadyExists):
            await journal.write("docs", [Delete("a")], request)
    assert (await journal.document("docs", "a")).text == "one"


async def test_two_of_one_name_that_are_committed_together_are_carried_out_once(journal: Journal) -> None:
    outcomes = await asyncio.gather(*(_write(journal, "r", Document("a", "one")) for _ in range(20)))
    assert set(outcomes) == {Written(1, 1, 0)}
    assert (await journal.collection("docs")).last_sequence == 1


async def test_names_belong_to_a_collection_and_outlive_a_restart(tmp_path: Path) -> None:
    for expected in (1, 1):
        journal = await Journal.open(tmp_path / "journal.sqlite")
        try:
            if not await journal.collections(limit=1):
                await journal.create_collection("docs")
                await journal.create_collection("others")
            assert (await _write(journal, "r", Document("a", "one"))).sequence == expected
            other = naming.writing("r", [Document("b", "two")])
            assert (await journal.write("others", [Upsert(Document("b", "two"), ())], other)).sequence == expected
        finally:
            await journal.close()


async def test_a_request_that_failed_may_be_made_again_under_its_name(journal: Journal) -> None:
    patch = [Patch("a", {"year": 2020})]
    with pytest.raises(NotFound):
        await journal.write("docs", patch, naming.patching("r", patch))
    await _write(journal, "", Document("a", "one"))
    assert (await journal.write("docs", patch, naming.patching("r", patch))).written_count == 1


async def test_names_are_forgotten_after_a_while_and_leave_nothing_behind(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    for each in range(3):
        await _write(journal, f"r{each}", Document("a", str(each)))
    monkeypatch.setattr(requests, "KEPT", timedelta(0))
    assert (await _write(journal, "r0", Document("b", "other"))).sequence == 4
    held = await journal._read(lambda store: store.database.execute("SELECT id FROM requests").fetchall())
    assert [tuple(each) for each in held] == [("r0",)]


async def test_a_deletion_by_filter_is_carried_out_once_as_well(journal: Journal) -> None:
    filter = Compare(("year",), Operator.GREATER, 2000)
    request = naming.deletion_by_filter("r", filter)
    await _write(journal, "", Document("a", "one", metadata={"year": 2020}))
    first = await journal.delete_matching("docs", filter, request)
    await _write(journal, "", Document("b", "two", metadata={"year": 2021}))
    assert await journal.delete_matching("docs", filter, request) == first == Written(2, 1, 0)
    assert (await journal.collection("docs")).document_count == 1


def test_requests_that_ask_for_different_things_have_different_fingerprints() -> None:
    keys: list[RequestKey | None] = [
        naming.writing("r", [Document("a", "bc")]),
        naming.writing("r", [Document("ab", "c")]),
        naming.writing("r", [Document("a", "", "bc")]),
        naming.writing("r", [Document("a", "bc", metadata={"year": 1})]),
        naming.writing("r", [Document("a", "bc"), Document("a", "bc")]),
        naming.deletion("r", ["a", "b"]),
        naming.deletion("r", ["a,b"]),
        naming.patching("r", [Patch("a", {"k": 1})]),
        naming.patching("r", [Patch("a", {"k": 1.0})]),
        naming.patching("r", [Patch("a", {}, ("k",))]),
    ]
    assert len({each.fingerprint for each in keys if each}) == len(keys)
    assert naming.writing("", [Document("a", "b")]) is None
