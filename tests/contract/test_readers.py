"""The readers keep the contract."""

from __future__ import annotations

import io
from collections.abc import Mapping

import docx
from fpdf import FPDF

from tamis.reading import Reader
from tamis.testing.contract import ReaderContract
from tamis_readers import (
    CsvReader,
    DocxReader,
    HtmlReader,
    JsonLinesReader,
    MarkdownReader,
    PdfReader,
    RstReader,
    TextReader,
)

MARKDOWN = "---\ntitle: Tools\n---\n\n# Sieves\n\nText with *words*.\n\nCare\n----\n\nÜber.\n"
RST = "=====\nTools\n=====\n\nSieves\n======\n\nText.\n\nCare\n----\n\nÜber.\n"
HTML = "<title>Tools</title><h1>Sieves</h1><p>Text &amp; <b>words</b>.<ul><li>One<li>Two</ul><h2>Care</h2>Über."


def _pdf() -> bytes:
    file = FPDF()
    file.set_font("helvetica", size=12)
    for text in ("First page.", "Second page."):
        file.add_page()
        file.start_section(text)
        file.multi_cell(0, text=text)
    return bytes(file.output())


def _word() -> bytes:
    file, made = docx.Document(), io.BytesIO()
    file.add_heading("Sieves", level=1)
    file.add_paragraph("Text.")
    file.save(made)
    return made.getvalue()


class TestText(ReaderContract):
    def component(self) -> Reader:
        return TextReader(TextReader.Settings())

    def samples(self) -> Mapping[str, bytes]:
        return {"a.txt": b"Some text.\n", "latin.txt": ("Die Käsesoße läuft über. " * 20).encode("latin-1")}


class TestMarkdown(ReaderContract):
    def component(self) -> Reader:
        return MarkdownReader(MarkdownReader.Settings())

    def samples(self) -> Mapping[str, bytes]:
        return {"a.md": MARKDOWN.encode(), "b.markdown": MARKDOWN.replace("\n", "\r\n").encode("utf-8-sig")}


class TestRst(ReaderContract):
    def component(self) -> Reader:
        return RstReader(RstReader.Settings())

    def samples(self) -> Mapping[str, bytes]:
        return {"a.rst": RST.encode(), "b.rst": RST.replace("\n", "\r\n").encode()}


class TestHtml(ReaderContract):
    def component(self) -> Reader:
        return HtmlReader(HtmlReader.Settings())

    def samples(self) -> Mapping[str, bytes]:
        return {"a.html": HTML.encode(), "b.htm": b"<p>text", "c.xhtml": HTML.encode("utf-16")}


class TestPdf(ReaderContract):
    def component(self) -> Reader:
        return PdfReader(PdfReader.Settings())

    def samples(self) -> Mapping[str, bytes]:
        return {"a.pdf": _pdf()}


class TestDocx(ReaderContract):
    def component(self) -> Reader:
        return DocxReader(DocxReader.Settings())

    def samples(self) -> Mapping[str, bytes]:
        return {"a.docx": _word()}


class TestJsonLines(ReaderContract):
    def component(self) -> Reader:
        return JsonLinesReader(JsonLinesReader.Settings())

    def samples(self) -> Mapping[str, bytes]:
        return {"a.jsonl": b'{"text": "One."}\n\n{"id": 7, "title": "Two", "year": 2019}\n'}


class TestCsv(ReaderContract):
    def component(self) -> Reader:
        return CsvReader(CsvReader.Settings())

    def samples(self) -> Mapping[str, bytes]:
        return {"a.csv": b"id;title;text\n1;One;Some text\n", "b.tsv": b"name\tyear\npan\t2019\n"}
