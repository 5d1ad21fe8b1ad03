"""The fakes of `tamis.testing`, found as anyone's plugins are: by the entry points of a distribution."""

from __future__ import annotations

from pathlib import Path

__all__ = ["write_distribution"]

_ENTRY_POINTS = """
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
[tamis.chunkers]
fake-lines = tamis.testing.plugins:LineChunker
[tamis.llms]
fake-oracle = tamis.testing.llms:OracleLlm
fake-scripted = tamis.testing.llms:ScriptedLlm
[tamis.embedders]
fake-hash = tamis.testing.embedders:HashEmbedder
"""


def write_distribution(folder: Path) -> None:
    """Puts their distribution into `folder`, which must be on the path."""
    info = folder / "tamis_fakes-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tamis-fakes\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(_ENTRY_POINTS)
