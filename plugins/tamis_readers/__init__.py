"""Readers of files: text, Markdown, reStructuredText, HTML, PDF, Word, JSON lines, CSV."""

from tamis_readers.docx_files import DocxReader
from tamis_readers.html_files import HtmlReader
from tamis_readers.markdown_files import MarkdownReader
from tamis_readers.pdf_files import PdfReader
from tamis_readers.row_files import CsvReader, JsonLinesReader
from tamis_readers.rst_files import RstReader
from tamis_readers.text_files import TextReader

__all__ = [
    "CsvReader",
    "DocxReader",
    "HtmlReader",
    "JsonLinesReader",
    "MarkdownReader",
    "PdfReader",
    "RstReader",
    "TextReader",
]
