"""What the word index cannot keep, and what only looks like it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tamis.errors import Unusable
from tamis.model import Change, Passage
from tamis_tantivy.index import TantivyIndex


@pytest.fixture
async def index(tmp_path: Path) -> AsyncIterator[TantivyIndex]:
    with ThreadPoolExecutor(1) as reading, ThreadPoolExecutor(1) as writing:
        opened = TantivyIndex(
            tmp_path / "index",
            language="en",
            memory_bytes=15 << 20,
            reading=reading,
            writing=writing,
            closed=lambda index: None,
        )
        yield opened
        await opened.close()


def _change(sequence: int, text: str) -> Change:
    id = f"d{sequence}"
    return Change(sequence, id, (Passage(f"{id}#0", id, sequence, text, metadata={"k": "v" * 70_000}),))


@pytest.mark.parametrize("text", ["a" * (1 << 20), "漢" * (1 << 18), "a\0b", "\u202e\ufeff\U0010ffff"])
async def test_a_word_without_an_end_and_odd_characters_are_kept(index: TantivyIndex, text: str) -> None:
    await index.apply([_change(1, text)], upto=1)
    assert [each async for each in index.ids()] == [("d1#0", 1)]


async def test_half_a_character_makes_its_document_unusable_and_no_other(index: TantivyIndex) -> None:
    with pytest.raises(Unusable) as caught:
        await index.apply([_change(1, "salt"), _change(2, "a\ud800b")], upto=2)
    assert caught.value.document_id == "d2"
    await index.apply([_change(1, "salt"), Change(2, "d2")], upto=2)
    assert [each async for each in index.ids()] == [("d1#0", 1)]
    assert await index.checkpoint() == 2
