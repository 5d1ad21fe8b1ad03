"""One Tantivy index: postings of one collection, with their checkpoint in the same commit."""

from __future__ import annotations

import asyncio
import json
import math
import shutil
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

import tantivy

from tamis.errors import ConfigurationError, Unavailable, Unusable
from tamis.filters import Filter
from tamis.model import Candidate, Change, Passage, ScoreKind
from tamis.terms import sorted_terms
from tamis_tantivy.analysis import analyzer, bigrams, identity, separated, spaced, surface
from tamis_tantivy.asked import read
from tamis_tantivy.excerpts import Excerpts
from tamis_tantivy.query import filter_query, narrowed, text_query
from tamis_tantivy.suggestions import suggestion

__all__ = ["TantivyIndex", "open_schema"]

T = TypeVar("T")
_FORMAT = 4
_CHECKPOINT = "checkpoint"
_PASSAGE = "passage"
_NOTHING = "nothing"
_PAGE = 50_000  # ids read at a time; each page passes over those before it
_SCARCE = 128 << 20  # bytes left on a disk on which a segment may not find room


class TantivyIndex:
    """Implements `tamis.stage.Index`. Searches run beside commits: each engine call is on one of two executors."""

    def __init__(
        self,
        directory: Path,
        *,
        language: str,
        memory_bytes: int,
        reading: Executor,
        writing: Executor,
        closed: Callable[[TantivyIndex], None],
    ) -> None:
        """Opens or creates; calls `closed` when it closes. Raises `ConfigurationError` when what is there was made for
        another language or format."""
        self._directory, self._reading, self._writing, self._closed = directory, reading, writing, closed
        _check_made_for(directory, {"format": _FORMAT, "language": language})
        self._analyzer = analyzer(language)
        self._index = tantivy.Index(open_schema(), path=str(directory))
        self._index.register_tokenizer("words", self._analyzer)
        self._index.register_tokenizer("identity", identity())
        self._index.register_tokenizer("spaced", spaced())
        self._surface = surface()
        self._index.register_tokenizer("surface", self._surface)
        self._memory_bytes = memory_bytes
        self._writer: tantivy.IndexWriter | None = self._index.writer(memory_bytes, 1)
        _clear(self._writer)

    async def apply(self, changes: Sequence[Change], *, upto: int) -> None:
        await self._run(self._writing, lambda: self._apply(changes, upto))

    async def checkpoint(self) -> int:
        return await self._run(self._reading, self._checkpoint)

    async def ids(self) -> AsyncIterator[tuple[str, int]]:
        searcher, start = self._index.searcher(), 0
        while page := await self._run(self._reading, partial(self._ids, searcher, start)):
            for each in page:
                yield each
            start += len(page)

    async def compact(self) -> None:
        await self._run(self._writing, self._compact)

    async def close(self) -> None:
        self._closed(self)
        await self._run(self._writing, self._close)

    async def drop(self) -> None:
        await self.close()
        await self._run(self._writing, lambda: shutil.rmtree(self._directory, ignore_errors=True))

    async def search(
        self,
        text: str,
        filter: Filter | None,
        *,
        limit: int,
        title_boost: float,
        snippet_length: int,
        snippets_until: float = math.inf,
    ) -> list[Candidate]:
        """The best passages by BM25 that may satisfy the filter; none for a text without words.

        The best have their snippets first; what comes after `snippets_until`, on the monotonic clock, has none.
        """
        return await self._run(
            self._reading,
            lambda: self._search(text, filter, limit, title_boost, snippet_length, snippets_until),
        )

    async def suggest(self, text: str, *, check: Callable[[], None]) -> str:
        """The text with words the index does not have replaced by near ones; empty when there is nothing to replace.

        Calls `check` before each word.
        """
        searcher = self._index.searcher()
        schema, words, written = self._index.schema, self._analyzer, self._surface
        return await self._run(self._reading, lambda: suggestion(text, searcher, schema, words, written, check))

    def _apply(self, changes: Sequence[Change], upto: int) -> None:
        documents = [(change.document_id, _documents(change)) for change in changes]
        writer = self._open_writer()
        try:
            self._write(writer, documents, upto)
        except ValueError as error:
            if self._is_of_the_disk(error):
                raise Unavailable("the disk does not take the index") from error
            raise
        self._index.reload()

    def _write(
        self, writer: tantivy.IndexWriter, documents: Sequence[tuple[str, list[tantivy.Document]]], upto: int
    ) -> None:
        try:
            # The first operation of a writer has the opstamp of the commit it was opened at, and a merge of segments
            # that were left unmerged takes it for done in those whose deletions were written at that commit.
            writer.delete_documents_by_term("kind", _NOTHING)
            for document_id, passages in documents:
                writer.delete_documents_by_term("document_id", document_id)
                for passage in passages:
                    writer.add_document(passage)
            writer.delete_documents_by_term("kind", _CHECKPOINT)
            writer.add_document(tantivy.Document(kind=[_CHECKPOINT], version=[upto]))
            writer.commit()
        except BaseException:
            writer.rollback()
            _clear(writer)
            raise

    def _is_of_the_disk(self, error: ValueError) -> bool:
        """The engine has one exception for everything, and does not always say that it found no room."""
        return "IoError" in str(error) or shutil.disk_usage(self._directory).free < _SCARCE

    def _checkpoint(self) -> int:
        searcher = self._index.searcher()
        query = tantivy.Query.term_query(self._index.schema, "kind", _CHECKPOINT)
        found = searcher.search(query, 1).hits
        return int(searcher.doc(found[0][1])["version"][0]) if found else 0

    def _ids(self, searcher: tantivy.Searcher, start: int) -> list[tuple[str, int]]:
        """A page of a searcher's passages. All score the same, so that their order is that of the segments."""
        query = tantivy.Query.term_query(self._index.schema, "kind", _PASSAGE)
        hits = searcher.search(query, _PAGE, count=False, offset=start).hits
        documents = (searcher.doc(address) for _, address in hits)
        return [(each["passage_id"][0], each["version"][0]) for each in documents]

    def _search(
        self, text: str, filter: Filter | None, limit: int, title_boost: float, snippet_length: int, until: float
    ) -> list[Candidate]:
        schema, searcher = self._index.schema, self._index.searcher()
        asked = narrowed(read(text, self._analyzer), searcher)
        words = text_query(asked, schema, title_boost)
        if words is None:
            return []
        query = words if filter is None else filter_query(words, filter, schema)
        excerpts = Excerpts(asked, searcher, schema, self._analyzer) if snippet_length else None
        candidates = []
        for score, address in searcher.search(query, limit, count=False).hits:
            found = searcher.doc(address)
            id, version = found["passage_id"][0], found["version"][0]
            in_time = excerpts is not None and time.monotonic() < until
            excerpt = excerpts.excerpt(found, snippet_length) if excerpts and in_time else ("", ())
            candidates.append(Candidate(id, version, float(score), ScoreKind.BM25, *excerpt))
        return candidates

    def _open_writer(self) -> tantivy.IndexWriter:
        if self._writer is None:
            raise RuntimeError("the index is closed")
        return self._writer

    def _compact(self) -> None:
        """Waits for merges under way, which ends the writer, and removes what they replaced."""
        self._close()
        self._writer = self._index.writer(self._memory_bytes, 1)
        _clear(self._writer)
        self._index.reload()

    def _close(self) -> None:
        """Waiting for merges releases the lock, so that the index can be opened again at once."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.wait_merging_threads()

    async def _run(self, executor: Executor, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(executor, work)


def _clear(writer: tantivy.IndexWriter) -> None:
    """Removes files of no commit: one that broke off may have left some whose names its repetition wants."""
    with suppress(ValueError):  # as on a full disk, on which an index can be searched
        writer.garbage_collect_files()


def open_schema() -> tantivy.Schema:
    """The fields of an index, in this format."""
    builder = tantivy.SchemaBuilder()
    for name in ("kind", "document_id", "terms"):
        builder.add_text_field(name, tokenizer_name="identity", index_option="basic")
    builder.add_text_field("passage_id", stored=True, tokenizer_name="identity", index_option="basic")
    builder.add_integer_field("version", stored=True)
    builder.add_text_field("title", stored=True, tokenizer_name="words")
    builder.add_text_field("text", stored=True, tokenizer_name="words")
    builder.add_text_field("bigrams", tokenizer_name="spaced")
    builder.add_text_field("surface", tokenizer_name="surface", index_option="basic")
    return builder.build()


def _documents(change: Change) -> list[tantivy.Document]:
    found = sorted_terms(each.metadata for each in change.passages)
    try:
        return [_document(*each) for each in zip(change.passages, found, strict=True)]
    except ValueError as error:
        raise Unusable(change.document_id, "holds a text or a value that the word index cannot keep") from error


def _document(passage: Passage, terms: list[str]) -> tantivy.Document:
    titles = [separated(each) for each in (passage.title, passage.heading) if each]
    text = separated(passage.text)
    return tantivy.Document(
        kind=[_PASSAGE],
        passage_id=[passage.id],
        document_id=[passage.document_id],
        version=[passage.document_version],
        title=titles,
        text=[text],
        bigrams=[" ".join(bigrams(each)) for each in (*titles, text)],
        surface=[*titles, text],
        terms=terms,
    )


def _check_made_for(directory: Path, settings: dict[str, object]) -> None:
    """Compares with the settings an index was made with; a new index writes its own down first.

    One in the format of an older Tamis is removed: the journal fills the new one.
    """
    note = directory / "tamis.json"
    made_with = json.loads(note.read_text()) if note.exists() else None
    if made_with is not None and made_with["format"] < _FORMAT:
        shutil.rmtree(directory)
    elif made_with is not None:
        if made_with != settings:
            message = (
                f"the index was made with {made_with}, the configuration asks for {settings}; use a new collection"
            )
            raise ConfigurationError(message, path=str(directory))
        return
    directory.mkdir(parents=True, exist_ok=True)
    note.write_text(json.dumps(settings))
