"""A collection in the tantivy retriever."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tamis.testing.contract import opened
from tamis.testing.contract.collections import Collection
from tamis_tantivy import TantivyRetriever

Holding = Callable[..., AbstractAsyncContextManager[Collection]]


@pytest.fixture
def holding(tmp_path: Path) -> Holding:
    """Opens a collection that holds texts, one document each; settings by keyword."""

    @asynccontextmanager
    async def holding(*texts: str, collection_language: str = "", **settings: Any) -> AsyncIterator[Collection]:
        async with opened(TantivyRetriever(TantivyRetriever.Settings(**settings))) as retriever:
            index = await retriever.open_index("c", 1, directory=tmp_path / "index", language=collection_language)
            it = Collection(retriever, "c", index, await index.checkpoint())
            if texts:
                await it.write(*texts)
            yield it

    return holding


@pytest.fixture
def settings_schema() -> Callable[[], dict[str, Any]]:
    """The properties of the settings' JSON schema."""
    return lambda: TantivyRetriever.Settings.model_json_schema()["properties"]
