"""What a chunker must do."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tamis.chunking import Chunker
from tamis.context import Call
from tamis.model import Document, Heading, Landmark, PageBreak, Passage
from tamis.testing.contract.component import ComponentContract, law

__all__ = ["ChunkerContract"]

_PARTS = ["word " * 50, "A sentence of six small words. ", "x" * 1_000, "\n\n", "# Head\n\n", "Title\n=====\n\n"]
_PARTS += ["é" * 500, "漢字の文。", "```\ncode = 1\n\nmore\n```\n", "| a | b |\n", "- item\n", "\f"]
TEXTS = st.one_of(
    st.text(st.sampled_from("ab .\n#=-é𝄞\t |`"), max_size=300),
    st.lists(st.sampled_from(_PARTS), max_size=30).map("".join),
)
"""Texts of all kinds of parts."""


class ChunkerContract(ComponentContract):
    """Of a chunker."""

    places = (Chunker.chunk,)

    def component(self) -> Chunker:
        raise NotImplementedError(f"{type(self).__name__} does not say how its plugin is built")

    async def use(self, plugin: Chunker, call: Call) -> None:
        plugin.chunk(Document("d", "A text.\n\nAnother one.", "Title"))

    def chunk(self, document: Document) -> Sequence[Passage]:
        """The passages of a document, checked for what holds of all."""
        passages: Sequence[Passage] = self.plugin.chunk(document)
        assert len({each.id for each in passages}) == len(passages)
        start = 0
        for each in passages:
            assert each.id.startswith(document.id)
            assert (each.document_id, each.document_version) == (document.id, document.version)
            assert (each.title, each.metadata) == (document.title, document.metadata)
            assert each.span.of(document.text) == each.text
            assert each.span.start >= start
            assert each.heading_path[-1:] == ((each.heading,) if each.heading else ())
            start = each.span.start
        return passages

    @law(80)
    @given(text=TEXTS)
    @example(text="x" * 10_000)
    @example(text="a\n" * 3_000)
    @example(text="```\n" * 50)
    def test_passages_are_what_their_spans_say_and_cover_all_but_white_space(self, text: str) -> None:
        left = bytearray(text.encode())
        for passage in self.chunk(Document("d", text, "Title")):
            left[passage.span.start : passage.span.end] = b" " * (passage.span.end - passage.span.start)
        assert bytes(left).decode().split() == []

    @law(30)
    @given(text=TEXTS, cuts=st.lists(st.integers(0, 400), max_size=6))
    def test_any_landmarks_do(self, text: str, cuts: list[int]) -> None:
        borders = [len(text[:cut].encode()) for cut in sorted(cuts)]
        landmarks: list[Landmark] = []
        for number, border in enumerate(borders, 1):
            landmarks += [PageBreak(border, number), Heading(border, f"Heading {number}", 1 + number % 3)]
        self.chunk(Document("d", text, landmarks=tuple(landmarks)))

    @law(20)
    @given(text=TEXTS)
    def test_the_same_document_is_divided_the_same_way_on_any_thread(self, text: str) -> None:
        document = Document("d", text, "Title", {"year": 2019}, 7)
        with ThreadPoolExecutor(4) as threads:
            first, *others = threads.map(self.chunk, [document] * 4)
        assert all(each == first for each in others)

    def test_a_title_alone_makes_one_passage_and_nothing_makes_none(self) -> None:
        (passage,) = self.chunk(Document("d", " \n", "Title"))
        assert (passage.text, passage.full_text) == ("", "Title")
        assert self.chunk(Document("d", " \n ")) == ()

    def test_a_passage_says_on_which_lines_and_pages_it_stands(self) -> None:
        text = "First line.\nSecond line.\n\fThird line."
        passages = self.chunk(Document("d", text, landmarks=(PageBreak(0, 1), PageBreak(26, 2))))
        start, end = passages[0].locator, passages[-1].locator
        assert (start.first_page, start.first_line) == (1, 1)
        assert (end.last_page, end.last_line) == (2, 3)

    @pytest.mark.parametrize("text", [" " * 200_000 + "b", "word " * 40_000, "a\n" * 40_000, "# H\n\ntext\n\n" * 4_000])
    def test_a_long_text_is_divided(self, text: str) -> None:
        assert self.chunk(Document("d", text))
