"""Stages that do nothing: what is left of a search with them is the orchestrator's."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from pathlib import Path

from tamis.component import Capabilities, Settings
from tamis.context import Call
from tamis.filters import Operator
from tamis.model import Candidate, Change, Passage, Query, ScoreKind
from tamis.stage import Index, Reranker, Reranking, Retriever

__all__ = ["FixedRetriever", "IdleReranker", "write_distribution"]


class _FirstPassages:
    """An index that keeps every passage's candidate in the order of its first appearance."""

    def __init__(self) -> None:
        self.candidates: dict[str, Candidate] = {}
        self._upto = 0

    async def apply(self, changes: Sequence[Change], *, upto: int) -> None:
        for change in changes:
            for each in change.passages:
                score = 1.0 / (1 + len(self.candidates))
                self.candidates[each.id] = Candidate(each.id, each.document_version, score, ScoreKind.BM25)
        self._upto = upto

    async def checkpoint(self) -> int:
        return self._upto

    async def ids(self) -> AsyncIterator[tuple[str, int]]:
        for each in self.candidates.values():
            yield each.passage_id, each.document_version

    async def close(self) -> None:
        pass

    async def drop(self) -> None:
        self.candidates.clear()


class FixedRetriever(Retriever):
    """Finds the same passages for every query."""

    Settings = Settings
    capabilities = Capabilities(score_kind=ScoreKind.BM25, filter_operators=frozenset(Operator))

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._index = _FirstPassages()
        self._found: dict[int, Sequence[Candidate]] = {}

    async def open_index(self, collection: str, generation: int, *, directory: Path, language: str = "") -> Index:
        self._index = _FirstPassages()
        return self._index

    async def retrieve(self, query: Query, *, limit: int, call: Call) -> Sequence[Candidate]:
        found = self._found.get(limit, ())
        if len(found) < limit:
            found = self._found[limit] = tuple(self._index.candidates.values())[:limit]
        return found


class IdleReranker(Reranker):
    """Leaves every order as it is, with a score for each passage."""

    Settings = Settings
    capabilities = Capabilities(score_kind=ScoreKind.LOGIT)

    async def rerank(
        self, query: Query, passages: Sequence[Passage], *, top_n: int, call: Call
    ) -> AsyncGenerator[Reranking, None]:
        if passages:
            yield Reranking(tuple(-float(place) for place in range(len(passages))), len(passages))


def write_distribution(folder: Path) -> None:
    """Puts a distribution of these, and of `static_words`, into `folder`, to be found there by entry points."""
    info = folder / "tamis_no_op-1.0.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tamis-no-op\nVersion: 1.0\n")
    lines = (
        "[tamis.retrievers]",
        "fixed = no_op_plugins:FixedRetriever",
        "[tamis.rerankers]",
        "idle = no_op_plugins:IdleReranker",
        "[tamis.embedders]",
        "static-words = static_words:StaticWords",
    )
    (info / "entry_points.txt").write_text("\n".join([*lines, ""]))
