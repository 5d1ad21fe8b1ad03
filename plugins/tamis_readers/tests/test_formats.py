"""What each format keeps of its files."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import docx
import pytest
from fpdf import FPDF

from tamis.model import Document, Heading, PageBreak
from tamis.reading import Reader, Unreadable
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


def pdf(*pages: str, title: str = "Kitchen tools", outline: tuple[str, ...] = (), password: str = "") -> bytes:
    """A PDF file with a text on each page; an empty one has a drawing instead."""
    file = FPDF()
    file.set_title(title)
    if password:
        file.set_encryption(owner_password="o", user_password=password)
    file.set_font("helvetica", size=12)
    for number, text in enumerate(pages):
        file.add_page()
        if number < len(outline):
            file.start_section(outline[number])
            file.cell(text=outline[number])
            file.ln()
        if text:
            file.multi_cell(0, text=text)
        else:
            file.rect(10, 10, 50, 50)
    return bytes(file.output())


def word(title: str = "Kitchen tools") -> bytes:
    """A Word file with headings, a list, a table and an umlaut."""
    file = docx.Document()
    file.core_properties.title = title
    file.add_heading("Sieves", level=1)
    file.add_paragraph("The drum sieve makes a sauce smooth. Grüße!")
    file.add_heading("Care", level=2)
    file.add_paragraph("Rinse it.", style="List Bullet")
    file.add_paragraph("Dry it.", style="List Bullet")
    table = file.add_table(rows=2, cols=2)
    for row, texts in zip(table.rows, (("Tool", "Year"), ("Pan", "2019")), strict=True):
        for cell, text in zip(row.cells, texts, strict=True):
            cell.text = text
    made = io.BytesIO()
    file.save(made)
    return made.getvalue()


def read(kind: type[Reader], folder: Path, name: str, data: bytes | str) -> list[Document | Unreadable]:
    path = folder / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return list(kind(kind.Settings()).read(path, name))


def only(found: list[Document | Unreadable]) -> Document:
    (document,) = found
    assert isinstance(document, Document), document
    return document


def why(found: list[Document | Unreadable]) -> str:
    (problem,) = found
    assert isinstance(problem, Unreadable), problem
    return problem.reason


def headings(document: Document) -> list[tuple[str, int, str]]:
    """Each heading with its level and the text that stands there."""
    data = document.text.encode()
    return [
        (each.text, each.level, data[each.start :].decode().split("\n")[0])
        for each in document.landmarks
        if isinstance(each, Heading)
    ]


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("utf-8-sig", "Grüße, 漢字"),
        ("utf-16", "Grüße, 漢字"),
        ("latin-1", "Die Soße läuft über den Tisch. Ärger für alle Köche. " * 4),
        ("koi8-r", "Острый нож безопаснее тупого ножа, говорит повар на кухне. " * 4),
    ],
)
def test_text_is_read_in_the_encoding_it_has(tmp_path: Path, encoding: str, text: str) -> None:
    assert only(read(TextReader, tmp_path, "a.txt", text.encode(encoding))).text == text


def test_bytes_that_are_no_text_are_told_so(tmp_path: Path) -> None:
    assert "not text" in why(read(TextReader, tmp_path, "a.txt", b"\x89PNG\0\0"))


def test_markdown_keeps_its_text_and_knows_its_headings(tmp_path: Path) -> None:
    text = "Ünder\n=====\n\n```\n# no heading\n```\n\n## The *drum* [sieve](x.md) ##\n\n    # nor this\n\n- # item\n"
    document = only(read(MarkdownReader, tmp_path, "a.md", text))
    assert (document.text, document.title) == (text, "Ünder")
    assert headings(document)[:2] == [
        ("Ünder", 1, "Ünder"),
        ("The drum sieve", 2, "## The *drum* [sieve](x.md) ##"),
    ]
    assert "no heading" not in [each[0] for each in headings(document)]


def test_what_stands_before_markdown_gives_the_title_and_no_heading(tmp_path: Path) -> None:
    text = '---\ntitle: "The tools"\ntags: [a]\n---\n\n# Sieves\n\nText.\n'
    document = only(read(MarkdownReader, tmp_path, "a.md", text))
    assert (document.text, document.title, headings(document)) == (text, "The tools", [("Sieves", 1, "# Sieves")])


def test_titles_of_restructured_text_have_levels_by_their_appearance(tmp_path: Path) -> None:
    text = "=====\nTools\n=====\n\nSieves\n------\n\nText::\n\n    Code\n    ====\n\n"
    text += "Care\n~~~~\n\nPans\n------\n\n----\n\nend"
    document = only(read(RstReader, tmp_path, "a.rst", text))
    assert (document.text, document.title) == (text, "Tools")
    assert headings(document) == [
        ("Tools", 1, "====="),
        ("Sieves", 2, "Sieves"),
        ("Care", 3, "Care"),
        ("Pans", 2, "Pans"),
    ]


def test_html_becomes_readable_text(tmp_path: Path) -> None:
    page = """<html><head><title>Tools &amp; care</title><style>b{}</style></head><body><nav>Home | Up</nav>
      <script>alert(1)</script><h1>Sieves<a class="headerlink" href="#x">¶</a></h1>
      <p>A <b>drum</b>\n sieve.<br>Smooth.</p><ul><li>One<li><p>Two</p></ul><ol><li>First</li><li>Second</li></ol>
      <pre>\nif x:\n    y()\n</pre><table><tr><th>Tool<th>Year<tr><td>Pan<td>2019</table><h3>Care</h3>Rinse.</body>"""
    document = only(read(HtmlReader, tmp_path, "a.html", page))
    assert document.title == "Tools & care"
    assert document.text == (
        "Sieves\n\nA drum sieve.\nSmooth.\n\n- One\n- Two\n\n1. First\n2. Second\n\n```\nif x:\n    y()\n```\n\n"
        "| Tool | Year |\n| Pan | 2019 |\n\nCare\n\nRinse."
    )
    assert headings(document) == [("Sieves", 1, "Sieves"), ("Care", 3, "Care")]


def test_of_a_page_with_a_main_part_only_that_is_read(tmp_path: Path) -> None:
    page = "<body><div>Menu</div><main><h2>Ünder</h2><p>Text.</p></main><footer>Imprint</footer>"
    document = only(read(HtmlReader, tmp_path, "a.html", page))
    assert (document.text, document.title) == ("Ünder\n\nText.", "Ünder")


def test_html_is_read_in_the_encoding_it_declares(tmp_path: Path) -> None:
    page = '<meta charset="iso-8859-1"><p>Käse – für alle'
    assert only(read(HtmlReader, tmp_path, "a.html", page.encode("cp1252"))).text == "Käse – für alle"


def test_html_that_nests_very_deep_is_read(tmp_path: Path) -> None:
    assert only(read(HtmlReader, tmp_path, "a.html", "<div>" * 3_000 + "deep")).text == "deep"


def test_pdf_keeps_pages_outline_and_title(tmp_path: Path) -> None:
    data = pdf("The drum sieve.", "An iron pan.", "The kettle.", outline=("Sieves", "Pans"))
    document = only(read(PdfReader, tmp_path, "a.pdf", data))
    pages = [each for each in document.landmarks if isinstance(each, PageBreak)]
    texts = [document.text.encode()[each.start :].decode().split("\f")[0].split() for each in pages]
    assert [each.page for each in pages] == [1, 2, 3]
    assert [" ".join(each) for each in texts] == ["Sieves The drum sieve.", "Pans An iron pan.", "The kettle."]
    assert [each[:2] for each in headings(document)] == [("Sieves", 1), ("Pans", 1)]
    assert document.title == "Kitchen tools"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (pdf("Secret.", password="x"), "encrypted"),
        (pdf("", ""), "text recognition"),
        (pdf("Text.")[:200], "damaged"),
        (b"not a pdf at all", "damaged"),
    ],
    ids=["encrypted", "images", "cut", "other"],
)
def test_a_pdf_without_text_says_why(tmp_path: Path, data: bytes, reason: str) -> None:
    assert reason in why(read(PdfReader, tmp_path, "a.pdf", data))


def test_word_keeps_headings_lists_tables_and_title(tmp_path: Path) -> None:
    document = only(read(DocxReader, tmp_path, "a.docx", word()))
    assert document.title == "Kitchen tools"
    assert document.text == (
        "Sieves\n\nThe drum sieve makes a sauce smooth. Grüße!\n\nCare\n\n- Rinse it.\n- Dry it.\n"
        "| Tool | Year |\n| Pan | 2019 |\n\n"
    )
    assert headings(document) == [("Sieves", 1, "Sieves"), ("Care", 2, "Care")]


def test_a_word_file_that_is_none_says_so(tmp_path: Path) -> None:
    other = io.BytesIO()
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("a.txt", "text")
    for data in (b"text", word()[:2_000], other.getvalue(), b"\xd0\xcf\x11\xe0" + b"\0" * 600):
        assert why(read(DocxReader, tmp_path, "a.docx", data))


def test_every_line_of_json_is_a_document_or_says_why_not(tmp_path: Path) -> None:
    lines = [
        '{"id": "pan", "text": "Iron.", "year": 2019}',
        "",
        '{"title": "Kettle"}',
        "[1]",
        '{"text": NaN}',
        "{" * 9_999,
    ]
    found = read(JsonLinesReader, tmp_path, "a.jsonl", "\n".join(lines).encode() + b'\n{"text": "\xff"}')
    assert found[:2] == [
        Document("pan", "Iron.", "", {"line": 1, "year": 2019}),
        Document("a.jsonl:3", "", "Kettle", {"line": 3}),
    ]
    assert [each.line for each in found[2:] if isinstance(each, Unreadable)] == [4, 5, 6, 7]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_every_row_of_csv_is_a_document(tmp_path: Path, separator: str) -> None:
    rows = [
        ["id", "title", "text", "year", "code"],
        ["7", "Pan", '"Iron, or\nsteel"', "2019", "007"],
        ["", "Cup", "Clay", "1.5", ""],
    ]
    found = read(CsvReader, tmp_path, "a.csv", "\r\n".join(separator.join(row) for row in rows))
    assert found == [
        Document("7", "Iron, or\nsteel", "Pan", {"line": 2, "year": 2019, "code": "007"}),
        Document("a.csv:4", "Clay", "Cup", {"line": 4, "year": 1.5, "code": ""}),
    ]


def test_without_a_column_of_text_all_columns_are_it(tmp_path: Path) -> None:
    (found,) = read(CsvReader, tmp_path, "a.csv", "tool,use\nsieve,smooth sauces\n")
    assert found == Document(
        "a.csv:2", "tool: sieve\nuse: smooth sauces", "", {"line": 2, "tool": "sieve", "use": "smooth sauces"}
    )
