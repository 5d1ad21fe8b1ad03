"""The chunker `sentences`: passages of whole sentences under one heading, never longer than an encoder reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

from pydantic import Field

from tamis.chunking import Chunker
from tamis.component import Ref, Settings
from tamis.errors import ConfigurationError
from tamis.ingest.packing import packed
from tamis.ingest.sections import Places, Section, byte_offsets, sections
from tamis.ingest.tokens import EstimatedTokens, TokenCounts
from tamis.model import Document, Passage, Span
from tamis.models import Embedder, Tokenizes

__all__ = ["SentencesChunker", "SentencesSettings"]

_MOST = 512
_ESTIMATED = 256
_TINY = 8  # an eighth of a passage: sections up to that share one with a neighbour
_HEAD_SHARE = 2  # title and heading take half of a passage at most, the rest of a heading is cut


class SentencesSettings(Settings):
    """`embedder` names the model whose tokens count. `max_tokens` is the longest a passage gets, title, heading and
    special tokens included: what the embedder reads, 512 at most; 256, estimated, without an embedder.
    `overlap_tokens` is how much of one passage the next one of its section repeats at most, in whole sentences."""

    embedder: Ref[Embedder] | None = None
    max_tokens: Annotated[int, Field(ge=32, le=8_192)] | None = None
    overlap_tokens: Annotated[int, Field(ge=0, le=256)] = 32


class SentencesChunker(Chunker):
    """Cuts at headings first, then between paragraphs, sentences, lines, words."""

    Settings = SentencesSettings

    def __init__(self, settings: SentencesSettings) -> None:
        super().__init__(settings)
        self._settings = settings

    async def open(self) -> None:
        """Raises `ConfigurationError` for passages that the embedder could not read, or could not count."""
        embedder, wanted = self._settings.embedder, self._settings.max_tokens
        if embedder is None:
            return
        if not isinstance(embedder, Tokenizes):
            raise ConfigurationError(f"{type(embedder).__name__} cannot say where its tokens are")
        if wanted is not None and wanted > embedder.max_tokens:
            raise ConfigurationError(f"max_tokens is {wanted}, but the embedder reads only {embedder.max_tokens}")

    def chunk(self, document: Document) -> Sequence[Passage]:
        return _Division(document, self._tokenizer, self._limit, self._settings.overlap_tokens).passages()

    @cached_property
    def _tokenizer(self) -> Tokenizes:
        embedder = self._settings.embedder
        return embedder if isinstance(embedder, Tokenizes) else EstimatedTokens()

    @property
    def _limit(self) -> int:
        embedder = self._settings.embedder
        most = _ESTIMATED if embedder is None else min(_MOST, embedder.max_tokens)
        return self._settings.max_tokens or most


@dataclass(slots=True)
class _Run:
    """Neighbouring sections that share passages, under the headings they have in common."""

    start: int
    end: int
    path: tuple[str, ...]
    cost: int


class _Division:
    """One document on its way into passages."""

    def __init__(self, document: Document, tokenizer: Tokenizes, limit: int, overlap: int) -> None:
        self._document, self._text = document, document.text
        self._tokenizer, self._limit, self._overlap = tokenizer, limit, overlap
        self._counts = TokenCounts(document.text, tokenizer)
        self._places = Places(document)
        self._heads: dict[str, tuple[str, int]] = {}

    def passages(self) -> tuple[Passage, ...]:
        found = [(start, end, run.path) for run in self._runs() for start, end in self._divided(run)]
        if not found:
            return (self._passage(0, 0, 0, (), Span(0, 0)),) if self._document.title else ()
        offsets = byte_offsets(self._text, (each for start, end, _ in found for each in (start, end)))
        return tuple(
            self._passage(ordinal, start, end, path, Span(offsets[start], offsets[end]))
            for ordinal, (start, end, path) in enumerate(found)
        )

    def _runs(self) -> Iterator[_Run]:
        """Sections, and what is below them as long as all of it fits; tiny ones join their neighbours."""
        current: _Run | None = None
        for section in sections(self._document):
            cost = self._counts.cost(section.start, section.end)
            joined = current and self._joined(current, section, cost)
            if joined:
                current = joined
                continue
            if current:
                yield current
            current = _Run(section.start, section.end, section.path, cost)
        if current:
            yield current

    def _joined(self, run: _Run, section: Section, cost: int) -> _Run | None:
        shared = _common(run.path, section.path)
        is_below = bool(run.path) and shared == run.path and len(section.path) > len(shared)
        is_tiny = max(run.cost, cost) <= self._limit // _TINY
        total = run.cost + cost
        if (is_below or is_tiny) and total <= self._budget(shared):
            return _Run(run.start, section.end, shared, total)
        return None

    def _divided(self, run: _Run) -> Iterator[tuple[int, int]]:
        """The stretches of a run that become passages, each checked as the encoder will read it."""
        budget = self._budget(run.path)
        for start, end in packed(self._text, run.start, run.end, self._counts, budget, self._overlap):
            yield from self._fitting(start, end, run.path)

    def _fitting(self, start: int, end: int, path: tuple[str, ...]) -> Iterator[tuple[int, int]]:
        """The stretch itself; its halves where a cut within a word made more tokens of it."""
        heading, cost = self._head(path)
        head = "".join(f"{part}\n" for part in (self._document.title, heading) if part)
        most = max(self._limit, cost + self._limit // _TINY)
        waiting = [(start, end)]
        while waiting:
            start, end = waiting.pop()
            if end - start < 2 or self._read(head + self._text[start:end]) <= most:
                yield start, end
                continue
            middle = (start + end) // 2
            space = self._text.rfind(" ", start + 1, middle)
            middle = space if space > (start + middle) // 2 else middle
            parts = [_stripped(self._text, middle, end), _stripped(self._text, start, middle)]
            waiting.extend((first, last) for first, last in parts if first < last)

    def _budget(self, path: tuple[str, ...]) -> int:
        """The tokens left for the text; some even where the title is longer than an encoder reads."""
        return max(self._limit // _TINY, self._limit - self._head(path)[1])

    def _head(self, path: tuple[str, ...]) -> tuple[str, int]:
        """The heading as its passages carry it, cut if it is very long, and what it costs with the title."""
        heading = path[-1] if path else ""
        if heading not in self._heads:
            title = self._read(self._document.title)
            offsets = self._tokenizer.token_offsets(heading)
            room = max(8, self._limit // _HEAD_SHARE - title)
            shown = heading if len(offsets) <= room else heading[: offsets[room - 1][1]].rstrip()
            parts = [part for part in (self._document.title, shown) if part]
            self._heads[heading] = shown, self._read("".join(f"{part}\n" for part in parts))
        return self._heads[heading]

    def _read(self, text: str) -> int:
        return self._tokenizer.extra_tokens + len(self._tokenizer.token_offsets(text))

    def _passage(self, ordinal: int, start: int, end: int, path: tuple[str, ...], span: Span) -> Passage:
        document, shown = self._document, self._head(path)[0]
        return Passage(
            f"{document.id}#{ordinal}",
            document.id,
            document.version,
            self._text[start:end],
            document.title,
            shown,
            span,
            document.metadata,
            (*path[:-1], shown) if path else (),
            self._places.locator(start, end),
        )


def _common(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    count = 0
    while count < min(len(one), len(other)) and one[count] == other[count]:
        count += 1
    return one[:count]


def _stripped(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end
