"""Deletion by filter beside writes of others."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from tamis.errors import NotFound
from tamis.filters import Compare, Filter, Operator
from tamis.journal import Delete, Journal, Patch, Upsert
from tamis.model import Document

OLD = Compare(("year",), Operator.LESS, 2000)


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    opened = await Journal.open(tmp_path / "journal.sqlite")
    await opened.create_collection("docs")
    yield opened
    await opened.close()


def _upsert(id: str, year: int) -> Upsert:
    return Upsert(Document(id, "text", metadata={"year": year}), ())


def _meanwhile(journal: Journal, monkeypatch: pytest.MonkeyPatch, work: Callable[[], Awaitable[object]]) -> None:
    """Has `work` done once the documents have been looked at, before any is deleted."""
    look = journal._matching

    async def look_and_work(collection: str, filter: Filter) -> list[str]:
        found = await look(collection, filter)
        await work()
        return found

    monkeypatch.setattr(journal, "_matching", look_and_work)


async def test_what_is_written_meanwhile_is_judged_by_what_it_is_then(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    await journal.write("docs", [_upsert("old", 1990), _upsert("renewed", 1990), _upsert("aged", 2010)])
    await journal.write("docs", [_upsert("patched", 1990), _upsert("gone", 1990), _upsert("kept", 2010)])

    async def others() -> None:
        await journal.write("docs", [_upsert("renewed", 2010), _upsert("aged", 1990), _upsert("new", 1990)])
        await journal.write("docs", [Patch("patched", {"year": 2010}), Delete("gone"), _upsert("young", 2010)])

    _meanwhile(journal, monkeypatch, others)
    assert (await journal.delete_matching("docs", OLD)).written_count == 3
    assert [each.id for each in await journal.documents("docs", limit=9)] == ["kept", "patched", "renewed", "young"]


async def test_a_collection_made_anew_meanwhile_loses_nothing(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    await journal.write("docs", [_upsert("a", 1990)])

    async def others() -> None:
        await journal.delete_collection("docs")
        await journal.create_collection("docs")
        await journal.write("docs", [_upsert("a", 1990)])

    _meanwhile(journal, monkeypatch, others)
    with pytest.raises(NotFound):
        await journal.delete_matching("docs", OLD)
    assert (await journal.collection("docs")).document_count == 1
