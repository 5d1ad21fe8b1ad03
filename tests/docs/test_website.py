"""The site of the documentation: every page has its place, and what is wrong with it is found before a reader does."""

from __future__ import annotations

import html
import re
import tomllib
from pathlib import Path

import pytest
from website import api, build, links, same

from tamis.v1 import (
    catalog_service_pb2,
    filter_pb2,
    index_service_pb2,
    passage_pb2,
    plugin_service_pb2,
    search_service_pb2,
    value_pb2,
)

PROTOS = (
    catalog_service_pb2,
    filter_pb2,
    index_service_pb2,
    passage_pb2,
    plugin_service_pb2,
    search_service_pb2,
    value_pb2,
)


@pytest.fixture(scope="module")
def reference() -> dict[str, str]:
    """The pages of the API, in one line each but without the links in them."""
    pages = api.pages(build.ROOT / "protos")
    return {name: " ".join(re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", text).split()) for name, text in pages.items()}


def test_every_page_has_a_place_in_the_navigation_and_every_place_a_page() -> None:
    navigation = tomllib.loads((build.HERE / "zensical.toml").read_text())["project"]["nav"]
    named = [each for each in build.listed(navigation) if not each.startswith((build.PROTOS, build.DECISIONS))]
    assert sorted(named) == sorted(each for each in build.pages() if not each.startswith(build.DECISIONS))


def test_every_message_field_value_and_rpc_is_in_the_reference(reference: dict[str, str]) -> None:
    for proto in PROTOS:
        file = proto.DESCRIPTOR
        page = reference[Path(file.name).with_suffix(".md").name]
        for service in file.services_by_name.values():
            for method in service.methods:
                assert f"{{ #{service.name}.{method.name} }}" in page
        for message in file.message_types_by_name.values():
            assert f"## {message.name} {{ #{message.name} }}" in page
            for field in message.fields:
                assert f'<span id="{message.name}.{field.name}"></span>`{field.name}` ' in page
        for enum in file.enum_types_by_name.values():
            for value in enum.values:
                assert f'<span id="{enum.name}.{value.name}"></span>`{value.name}` ' in page


def test_every_comment_of_the_protos_is_in_the_reference(reference: dict[str, str]) -> None:
    for proto in sorted((build.ROOT / build.PROTOS).glob("*.proto")):
        page = html.unescape(re.sub(r"</?code>", "`", reference[f"{proto.stem}.md"]))
        comments = re.findall(r"(?:^ *// .*\n)+", proto.read_text(), re.MULTILINE)
        assert len(comments) > 5
        for comment in comments:
            assert " ".join(re.sub(r"^ *// ", "", comment, flags=re.MULTILINE).split()) in page


def test_links_and_anchors_that_lead_nowhere_are_found(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text(
        '<h2 id="here">x</h2><a href="#here">1</a><a href="b.html#there">2</a><a href="/b.html">3</a>'
        '<a href="gone.html">4</a><a href="b.html#gone">5</a><a href="#gone">6</a><img src="gone.svg">'
        '<a href="https://example.org/">7</a>'
    )
    (tmp_path / "b.html").write_text('<p id="there">')
    assert links.problems(tmp_path) == [
        "index.html: gone.html leads nowhere",
        "index.html: b.html#gone has no such place",
        "index.html: #gone has no such place",
        "index.html: gone.svg leads nowhere",
    ]


@pytest.mark.parametrize(
    ("loading", "url"),
    [
        ('<script src="https://cdn.example.org/a.js"></script>', "https://cdn.example.org/a.js"),
        ('<link rel="stylesheet" href="//fonts.example.org/a.css">', "//fonts.example.org/a.css"),
        ('<img src="https://example.org/a.png">', "https://example.org/a.png"),
        ("<style>p { background: url('https://example.org/a.png') }</style>", "https://example.org/a.png"),
    ],
)
def test_what_another_host_would_have_to_deliver_is_found(tmp_path: Path, loading: str, url: str) -> None:
    (tmp_path / "index.html").write_text(f"<html><head></head><body>{loading}</body></html>")
    assert links.problems(tmp_path) == [f"index.html: loads {url}"]


def test_style_sheets_and_pictures_that_load_from_elsewhere_are_found(tmp_path: Path) -> None:
    (tmp_path / "a.css").write_text(
        '@import "https://example.org/b.css"; p { background: url(data:image/png;base64,x) }'
    )
    (tmp_path / "a.svg").write_text("<svg><style>@font-face { src: url(https://example.org/a.woff) }</style></svg>")
    assert links.problems(tmp_path) == [
        "a.css: loads https://example.org/b.css",
        "a.svg: loads https://example.org/a.woff",
    ]


def test_a_list_that_is_not_shown_as_it_is_meant_is_found() -> None:
    source, nested = "- outer\n  - inner\n", "<ul><li>outer\n<ul>\n<li>inner</li>\n</ul>\n</li></ul>"
    assert not list(same.differences(source, f"<article>{nested}</article>"))
    assert list(same.differences(source, "<article><ul><li>outer</li><li>inner</li></ul></article>"))


def test_bars_in_the_code_of_a_table_reach_the_site_without_backslashes(tmp_path: Path) -> None:
    page = "docs/pipelines.md"
    build.lay_out(tmp_path, [page])
    assert r"`X \| Y`" in (build.ROOT / page).read_text()
    assert "| `X | Y` |" in (tmp_path / page).read_text()
