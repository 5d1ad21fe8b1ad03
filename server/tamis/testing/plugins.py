"""Plugins for tests: instant and without weights, and as badly behaved as they are told to be."""

from __future__ import annotations

import asyncio
import math
import re
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from tamis.chunking import Chunker
from tamis.component import Capabilities, Settings, overridable
from tamis.context import Call
from tamis.errors import NotFound, Overloaded
from tamis.filters import Operator
from tamis.generator import AnswerDelta, ContextBuilder, Generator
from tamis.model import Candidate, Change, Citation, Document, FinishReason, Hit, Passage, Query, ScoreKind, Span
from tamis.stage import Index, PointwiseReranker, Retriever

__all__ = [
    "SECRET",
    "Behaviour",
    "FirstHits",
    "LineChunker",
    "MemoryRetriever",
    "QuotingGenerator",
    "SpellingRetriever",
    "Trace",
    "UnfilteredRetriever",
    "WordReranker",
    "trace",
]

SECRET = "the password is hunter2"
"""What misbehaving plugins put into their exceptions, and nobody outside the log may read."""

Behaviour = Literal[
    "ok",
    "raises",
    "raises_midway",
    "exits",
    "overloaded",
    "never_returns",
    "never_goes_on",
    "ignores_cancellation",
    "asks_its_call",
    "blocks",
    "cannot_index",
    "nan",
    "too_few",
    "duplicates",
    "unknown",
    "altered",
    "no_finish",
    "repeats_the_question",
]


class Trace:
    """What the plugins of this module did, and the gate that the blocking ones wait at. Safe from any thread."""

    def __init__(self) -> None:
        self.begun = 0
        """Items that any plugin began to work on."""
        self.entered = threading.Event()
        self.left = threading.Event()
        self.gate = threading.Event()

    def reset(self) -> None:
        """Forgets, and lets everyone through who is still held up."""
        self.gate.set()
        self.__init__()  # type: ignore[misc]


trace = Trace()
"""The one trace of this process."""


class FakeSettings(Settings):
    """`seconds` is how long each item takes."""

    behaviour: Behaviour = "ok"
    seconds: Annotated[float, Field(ge=0)] = 0.0


class _Misbehaving:
    """What all of them can do wrong before they do anything else."""

    settings: FakeSettings

    async def _begin(self, *, midway: bool = False) -> None:
        trace.entered.set()
        match self.settings.behaviour:
            case "raises" if not midway:
                raise RuntimeError(SECRET)
            case "raises_midway" if midway:
                raise RuntimeError(SECRET)
            case "exits":
                raise SystemExit(SECRET)
            case "overloaded":
                raise Overloaded(SECRET)
            case "ignores_cancellation":
                while not trace.gate.is_set():
                    with suppress(asyncio.CancelledError):
                        await asyncio.sleep(0.01)
            case "never_returns":
                await asyncio.Event().wait()
            case "never_goes_on" if midway:
                await asyncio.Event().wait()
            case "blocks" if not midway:
                trace.gate.wait(60)

    async def _work(self, call: Call) -> None:
        call.check()
        trace.begun += 1
        while self.settings.behaviour == "asks_its_call" and call.active and not trace.gate.is_set():
            with suppress(asyncio.CancelledError):  # as a model's thread, which nobody can cancel
                await asyncio.sleep(0.01)
        if self.settings.seconds:
            await asyncio.sleep(self.settings.seconds)


class LineChunkerSettings(FakeSettings):
    """`behaviour` is what happens until the gate opens: `raises` or `blocks`."""


class LineChunker(Chunker):
    """Makes a passage of each line."""

    Settings = LineChunkerSettings
    settings: LineChunkerSettings

    def chunk(self, document: Document) -> Sequence[Passage]:
        trace.entered.set()
        if self.settings.behaviour == "raises" and not trace.gate.is_set():
            raise RuntimeError(SECRET)
        if self.settings.behaviour == "blocks":
            trace.gate.wait(60)
        passages, start = list[Passage](), 0
        for line in document.text.splitlines(keepends=True) or ([""] if document.title else []):
            text = line.rstrip("\n")
            if text or not document.text:
                id, span = f"{document.id}#{len(passages)}", Span(start, start + len(text.encode()))
                passages.append(Passage(id, document.id, document.version, text, document.title, span=span))
            start += len(line.encode())
        return passages


class MemoryIndex:
    """Implements `tamis.stage.Index` in memory: after a restart the journal fills it again."""

    def __init__(self, closed: Callable[[MemoryIndex], None], *, until_the_gate_opens: bool = False) -> None:
        self.passages: dict[str, Passage] = {}
        self._closed = closed
        self._upto = 0
        self._refuses = until_the_gate_opens

    async def apply(self, changes: Sequence[Change], *, upto: int) -> None:
        if self._refuses and not trace.gate.is_set():
            trace.entered.set()
            raise RuntimeError(SECRET)
        for change in changes:
            gone = [key for key, each in self.passages.items() if each.document_id == change.document_id]
            for key in gone:
                del self.passages[key]
            self.passages.update({each.id: each for each in change.passages})
        self._upto = upto

    async def checkpoint(self) -> int:
        return self._upto

    async def ids(self) -> AsyncIterator[tuple[str, int]]:
        for each in self.passages.values():
            yield each.id, each.document_version

    async def close(self) -> None:
        self._closed(self)

    async def drop(self) -> None:
        self._closed(self)
        self.passages.clear()


class MemoryRetriever(_Misbehaving, Retriever):
    """Counts the words that query and passage share; ignores filters, which the server checks again."""

    Settings = FakeSettings
    capabilities = Capabilities(score_kind=ScoreKind.BM25, filter_operators=frozenset(Operator))

    def __init__(self, settings: FakeSettings) -> None:
        super().__init__(settings)
        self._indexes: dict[tuple[str, int], MemoryIndex] = {}

    async def open_index(self, collection: str, generation: int, *, directory: Path, language: str = "") -> Index:
        refuses = self.settings.behaviour == "cannot_index"
        index = MemoryIndex(self._forget, until_the_gate_opens=refuses)
        self._indexes[collection, generation] = index
        return index

    async def retrieve(self, query: Query, *, limit: int, call: Call) -> Sequence[Candidate]:
        await self._begin()
        await self._work(call)
        passages = self._passages(query)
        scored = [(_overlap(query.text, each), each) for each in passages]
        found = sorted(((score, each) for score, each in scored if score), key=lambda pair: (-pair[0], pair[1].id))
        candidates = [Candidate(each.id, each.document_version, score, ScoreKind.BM25) for score, each in found]
        match self.settings.behaviour:
            case "duplicates":
                candidates = [each for each in candidates for _ in range(2)]
            case "unknown":
                candidates.insert(0, Candidate("nobody#0", 1, 99.0, ScoreKind.BM25))
            case "nan":
                candidates.append(Candidate("nobody#0", 1, math.nan, ScoreKind.BM25))
        return candidates[:limit]

    def _passages(self, query: Query) -> Sequence[Passage]:
        index = self._indexes.get((query.collection, query.generation))
        if index is None:
            raise NotFound("collection", query.collection)
        return [*index.passages.values()]

    def _forget(self, closed: MemoryIndex) -> None:
        self._indexes = {key: index for key, index in self._indexes.items() if index is not closed}


class UnfilteredRetriever(MemoryRetriever):
    """The same, but owns up to knowing no filter."""

    capabilities = Capabilities(score_kind=ScoreKind.BM25)


class SpellingSettings(FakeSettings):
    """`spelling` is how it suggests, whatever its behaviour otherwise."""

    spelling: Literal["ok", "raises", "never_returns", "no_text", "lone_surrogate"] = "ok"


class SpellingRetriever(MemoryRetriever):
    """The same, and suggests the nearest word of any of its passages for one that none has."""

    Settings = SpellingSettings
    settings: SpellingSettings

    async def suggest(self, query: Query, *, call: Call) -> str:
        if self.settings.spelling == "raises":
            raise RuntimeError(SECRET)
        if self.settings.spelling == "never_returns":
            await asyncio.Event().wait()
        if self.settings.spelling == "no_text":
            return None  # type: ignore[return-value]
        if self.settings.spelling == "lone_surrogate":
            return "\ud800"
        passages = self._passages(query)
        known = sorted(set[str]().union(*(_words(each.full_text) for each in passages)))
        asked = query.text.split()
        near = [word if word in known else next(iter(get_close_matches(word, known, 1)), word) for word in asked]
        return "" if near == asked else " ".join(near)


class WordReranker(_Misbehaving, PointwiseReranker):
    """Scores by the words that query and passage share, one passage at a time."""

    Settings = FakeSettings
    capabilities = Capabilities(score_kind=ScoreKind.LOGIT)

    async def score(self, query: Query, passages: Sequence[Passage], *, call: Call) -> AsyncIterator[tuple[int, float]]:
        try:
            await self._begin()
            count = len(passages) // 2 if self.settings.behaviour == "too_few" else len(passages)
            for index in range(count):
                await self._work(call)
                for each in self._scores(index, _overlap(query.text, passages[index])):
                    yield each
                if index == len(passages) // 2:
                    await self._begin(midway=True)
        finally:
            trace.left.set()

    def _scores(self, index: int, score: float) -> list[tuple[int, float]]:
        match self.settings.behaviour:
            case "nan":
                return [(index, math.nan)]
            case "duplicates":
                return [(index, score), (index, -1.0)]
            case "unknown":
                return [(index + 1_000, 99.0), (index, score)]
        return [(index, score)]


class FirstHitsSettings(FakeSettings):
    """`count` is how many hits are chosen."""

    count: Annotated[int, Field(ge=1, le=10, json_schema_extra=overridable())] = 2


class FirstHits(_Misbehaving, ContextBuilder):
    """Chooses the first hits."""

    Settings = FirstHitsSettings
    settings: FirstHitsSettings

    async def build(self, query: Query, hits: Sequence[Hit], *, call: Call) -> Sequence[Hit]:
        await self._begin()
        await self._work(call)
        match self.settings.behaviour:
            case "duplicates":
                return [hits[0], hits[0], hits[1]]
            case "unknown":
                return [replace(hits[0], passage=replace(hits[0].passage, id="nobody#0")), *hits[:2]]
            case "altered":
                return [replace(each, passage=replace(each.passage, text=SECRET)) for each in hits[:2]]
        return hits[: int(str(call.options.get("count", self.settings.count)))]


class QuotingGenerator(_Misbehaving, Generator):
    """Quotes the passages it is given, one a delta, each with a citation."""

    Settings = FakeSettings

    async def answer(self, query: Query, context: Sequence[Hit], *, call: Call) -> AsyncIterator[AnswerDelta]:
        try:
            await self._begin()
            if self.settings.behaviour == "repeats_the_question":
                yield AnswerDelta(query.text)
                context = ()
            length = 0
            for place, hit in enumerate(context):
                await self._work(call)
                if place:
                    await self._begin(midway=True)
                delta = self._quoted(hit.passage, length)
                length += len(delta.text.encode())
                yield delta
            if self.settings.behaviour != "no_finish":
                yield AnswerDelta(finish_reason=FinishReason.ANSWERED)
        finally:
            trace.left.set()

    def _quoted(self, passage: Passage, start: int) -> AnswerDelta:
        text = f"{passage.text}\n"
        answer_span = Span(start, start + len(passage.text.encode()))
        document_span = passage.span.shifted(1_000) if self.settings.behaviour == "unknown" else passage.span
        citation = Citation(answer_span, passage.id, passage.document_id, passage.document_version, document_span)
        return AnswerDelta(text, (citation,))


def _overlap(query: str, passage: Passage) -> float:
    return float(len(_words(query) & _words(passage.full_text)))


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower()))
