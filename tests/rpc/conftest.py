"""Fixtures of the tests across the socket."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from real_server import Servers

from tamis.testing.plugins import trace

ENTRY_POINTS = """
[tamis.retrievers]
fake-memory = tamis.testing.plugins:MemoryRetriever
fake-unfiltered = tamis.testing.plugins:UnfilteredRetriever
fake-spelling = tamis.testing.plugins:SpellingRetriever
[tamis.rerankers]
fake-words = tamis.testing.plugins:WordReranker
[tamis.context_builders]
fake-first = tamis.testing.plugins:FirstHits
[tamis.generators]
fake-quotes = tamis.testing.plugins:QuotingGenerator
[tamis.llms]
fake-scripted = tamis.testing.llms:ScriptedLlm
[tamis.embedders]
fake-hash = tamis.testing.embedders:HashEmbedder
"""


@pytest.fixture(scope="session", autouse=True)
def _fakes_are_installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The fakes are found as anyone's plugins are: by the entry points of a distribution."""
    folder = tmp_path_factory.mktemp("distribution")
    info = folder / "tamis_fakes-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tamis-fakes\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        importlib.invalidate_caches()
        yield


@pytest.fixture(autouse=True)
def _the_trace_is_fresh() -> Iterator[None]:
    trace.reset()
    yield
    trace.reset()


@pytest.fixture
def servers(tmp_path: Path) -> Servers:
    return Servers(tmp_path / "data")
