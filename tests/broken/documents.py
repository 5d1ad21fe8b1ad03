"""Broken chunkers and readers."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

from my_chunk import MyChunk
from my_read import MyRead
from rejection import rejected_by

from tamis.model import Document, Locator


@rejected_by("test_passages_are_what_their_spans_say_and_cover_all_but_white_space")
class LosesTheLast(MyChunk):
    def chunk(self, document: Any) -> Any:
        return super().chunk(document)[:1]


@rejected_by("test_any_landmarks_do")
class WantsNoLandmarks(MyChunk):
    def chunk(self, document: Any) -> Any:
        assert not document.landmarks
        return super().chunk(document)


@rejected_by("test_the_same_document_is_divided_the_same_way_on_any_thread")
class Counts(MyChunk):
    def __init__(self, settings: Any) -> None:
        super().__init__(settings)
        self.numbers = itertools.count()

    def chunk(self, document: Any) -> Any:
        found = super().chunk(document)
        return tuple(replace(each, id=f"{document.id}#{next(self.numbers)}") for each in found)


@rejected_by("test_a_title_alone_makes_one_passage_and_nothing_makes_none")
class LosesTitles(MyChunk):
    def chunk(self, document: Any) -> Any:
        return tuple(each for each in super().chunk(document) if each.text)


@rejected_by("test_a_passage_says_on_which_lines_and_pages_it_stands")
class KnowsNoPlace(MyChunk):
    def chunk(self, document: Any) -> Any:
        return tuple(replace(each, locator=Locator()) for each in super().chunk(document))


@rejected_by("test_a_long_text_is_divided")
class WantsShortTexts(MyChunk):
    def chunk(self, document: Any) -> Any:
        assert len(document.text) < 50_000
        return super().chunk(document)


@rejected_by("test_it_says_what_it_reads")
class ReadsCapitals(MyRead):
    suffixes = (".NOTE",)


@rejected_by("test_a_good_file_gives_documents_and_nothing_else_the_same_each_time")
class NumbersDocuments(MyRead):
    numbers = itertools.count()

    def read(self, path: Any, name: str) -> Any:
        yield Document(f"{name} {next(self.numbers)}", path.name)


@rejected_by("test_a_file_that_was_cut_off_raises_nothing")
class WantsALine(MyRead):
    def read(self, path: Any, name: str) -> Any:
        title, text = path.read_text().split("\n")[:2]
        yield Document(name, text, title)


@rejected_by("test_a_file_that_is_something_else_raises_nothing")
class WantsUtf8(MyRead):
    def read(self, path: Any, name: str) -> Any:
        yield Document(name, path.read_text("utf-8") or "empty")


@rejected_by("test_a_file_that_is_not_there_is_an_error_of_the_system_or_unreadable")
class MakesUpItsOwnErrors(MyRead):
    def read(self, path: Any, name: str) -> Any:
        if not path.exists():
            raise LookupError(path)
        yield from super().read(path, name)
