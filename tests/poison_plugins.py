"""Plugins that some documents are poison to, found as anyone's are: by the entry points of a distribution."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np

from tamis.component import Capabilities
from tamis.context import Call
from tamis.model import Candidate, Change, Query, ScoreKind
from tamis.models import Float32Array, TextKind
from tamis.stage import Index, Retriever
from tamis.testing.embedders import HashEmbedder

__all__ = ["FussyEmbedder", "FussyRetriever", "cure", "write_poison_distribution"]

_ENTRY_POINTS = """
[tamis.embedders]
fussy-hash = poison_plugins:FussyEmbedder
[tamis.retrievers]
fussy-words = poison_plugins:FussyRetriever
"""
_CURED: list[bool] = []


def write_poison_distribution(folder: Path) -> None:
    """Puts their distribution into `folder`, which must be on the path, as must this module."""
    info = folder / "tamis_poison-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tamis-poison\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(_ENTRY_POINTS)


def cure(is_cured: bool) -> None:
    """Has all plugins of this module take everything from now on, or not any more."""
    _CURED[:] = [True] if is_cured else []


class FussyEmbedder(HashEmbedder):
    """Makes NaN of a text with arsenic in it, and fails on one with cyanide. Keeps the passages whose
    token vectors it was asked for."""

    token_texts: ClassVar[list[str]] = []

    async def embed(self, texts: Sequence[str], *, kind: TextKind, call: Call) -> Float32Array:
        if any("cyanide" in each for each in texts) and not _CURED:
            raise RuntimeError(f"cannot embed {texts}")
        vectors = await super().embed(texts, kind=kind, call=call)
        return np.stack([_poisoned(*pair) for pair in zip(texts, vectors, strict=True)]) if texts else vectors

    async def embed_tokens(self, texts: Sequence[str], *, kind: TextKind, call: Call) -> list[Float32Array]:
        if kind is TextKind.PASSAGE:
            self.token_texts.extend(texts)
        if any("cyanide" in each for each in texts) and not _CURED:
            raise RuntimeError(f"cannot embed {texts}")
        vectors = await super().embed_tokens(texts, kind=kind, call=call)
        return [_poisoned(*pair) for pair in zip(texts, vectors, strict=True)]


class FussyRetriever(Retriever):
    """Finds every passage for any query, and holds everything but texts with arsenic or cyanide in them."""

    capabilities = Capabilities(score_kind=ScoreKind.BM25)

    async def open_index(self, collection: str, generation: int, *, directory: Path, language: str = "") -> Index:
        self._index = _FussyIndex()
        return self._index

    async def retrieve(self, query: Query, *, limit: int, call: Call) -> Sequence[Candidate]:
        found = sorted((id, version) for held in self._index.held.values() for id, version in held)
        return [Candidate(id, version, 1.0, ScoreKind.BM25) for id, version in found[:limit]]


class _FussyIndex:
    def __init__(self) -> None:
        self.held: dict[str, list[tuple[str, int]]] = {}
        self._reached = 0

    async def apply(self, changes: Sequence[Change], *, upto: int) -> None:
        texts = [each.text for change in changes for each in change.passages]
        if any("arsenic" in each or "cyanide" in each for each in texts) and not _CURED:
            raise LookupError(f"cannot hold {texts}")
        self.held |= {
            change.document_id: [(each.id, each.document_version) for each in change.passages] for change in changes
        }
        self._reached = upto

    async def checkpoint(self) -> int:
        return self._reached

    async def ids(self) -> AsyncIterator[tuple[str, int]]:
        for held in self.held.values():
            for each in held:
                yield each

    async def close(self) -> None:
        """Nothing to release."""

    async def drop(self) -> None:
        self.held.clear()


def _poisoned(text: str, vector: Float32Array) -> Float32Array:
    return vector * np.float32(np.nan) if "arsenic" in text and not _CURED else vector
